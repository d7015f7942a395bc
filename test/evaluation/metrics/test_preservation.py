import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.metrics import preservation

_THERMAL, _VISIBLE = pair((96, 128))
THERMAL, VISIBLE = _THERMAL / 255, cv2.cvtColor(_VISIBLE, cv2.COLOR_BGR2GRAY) / 255
AVERAGE = (THERMAL + VISIBLE) / 2
BLURRED = cv2.GaussianBlur(AVERAGE, (0, 0), 3)


def test_qabf_of_equal_images_is_the_constant_of_the_paper():
    # every edge is kept: ratio 1 and agreement 1 in both sigmoids
    expected = 0.9994 / (1 + np.exp(-15 * 0.5)) * 0.9879 / (1 + np.exp(-22 * 0.2))
    assert preservation.qabf(VISIBLE, VISIBLE, VISIBLE) == pytest.approx(expected, abs=1e-12)


def test_qabf_of_a_ramp_by_hand():
    """A ramp down columns of slope 1 against one of slope 1/2: the ratio is 1/2, the direction the same."""
    ramp = np.tile(np.arange(40) / 80, (40, 1))
    # away from the border, where zeros are continued: cut it off by flat frames of both
    strength = 0.9994 / (1 + np.exp(-15 * (0.5 - 0.5)))
    orientation = 0.9879 / (1 + np.exp(-22 * (1 - 0.8)))
    inner = np.s_[1:-1, 1:-1]
    target, source = preservation._edges(ramp / 2), preservation._edges(ramp)
    np.testing.assert_allclose(source[0][inner], 8 / 80)
    np.testing.assert_allclose(target[0][inner] / source[0][inner], 0.5)
    kept = preservation._sigmoid(0.5, *preservation.STRENGTH) * preservation._sigmoid(
        1, *preservation.ORIENTATION
    )
    assert kept == pytest.approx(strength * orientation)


def qabf_by_hand(fused, first, second):
    """The paper's equations pixel by pixel."""

    def edges(image):
        padded = np.pad(image, 1)
        found = {}
        for y in range(image.shape[0]):
            for x in range(image.shape[1]):
                window = padded[y : y + 3, x : x + 3]
                gx = (window[:, 2] - window[:, 0]) @ (1, 2, 1)
                gy = (window[2] - window[0]) @ (1, 2, 1)
                found[y, x] = np.hypot(gx, gy), np.arctan(gy / gx) if gx else np.pi / 2
        return found

    target = edges(fused)
    kept = total = 0
    for source in (first, second):
        for place, (strength, angle) in edges(source).items():
            strength_f, angle_f = target[place]
            larger = max(strength, strength_f)
            ratio = min(strength, strength_f) / larger if larger else 1
            agreement = 1 - abs(angle - angle_f) / (np.pi / 2)
            quality = (
                0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (agreement - 0.8)))
            )
            kept += quality * strength
            total += strength
    return kept / total


def test_qabf_against_the_equations_written_out():
    crop = np.s_[10:40, 20:60]
    # binary fractions, so that gradients which cancel do so exactly
    images = [np.rint(image[crop] * 256) / 256 for image in (AVERAGE, THERMAL, VISIBLE)]
    assert preservation.qabf(*images) == pytest.approx(qabf_by_hand(*images), abs=1e-9)


def test_worse_fusion_is_worse_in_every_measure():
    for measure, sign in ((preservation.qabf, 1), (preservation.fmi_w, 1), (preservation.q_cv, -1)):
        assert sign * measure(AVERAGE, THERMAL, VISIBLE) > sign * measure(BLURRED, THERMAL, VISIBLE), measure


def test_misaligned_sources_lose_edges():
    moved = np.roll(THERMAL, 5, axis=1)
    torn = (moved + VISIBLE) / 2
    assert preservation.qabf(torn, THERMAL, VISIBLE) < preservation.qabf(AVERAGE, THERMAL, VISIBLE)


def test_q_cv_against_the_equations_written_out():
    fused, first, second = AVERAGE[:40, :50], THERMAL[:40, :50], VISIBLE[:40, :50]

    def stretch(image):
        return (image - image.min()) / (image.max() - image.min()) * 255

    fused, first, second = map(stretch, (fused, first, second))
    weighted = total = 0
    height, width = fused.shape
    # the transfer function by its definition, frequency by frequency
    seen = {}
    for name, source in (('first', first), ('second', second)):
        spectrum = np.fft.fft2(source - fused)
        for y in range(height):
            for x in range(width):
                v = (y if y < height / 2 else y - height) * 2 / height * height / 8
                u = (x if x < width / 2 else x - width) * 2 / width * width / 8
                r = np.hypot(u, v)
                spectrum[y, x] *= 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1))
        seen[name] = np.fft.ifft2(spectrum).real
    for name, source in (('first', first), ('second', second)):
        padded = np.pad(source, 1)
        strength = np.zeros_like(source)
        for y in range(height):
            for x in range(width):
                window = padded[y : y + 3, x : x + 3]
                strength[y, x] = np.hypot(
                    (window[:, 2] - window[:, 0]) @ (1, 2, 1), (window[2] - window[0]) @ (1, 2, 1)
                )
        for top in range(0, height, 16):
            for left in range(0, width, 16):
                region = np.s_[top : top + 16, left : left + 16]
                saliency = (strength[region] ** 5).sum()
                weighted += saliency * (seen[name][region] ** 2).sum() / 256
                total += saliency
    found = preservation.q_cv(AVERAGE[:40, :50], THERMAL[:40, :50], VISIBLE[:40, :50])
    assert found == pytest.approx(weighted / total, rel=1e-9)


def test_q_cv_of_equal_images_is_zero():
    assert preservation.q_cv(VISIBLE, VISIBLE, VISIBLE) == 0


def test_the_wavelet_splits_the_signal_without_loss():
    low, high = preservation._meyer()
    assert low.sum() == pytest.approx(np.sqrt(2), abs=1e-4)
    assert high.sum() == pytest.approx(0, abs=1e-4)
    # orthonormal, and orthogonal to its own even shifts and to the other filter
    for shift in range(0, 20, 2):
        assert low[shift:] @ low[: len(low) - shift] == pytest.approx(float(shift == 0), abs=1e-4)
        assert low[shift:] @ high[: len(high) - shift] == pytest.approx(0, abs=1e-3)
    response = np.abs(np.fft.fft(low, 1024)) ** 2 + np.abs(np.fft.fft(high, 1024)) ** 2
    np.testing.assert_allclose(response, 2, atol=2e-3)


def information_by_hand(a, b):
    """The paper's steps for one window, without arrays of windows."""
    if np.array_equal(a, b):
        return 1.0

    def distribution(x):
        flat = (x - x.min()) / np.ptp(x) if np.ptp(x) else np.ones(len(x))
        return flat / flat.sum()

    def entropy(p):
        return -sum(x * np.log2(abs(x)) for x in np.ravel(p) if x)

    def spread(p):
        mean = sum(i * x for i, x in enumerate(p))
        return np.sqrt(sum((i - mean) ** 2 * x for i, x in enumerate(p)))

    p, q = distribution(a), distribution(b)
    c = np.corrcoef(p, q)[0, 1] if np.ptp(p) and np.ptp(q) else 0.0
    n = len(p)
    cumulative = np.zeros((n + 1, n + 1))
    covariance = 0
    for i in range(n):
        for j in range(n):
            f, g = p[: i + 1].sum(), q[: j + 1].sum()
            cumulative[i + 1, j + 1] = min(f, g) if c >= 0 else max(f + g - 1, 0)
            covariance += cumulative[i + 1, j + 1] - f * g
    share = c * spread(p) * spread(q) / covariance if covariance else 0.0
    joint = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            coupled = (
                cumulative[i + 1, j + 1] - cumulative[i, j + 1] - cumulative[i + 1, j] + cumulative[i, j]
            )
            joint[i, j] = share * coupled + (1 - share) * p[i] * q[j]
    margins = entropy(p) + entropy(q)
    return 2 * (margins - entropy(joint)) / margins


def test_window_information_against_the_steps_written_out():
    rng = np.random.default_rng(8)
    source = rng.normal(size=(60, 9))
    target = source * rng.uniform(-1, 1, (60, 1)) + rng.normal(size=(60, 9))
    source[0] = target[1] = 0.5  # flat windows
    target[2] = source[2]
    expected = [information_by_hand(a, b) for a, b in zip(source, target, strict=True)]
    np.testing.assert_allclose(preservation._window_information(source, target), expected, atol=1e-9)


def test_fmi_of_equal_images_is_one():
    assert preservation.fmi_w(VISIBLE, VISIBLE, VISIBLE) == 1
