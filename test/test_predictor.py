import cv2
import numpy as np
import pytest

from irvis_fusion_ros.alignment import SOURCES, Alignment
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.imaging.depth import DepthConfig
from irvis_fusion_ros.imaging.tone import ToneConfig
from irvis_fusion_ros.predictor import OUTPUTS, Predictor
from irvis_fusion_ros.systems import registry

THERMAL, VISIBLE = pair((96, 128))
SIZES = [((96, 128), (96, 128)), ((64, 80), (97, 131)), ((120, 90), (75, 161)), ((33, 200), (100, 32))]


class Fixed:
    """A system that answers what it was given, so that the predictor itself is what is tested."""

    devices = ('cpu',)

    def __init__(self, alignment):
        self.alignment = alignment
        self.resets = 0

    def register(self, thermal, visible):
        self.seen = thermal, visible
        return self.alignment

    def fuse(self, visible, thermal, trust):
        self.trust = trust
        return visible + (thermal - visible) * trust * 0.5

    def reset(self):
        self.resets += 1


@pytest.fixture
def fixed(monkeypatch):
    def make(alignment, **options):
        system = Fixed(alignment)
        preset = registry.Preset(('cpu',), lambda config, temporal: system)
        monkeypatch.setitem(registry.PRESETS, 'fixed', preset)
        return Predictor('fixed', 'cpu', **options), system

    return make


def affine(*rows):
    return np.array([*rows, (0, 0, 1)], np.float64)


def resized(shapes):
    thermal_shape, visible_shape = shapes
    return cv2.resize(THERMAL, thermal_shape[::-1]), cv2.resize(VISIBLE, visible_shape[::-1])


@pytest.mark.parametrize('shapes', SIZES)
@pytest.mark.parametrize('gray', [False, True])
def test_any_two_sizes_on_the_visible_grid(shapes, gray):
    thermal, visible = resized(shapes)
    visible = visible[..., 1].copy() if gray else visible
    result = Predictor('classical', 'cpu')(thermal, visible)
    shape = shapes[1]
    assert result.fused.shape == (shape if gray else (*shape, 3))
    assert result.registered.shape == shape
    assert result.deformation.shape == (*shape, 2)
    assert result.valid.shape == shape
    assert (result.fused.dtype, result.deformation.dtype, result.valid.dtype) == ('uint8', 'float32', 'uint8')
    assert 0 <= result.confidence <= 1
    assert result.source in SOURCES
    assert result.timing['total'] > 0


@pytest.mark.parametrize('shapes', SIZES)
def test_nan_exactly_outside_and_mask_within(shapes, fixed):
    turn = affine((0.9, -0.2, 14.0), (0.2, 0.9, -9.0))
    predictor, _ = fixed(Alignment(turn, 1.0, 'search'))
    thermal, visible = resized(shapes)
    result = predictor(thermal, visible)
    grid = transform.pixel_grid(shapes[1], np.float64)
    stretched = transform.apply(turn, grid)
    limit = np.array(shapes[1][::-1]) - 1
    inside = ((stretched >= 0) & (stretched <= limit)).all(-1)
    near_edge = (np.minimum(np.abs(stretched), np.abs(stretched - limit)) < 0.01).any(-1)
    assert 0.2 < inside.mean() < 0.98
    nan = np.isnan(result.deformation)
    np.testing.assert_array_equal(nan[..., 0], nan[..., 1])
    np.testing.assert_array_equal(nan[..., 0][~near_edge], ~inside[~near_edge])
    np.testing.assert_array_equal(result.valid == 255, ~nan[..., 0])
    assert not result.registered[nan[..., 0]].any()
    # outside the thermal image the picture is the visible one
    assert np.abs(result.fused[nan[..., 0]].astype(int) - visible[nan[..., 0]]).max() <= 1


def test_registered_is_the_original_sampled_once(fixed):
    residual = np.zeros((7, 9, 2), np.float32)
    residual[3, 4] = 3, -2
    predictor, _ = fixed(Alignment(affine((1.02, 0, 2.5), (0, 1, -3)), 0.9, 'track', residual=residual))
    thermal = (THERMAL.astype(np.uint16) << 6) + 5000
    result = predictor(thermal, cv2.resize(VISIBLE, (201, 143)))
    assert result.registered.dtype == np.uint16
    np.testing.assert_array_equal(result.registered, warp.warp(thermal, result.deformation))
    dense = transform.displacement(affine((1.02, 0, 2.5), (0, 1, -3)), (143, 201))
    dense += cv2.resize(residual, (201, 143), interpolation=cv2.INTER_LINEAR)
    known = ~np.isnan(result.deformation)
    np.testing.assert_allclose(result.deformation[known], dense[known], atol=1e-4)


def test_doubt_is_in_the_mask_and_never_nan(fixed):
    trust = np.ones((2, 2), np.float32)
    trust[:, 0] = 0.1
    predictor, system = fixed(Alignment(np.eye(3), 0.7, 'search', trust=trust))
    result = predictor(THERMAL, VISIBLE)
    assert not np.isnan(result.deformation).any()
    assert (result.valid[:, 0] == 0).all() and (result.valid[:, -1] == 255).all()
    assert set(np.unique(result.valid)) == {0, 255}
    np.testing.assert_allclose(system.trust, cv2.resize(trust, (128, 96)), atol=1e-6)
    assert result.confidence == 0.7


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(OUTPUTS))
def test_only_what_was_asked_for(name):
    predictor = Predictor('classical', 'cpu', temporal=False)
    everything = predictor(THERMAL, VISIBLE)
    alone = predictor(THERMAL, VISIBLE, outputs=frozenset({name}))
    for other in OUTPUTS:
        if other == name:
            np.testing.assert_array_equal(getattr(alone, other), getattr(everything, other))
        else:
            assert getattr(alone, other) is None
    assert ('fuse' in alone.timing) == (name == 'fused')


@pytest.mark.parametrize(
    'thermal',
    [
        THERMAL,
        THERMAL.astype(np.uint16) * 30 + 8000,
        THERMAL.astype(np.float32) / 5 - 10,
        cv2.cvtColor(THERMAL, cv2.COLOR_GRAY2BGR),
    ],
    ids=['mono8', 'mono16', '32FC1', 'colour'],
)
def test_thermal_depth_and_values_are_kept(thermal, fixed):
    predictor, system = fixed(Alignment(np.eye(3), 1.0, 'search'))
    before = thermal.copy()
    result = predictor(thermal, VISIBLE)
    assert result.registered.dtype == thermal.dtype
    np.testing.assert_array_equal(result.registered, thermal)
    np.testing.assert_array_equal(thermal, before)
    seen, _ = system.seen
    assert (seen.dtype, seen.shape) == (np.float32, (96, 128))
    assert seen.min() >= 0 and seen.max() <= 1 and np.ptp(seen) > 0.5


def test_nan_in_a_float_image_does_no_harm():
    thermal = THERMAL.astype(np.float32)
    thermal[20:30, 20:30] = np.nan
    result = Predictor('classical', 'cpu')(thermal, VISIBLE)
    assert result.fused.dtype == np.uint8
    assert not np.isnan(result.deformation[40:60, 60:80]).any()


@pytest.mark.slow
def test_16_bit_visible():
    predictor = Predictor('classical', 'cpu', temporal=False)
    gray = cv2.cvtColor(VISIBLE, cv2.COLOR_BGR2GRAY)
    found, expected = (predictor(THERMAL, image) for image in (gray.astype(np.uint16) * 257, gray))
    assert found.fused.dtype == np.uint8
    np.testing.assert_array_equal(found.fused, expected.fused)
    # the luminance of 8-bit colours is rounded to 8 bit
    found, expected = (predictor(THERMAL, image) for image in (VISIBLE.astype(np.uint16) * 257, VISIBLE))
    assert found.fused.dtype == np.uint8
    apart = np.abs(found.deformation - expected.deformation)
    assert np.nanmax(apart) < 0.02
    assert np.abs(found.fused.astype(int) - expected.fused).mean() < 0.5


@pytest.mark.slow
def test_colour_orders_are_equivalent():
    predictor = Predictor('classical', 'cpu', temporal=False)
    pseudo = cv2.applyColorMap(THERMAL, cv2.COLORMAP_HOT)
    bgr = predictor(pseudo, VISIBLE)
    rgb = predictor(
        cv2.cvtColor(pseudo, cv2.COLOR_BGR2RGB),
        cv2.cvtColor(VISIBLE, cv2.COLOR_BGR2RGB),
        visible_order='rgb',
        thermal_order='rgb',
    )
    np.testing.assert_array_equal(rgb.fused, bgr.fused[..., ::-1])
    np.testing.assert_array_equal(rgb.registered, bgr.registered[..., ::-1])
    np.testing.assert_array_equal(rgb.deformation, bgr.deformation)


@pytest.mark.slow
def test_gray_output_of_a_colour_image():
    found = Predictor('classical', 'cpu', temporal=False, gray=True)(THERMAL, VISIBLE)
    colour = Predictor('classical', 'cpu', temporal=False)(THERMAL, VISIBLE)
    assert found.fused.shape == (96, 128)
    luma = cv2.cvtColor(colour.fused, cv2.COLOR_BGR2GRAY).astype(int)
    assert np.abs(found.fused - luma).mean() < 3


@pytest.mark.slow
def test_without_memory_every_pair_is_on_its_own():
    pairs = [pair((96, 128), seed=seed) for seed in range(3)]
    one = Predictor('classical', 'cpu', temporal=False)
    forward = [one(*images) for images in pairs]
    backward = [one(*images) for images in reversed(pairs)][::-1]
    for first, second in zip(forward, backward, strict=True):
        assert first.cold and second.cold
        for name in OUTPUTS:
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.slow
def test_reset_starts_a_new_stream():
    predictor = Predictor('classical', 'cpu')
    first = predictor(THERMAL, VISIBLE)
    predictor(*pair((96, 128), seed=5))
    predictor.reset()
    again = predictor(THERMAL, VISIBLE)
    assert again.cold
    for name in OUTPUTS:
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


@pytest.mark.slow
def test_warm_up_leaves_no_trace():
    warm, fresh = Predictor('classical', 'cpu'), Predictor('classical', 'cpu')
    warm.warm_up((64, 80), (96, 128))
    np.testing.assert_array_equal(warm(THERMAL, VISIBLE).fused, fresh(THERMAL, VISIBLE).fused)


def test_reset_reaches_the_system(fixed):
    predictor, system = fixed(Alignment(np.eye(3), 1.0, 'search'), temporal=False)
    predictor(THERMAL, VISIBLE)
    predictor(THERMAL, VISIBLE)
    assert system.resets == 2


def test_gain_control_can_be_changed_while_running(fixed):
    predictor, system = fixed(Alignment(np.eye(3), 1.0, 'search'))
    predictor(THERMAL, VISIBLE)
    np.testing.assert_allclose(system.seen[0], THERMAL / 255, atol=1e-6)
    predictor.set_tone(ToneConfig(normalisation='range', range_min=100, range_max=110))
    predictor(THERMAL, VISIBLE)
    np.testing.assert_allclose(system.seen[0], np.clip((THERMAL - 100.0) / 10, 0, 1), atol=1e-5)


class TestCalibration:
    STATED = Calibration(np.array([[2.0, 0.1, -9.0], [0.05, 1.9, 4.0], [1e-5, 0, 1]]), (96, 128), (180, 250))

    def points(self, thermal_shape, visible_shape, result):
        """The visible pixels, and what the calibration makes of the thermal pixel each one is given."""
        grid = transform.pixel_grid(visible_shape, np.float64)
        sampled = warp.sampling_map(np.nan_to_num(result.deformation), thermal_shape).astype(np.float64)
        # in the stated sizes; a resize keeps the field of view, so pixel edges scale, not centres
        to_stated = np.array([128, 96]) / thermal_shape[::-1]
        mapped = transform.apply(self.STATED.matrix, (sampled + 0.5) * to_stated - 0.5)
        from_stated = np.array(visible_shape[::-1]) / (250, 180)
        return grid, (mapped + 0.5) * from_stated - 0.5

    @pytest.mark.parametrize(
        ('thermal_shape', 'visible_shape'),
        [((96, 128), (180, 250)), ((48, 64), (180, 250)), ((96, 128), (90, 125)), ((192, 256), (91, 251))],
    )
    def test_search_is_off_and_sizes_are_scaled(self, thermal_shape, visible_shape):
        thermal, visible = resized((thermal_shape, visible_shape))
        result = Predictor('classical', 'cpu', calibration=self.STATED)(thermal, visible)
        assert result.source == 'calibration'
        assert result.confidence == 1
        grid, mapped = self.points(thermal_shape, visible_shape, result)
        known = ~np.isnan(result.deformation).any(-1)
        assert known.mean() > 0.5
        np.testing.assert_allclose(mapped[known], grid[known], atol=0.01)

    @pytest.mark.parametrize('refine', [False, True])
    def test_images_of_another_field_of_view_are_told(self, refine):
        rig = Calibration(np.eye(3), (96, 128), (96, 128))
        predictor = Predictor('unregistered', 'cpu', calibration=rig, refine=refine, targets='off')
        told = {
            shape: [note for note in predictor(*resized(((96, 128), shape))).notes]
            for shape in ((96, 128), (95, 128), (72, 128))
        }
        assert told[96, 128] == told[95, 128] == []
        assert told[72, 128][0].code == 'other_field_of_view'
        assert told[72, 128][0].text.startswith(
            'the calibration is of visible images of 128x96, these are 128x72'
        )

    def test_the_thermal_corner_lands_where_the_matrix_says(self):
        shift = Calibration(np.array([[1, 0, 10.0], [0, 1, 5], [0, 0, 1]]), (96, 128), (96, 128))
        result = Predictor('classical', 'cpu', calibration=shift)(THERMAL, VISIBLE)
        assert np.isnan(result.deformation[:5]).all() and np.isnan(result.deformation[:, :10]).all()
        np.testing.assert_allclose(result.deformation[5, 10], (-10, -5), atol=1e-5)
        np.testing.assert_array_equal(result.registered[5:, 10:], THERMAL[:-5, :-10])


class TestPassThrough:
    def test_visible_alone(self):
        result = Predictor('classical', 'cpu')(None, VISIBLE)
        np.testing.assert_array_equal(result.fused, VISIBLE)
        assert result.registered is None
        assert np.isnan(result.deformation).all()
        assert not result.valid.any()
        assert (result.source, result.confidence) == ('pass_through', 0)
        assert [note.code for note in result.notes] == ['thermal_missing']

    def test_the_bits_of_a_visible_image_alone_are_told(self):
        result = Predictor('classical', 'cpu')(None, VISIBLE.astype(np.uint16) << 4)
        assert [note.code for note in result.notes] == ['thermal_missing', 'visible_bits']

    def test_thermal_alone_lies_on_the_last_visible_grid(self):
        predictor = Predictor('classical', 'cpu')
        both = predictor(THERMAL, cv2.resize(VISIBLE, (150, 110)))
        alone = predictor(THERMAL, None)
        assert alone.fused.shape == (110, 150, 3)
        np.testing.assert_array_equal(alone.registered, both.registered)
        np.testing.assert_array_equal(alone.deformation, both.deformation)
        assert not alone.valid.any()
        assert [note.code for note in alone.notes] == ['visible_missing']

    def test_thermal_alone_from_the_start(self):
        result = Predictor('classical', 'cpu', gray=True)(THERMAL.astype(np.uint16) * 50, None)
        assert (result.fused.shape, result.fused.dtype) == ((96, 128), np.uint8)
        assert np.ptp(result.fused) > 200

    def test_gray_visible_of_16_bit(self):
        deep = VISIBLE.astype(np.uint16) * 257
        result = Predictor('classical', 'cpu', gray=True)(None, deep)
        assert (result.fused.shape, result.fused.dtype) == ((96, 128), np.uint8)

    def test_nothing_at_all(self):
        with pytest.raises(ValueError, match='neither a thermal nor a visible'):
            Predictor('classical', 'cpu')(None, None)


@pytest.mark.parametrize(
    ('thermal', 'visible', 'cause', 'message'),
    [
        (np.zeros((1, 1), np.uint8), VISIBLE, 'too_small', 'thermal image is 1x1; at least 32 a side'),
        (THERMAL, np.zeros((31, 400, 3), np.uint8), 'too_small', 'visible image is 400x31'),
        (THERMAL, np.zeros((32, 40000), np.uint8), 'too_large', 'visible image is 40000x32; at most'),
        (THERMAL.astype(bool), VISIBLE, 'layout', 'thermal image is bool; expected one of uint8'),
        (THERMAL, VISIBLE.astype(np.float32), 'layout', 'visible image is float32'),
        (THERMAL[None, None], VISIBLE, 'layout', r'thermal image has shape \(1, 1, 96, 128\)'),
        (THERMAL, np.zeros((40, 50, 4), np.uint8), 'layout', r'visible image has shape \(40, 50, 4\)'),
        (np.zeros((40, 50, 3), np.uint16), VISIBLE, 'layout', 'colour thermal image must be uint8'),
    ],
)
def test_images_that_cannot_be_used(thermal, visible, cause, message):
    predictor = Predictor('classical', 'cpu')
    with pytest.raises(ImageError, match=message) as caught:
        predictor(thermal, visible)
    assert caught.value.cause == cause
    assert predictor(THERMAL, VISIBLE).fused is not None


@pytest.mark.parametrize('level', [0, 255])
def test_images_without_content_are_fused_all_the_same(level):
    flat = np.full((96, 128), level, np.uint8)
    predictor = Predictor('classical', 'cpu')
    for images in ((flat, VISIBLE), (THERMAL, cv2.merge([flat] * 3)), (flat, flat)):
        result = predictor(*images)
        assert result.fused.dtype == np.uint8
        assert np.isfinite(result.transform).all()


def test_unknown_preset_and_device():
    with pytest.raises(ValueError, match="unknown preset 'magic'; valid: classical"):
        Predictor('magic')
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        Predictor('classical', 'tpu')


BLANK = {'black': 0, 'saturated': 255, 'flat': 100}


@pytest.mark.parametrize('camera', ['thermal', 'visible'])
@pytest.mark.parametrize('why', BLANK)
def test_an_image_that_shows_nothing_is_fused_with_the_last_alignment(camera, why):
    predictor = Predictor('classical', 'cpu')
    before = predictor(THERMAL, VISIBLE)
    images = {'thermal': THERMAL, 'visible': VISIBLE}
    images[camera] = np.full_like(images[camera], BLANK[why])
    result = predictor(**images)
    assert (result.source, result.confidence, result.cold) == ('held', 0.0, False)
    assert [note.code for note in result.notes] == [f'{camera}_{why}']
    np.testing.assert_array_equal(result.deformation, before.deformation)
    after = predictor(THERMAL, VISIBLE)
    assert after.source == 'track' and not after.notes


def test_images_that_show_nothing_from_the_start_are_not_moved():
    result = Predictor('classical', 'cpu')(np.zeros_like(THERMAL), np.zeros_like(VISIBLE))
    assert result.source == 'identity'
    assert {note.code for note in result.notes} == {'thermal_black', 'visible_black'}
    assert not result.deformation.any() and not result.fused.any()


@pytest.mark.slow
def test_a_blank_thermal_image_does_not_disturb_the_gain():
    deep = THERMAL.astype(np.uint16) * 8 + 7000
    predictor, undisturbed = Predictor('classical', 'cpu'), Predictor('classical', 'cpu')
    for image in (deep, np.zeros_like(deep), deep):
        disturbed = predictor(image, VISIBLE)
    for image in (deep, deep):
        expected = undisturbed(image, VISIBLE)
    assert np.abs(disturbed.fused.astype(int) - expected.fused).mean() < 0.5


def test_a_calibrated_rig_tells_of_a_blank_image():
    calibration = Calibration(np.eye(3), THERMAL.shape, VISIBLE.shape[:2])
    result = Predictor('classical', 'cpu', calibration=calibration)(np.zeros_like(THERMAL), VISIBLE)
    assert result.source == 'calibration'
    assert [note.code for note in result.notes] == ['thermal_black']


class TestFailingGpu:
    @pytest.fixture
    def predictor(self, monkeypatch):
        """Return a predictor on a GPU that fails with `error` at its second pair."""

        class Failing(Fixed):
            def register(self, thermal, visible):
                if self.failure is not None and self.pairs == 1:
                    raise self.failure
                self.pairs += 1
                return self.alignment

        def build(config, temporal):
            system = Failing(Alignment(np.eye(3), 0.9, 'search'))
            system.pairs, system.failure = 0, self.error if config.device == 'cuda:0' else None
            return system

        monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
        monkeypatch.setitem(registry.PRESETS, 'failing', registry.Preset(('cuda', 'cpu'), build))
        return Predictor('failing')

    error = RuntimeError('CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA')

    def test_the_pair_is_done_on_the_cpu_and_all_that_follow(self, predictor):
        assert predictor.device == 'cuda:0'
        assert predictor(THERMAL, VISIBLE).notes == ()
        for _ in range(2):
            result = predictor(THERMAL, VISIBLE)
            assert result.fused.shape == VISIBLE.shape
            (note,) = result.notes
            assert note.code == 'gpu_failed'
            assert 'cuda:0' in note.text and 'unspecified launch failure' in note.text
        assert predictor.device == 'cpu'

    def test_another_error_is_not_taken_for_one_of_the_gpu(self, predictor, monkeypatch):
        monkeypatch.setattr(type(self), 'error', RuntimeError('mat1 and mat2 shapes cannot be multiplied'))
        predictor = Predictor('failing')
        predictor(THERMAL, VISIBLE)
        with pytest.raises(RuntimeError, match='mat1'):
            predictor(THERMAL, VISIBLE)
        assert predictor.device == 'cuda:0'

    def test_targets_are_looked_for_on_the_same_device(self, monkeypatch):
        asked = []

        class Blind:
            def __init__(self, device):
                asked.append(device)

            def __call__(self, thermal):
                return np.zeros([side // 2 for side in thermal.shape], np.float32)

        error = self.error

        class Lost(Fixed):
            def register(self, thermal, visible):
                raise error

        def build(config, temporal):
            return (Lost if config.device == 'cuda:0' else Fixed)(Alignment(np.eye(3), 0.9, 'search'))

        monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
        monkeypatch.setattr('irvis_fusion_ros.systems.targets.Finder', Blind)
        preset = registry.Preset(('cuda', 'cpu'), build, targets=True)
        monkeypatch.setitem(registry.PRESETS, 'failing', preset)
        predictor = Predictor('failing')
        assert asked == ['cuda:0']
        assert predictor(THERMAL, VISIBLE).notes[0].code == 'gpu_failed'
        assert asked == ['cuda:0', 'cpu']

    def test_tensorrt_gives_way_to_torch_with_it(self, monkeypatch):
        built, error = [], self.error

        class Lost(Fixed):
            def register(self, thermal, visible):
                raise error

        def build(config, temporal):
            built.append((config.device, config.backend))
            return (Lost if config.device == 'cuda:0' else Fixed)(Alignment(np.eye(3), 0.9, 'search'))

        monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
        preset = registry.Preset(('cuda', 'cpu'), build, backends=('torch', 'tensorrt'))
        monkeypatch.setitem(registry.PRESETS, 'failing', preset)
        predictor = Predictor('failing', backend='tensorrt')
        assert predictor(THERMAL, VISIBLE).notes[0].code == 'gpu_failed'
        assert built == [('cuda:0', 'tensorrt'), ('cpu', 'torch')]


@pytest.mark.parametrize('dtype', ['uint8', 'int8', 'uint16', 'int16', 'int32', 'float32', 'float64'])
def test_thermal_values_are_kept_and_shown_whatever_their_type(dtype):
    """Temperatures in tenths of a degree, below zero as well, or in whole numbers of 8 bits."""
    celsius = THERMAL.astype(np.float64) / 4 - (0 if dtype == 'uint8' else 25)
    kelvin = celsius + 273.15
    values = {'int16': celsius * 10, 'int32': celsius * 1e5, 'uint16': kelvin * 100}.get(
        dtype, celsius
    ).astype(dtype)
    stated = Calibration(np.eye(3), THERMAL.shape, VISIBLE.shape[:2])
    result = Predictor('unregistered', 'cpu', calibration=stated)(values, VISIBLE)
    assert result.registered.dtype == values.dtype
    np.testing.assert_array_equal(result.registered, values)
    tone = ToneConfig(normalisation='percentile')
    shown, expected = (
        Predictor('unregistered', 'cpu', calibration=stated, tone=tone)(thermal, VISIBLE).fused.astype(int)
        for thermal in (values, values.astype(np.float32))
    )
    assert np.abs(shown - expected).max() <= 1


@pytest.mark.parametrize('bits', [10, 12, 16])
def test_a_deep_visible_image_is_as_bright_as_one_of_8_bits(bits):
    deep = (VISIBLE.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
    known = DepthConfig(bits=bits)
    plain = Predictor('unregistered', 'cpu')(THERMAL, VISIBLE).fused.astype(int)
    for predictor in (Predictor('unregistered', 'cpu'), Predictor('unregistered', 'cpu', depth=known)):
        assert np.abs(predictor(THERMAL, deep).fused - plain).mean() < 2
        assert np.abs(predictor(None, deep).fused.astype(int) - VISIBLE).max() <= 1


class TestTargets:
    """A warm figure on ground that the visible camera sees well, where there is nothing else to see."""

    SHAPE = (192, 256)

    def pair(self, depth=np.uint8):
        rng = np.random.default_rng(0)
        thermal = cv2.GaussianBlur(rng.normal(0, 1, self.SHAPE).astype(np.float32), (0, 0), 6) * 30 + 60
        thermal = cv2.ellipse(thermal, (128, 96), (7, 24), 0, 0, 360, 130, -1)
        thermal = cv2.GaussianBlur(thermal, (0, 0), 1) + rng.normal(0, 1, self.SHAPE)
        visible = np.full((*self.SHAPE, 3), (90, 120, 100), np.uint8)
        gain, offset = {np.uint8: (1, 0), np.uint16: (4, 28000)}[depth]
        return (thermal * gain + offset).clip(0, np.iinfo(depth).max).astype(depth), visible

    def fused(self, depth=np.uint8, preset='classical', **options):
        fixed = Calibration(np.eye(3), self.SHAPE, self.SHAPE)
        predictor = Predictor(preset, 'cpu', temporal=False, calibration=fixed, **options)
        return predictor(*self.pair(depth)).fused.astype(int)

    @pytest.mark.parametrize('depth', [np.uint8, np.uint16])
    def test_they_are_seen_unless_they_are_switched_off(self, depth):
        on, off = self.fused(depth), self.fused(depth, targets='off')
        assert on[96, 128].mean() - on[96, 60].mean() > 40
        assert on[96, 128].mean() - off[96, 128].mean() > 20
        assert np.abs(on - off)[:, :80].max() <= 1

    def test_a_fusion_of_its_own_is_left_alone(self):
        np.testing.assert_array_equal(
            self.fused(preset='unregistered'), self.fused(preset='unregistered', targets='off')
        )

    def test_a_tint_colours_them_alone(self):
        plain, tinted = self.fused(), self.fused(highlight='tint')
        blue, _, red = tinted[96, 128]
        assert red - blue > 80
        np.testing.assert_array_equal(tinted[:, :80], plain[:, :80])

    def test_a_tint_goes_with_every_preset(self):
        blue, _, red = self.fused(preset='unregistered', highlight='tint')[96, 128]
        assert red - blue > 60

    @pytest.mark.parametrize('camera', ['thermal_roi', 'visible_roi'])
    def test_they_are_not_shown_beyond_the_scene(self, camera):
        within, beyond = (
            np.abs(self.fused(**{camera: roi}) - self.fused(targets='off', **{camera: roi}))
            for roi in ((64, 0, 128, 192), (0, 0, 100, 192))
        )
        assert within[96, 128].mean() > 20
        assert beyond[:, 100:].max() == 0

    def test_a_tint_lies_where_they_are_beside_a_border(self):
        options = {'thermal_roi': (64, 16, 192, 160), 'visible_roi': (64, 16, 192, 160)}
        plain, tinted = self.fused(**options), self.fused(highlight='tint', **options)
        changed = np.abs(tinted - plain).max(-1) > 8
        assert changed[96, 128]
        assert not changed[:, :110].any()
        assert not changed[:, 146:].any()

    def test_they_can_be_changed_while_running(self):
        fixed = Calibration(np.eye(3), self.SHAPE, self.SHAPE)
        predictor = Predictor('classical', 'cpu', temporal=False, calibration=fixed, targets='off')
        before = predictor(*self.pair()).fused
        predictor.set_targets('warm', 'none')
        assert np.abs(predictor(*self.pair()).fused.astype(int) - before).max() > 20

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            ({'targets': 'hot'}, "unknown targets 'hot'; valid: warm, cold, both, off"),
            ({'highlight': 'glow'}, "unknown highlight 'glow'; valid: none, tint"),
        ],
    )
    def test_unknown_names_list_what_is_valid(self, options, message):
        with pytest.raises(ValueError, match=message):
            Predictor('classical', 'cpu', **options)

    @pytest.mark.parametrize('level', [0, 120, 255])
    def test_a_blank_thermal_image_shows_none(self, level):
        fixed = Calibration(np.eye(3), self.SHAPE, self.SHAPE)
        predictor = Predictor('classical', 'cpu', temporal=False, calibration=fixed, targets='both')
        _, visible = self.pair()
        thermal = np.full(self.SHAPE, level, np.uint8)
        with_targets = predictor(thermal, visible).fused
        predictor.set_targets('off', 'none')
        np.testing.assert_array_equal(with_targets, predictor(thermal, visible).fused)


def widened(image, value):
    return cv2.copyMakeBorder(image, 40, 40, 50, 50, cv2.BORDER_CONSTANT, value=(value,) * 3)


def marked(image):
    image = image // 2
    for row, text in enumerate(('2023-06-01 12:00:06', 'ALT 30.1 m', 'SPD 4.2 m/s')):
        cv2.putText(image, text, (8, 24 + 24 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 2)
    return image


def moved_pair():
    """A pair, its thermal image moved, and the transform that lays it back."""
    thermal, visible = pair((240, 320), 5)
    matrix = cv2.getRotationMatrix2D((160, 120), 1, 1.02)
    matrix[:, 2] += (4, -3)
    moved = cv2.warpAffine(thermal, matrix, (320, 240), borderMode=cv2.BORDER_REPLICATE)
    return moved, visible, np.vstack([matrix, (0, 0, 1)])


def endpoint_error(result, matrix, sides=(0, 0)):
    (y, x), (height, width) = sides, (240, 320)
    found = result.deformation[y : y + height, x : x + width]
    wanted = transform.displacement(matrix, (height, width))
    return float(np.nanmean(np.linalg.norm(found - wanted, axis=-1)))


@pytest.mark.parametrize('preset', ['classical', 'swift_lite'])
@pytest.mark.parametrize('value', [0, 128, 255])
def test_a_border_does_not_take_part_in_registration(preset, value):
    thermal, visible, matrix = moved_pair()
    predictor = Predictor(preset, 'cpu', temporal=False)
    without = predictor(thermal, visible)
    result = predictor(widened(thermal, value), widened(visible, value))
    assert abs(endpoint_error(result, matrix, (40, 50)) - endpoint_error(without, matrix)) < 0.2
    assert result.confidence > 0.9 * without.confidence
    # what is not scene is the visible image, and is not valid
    border = np.ones(result.valid.shape, bool)
    border[40:-40, 50:-50] = False
    assert not result.valid[border].any()
    np.testing.assert_array_equal(result.fused[border], widened(visible, value)[border])
    # beside it the fused image is the one of the pair without it
    difference = result.fused[40:-40, 50:-50].astype(float) - without.fused
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize('preset', ['classical', 'swift_lite'])
def test_a_border_of_one_image_does_not_take_part_in_registration(preset):
    thermal, visible, matrix = moved_pair()
    predictor = Predictor(preset, 'cpu', temporal=False)
    without = predictor(thermal, visible)
    result = predictor(thermal, widened(visible, 255))
    # 320 x 240 pixels of the thermal image are stretched over 420 x 320
    points = warp.sampling_map(result.deformation, (240, 320))[40:-40, 50:-50]
    wanted = transform.pixel_grid((240, 320)) + transform.displacement(matrix, (240, 320))
    error = float(np.nanmean(np.linalg.norm(points - wanted, axis=-1)))
    assert abs(error - endpoint_error(without, matrix)) < 0.2
    assert result.confidence > 0.9 * without.confidence
    # over the image, not around it: what is covered is lost to both
    covered = visible.copy()
    covered[:40] = 255
    result = predictor(thermal, covered)
    assert abs(endpoint_error(result, matrix) - endpoint_error(without, matrix)) < 0.5
    assert not result.valid[:40].any()


@pytest.mark.parametrize('preset', ['classical', 'swift_lite'])
def test_an_overlay_does_not_take_part_in_registration(preset):
    thermal, visible, matrix = moved_pair()
    predictor = Predictor(preset, 'cpu', temporal=False)
    without = predictor(thermal // 2, visible // 2)
    result = predictor(marked(thermal), marked(visible))
    assert abs(endpoint_error(result, matrix) - endpoint_error(without, matrix)) < 0.5
    letters = marked(visible)[..., 0] == 255
    np.testing.assert_array_equal(result.fused[letters], marked(visible)[letters])


def test_a_stream_with_a_border_is_tracked():
    thermal, visible, matrix = moved_pair()
    predictor = Predictor('classical', 'cpu')
    results = [predictor(widened(thermal, 255), widened(visible, 255)) for _ in range(3)]
    assert [result.source for result in results] == ['search', 'track', 'track']
    assert endpoint_error(results[-1], matrix, (40, 50)) < 1.5


def test_a_border_takes_no_part_in_gain_control(fixed):
    predictor, system = fixed(Alignment(np.eye(3), 1.0, 'search'))
    deep = THERMAL.astype(np.uint16) * 10 + 29000
    predictor(deep, VISIBLE)
    expected = system.seen[0]
    predictor.reset()
    sides = 20, 20, 20, 20
    predictor(
        cv2.copyMakeBorder(deep, *sides, cv2.BORDER_CONSTANT, value=65535),
        cv2.copyMakeBorder(VISIBLE, *sides, cv2.BORDER_CONSTANT, value=(255,) * 3),
    )
    np.testing.assert_allclose(system.seen[0], expected, atol=0.01)


def test_a_border_takes_no_part_in_the_gain_of_a_thermal_image_alone():
    deep = THERMAL.astype(np.uint16) * 10 + 29000
    bordered = cv2.copyMakeBorder(deep, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=65535)
    predictor = Predictor('unregistered', 'cpu')
    alone = predictor(deep, None).fused
    predictor.reset()
    np.testing.assert_allclose(predictor(bordered, None).fused[20:-20, 20:-20], alone, atol=3)


def test_a_calibration_holds_for_the_image_with_its_border(fixed):
    calibration = Calibration(np.eye(3), (176, 228), (176, 228))
    predictor, system = fixed(None, calibration=calibration)
    result = predictor(widened(THERMAL, 255), widened(VISIBLE, 255))
    np.testing.assert_allclose(result.deformation, 0, atol=1e-4)
    # fusion sees the scene alone
    assert system.trust.shape == (96, 128) and system.trust.mean() > 0.5
    assert result.confidence == 1


def test_what_is_no_scene_does_not_take_part_where_a_rig_is_refined():
    thermal, visible, matrix = moved_pair()
    beside = matrix.copy()
    beside[:2, 2] += (1.5, -1.0)
    rig = Calibration(np.linalg.inv(beside), (240, 320), (240, 320))
    predictor = Predictor('unregistered', 'cpu', temporal=False, calibration=rig, refine=True, targets='off')
    without = predictor(thermal, visible)
    assert endpoint_error(without, matrix) < 0.5
    painted = [image.copy() for image in (thermal, visible)]
    for image in painted:
        image[:24] = image[-16:] = image[:, :30] = 255
    both, one = predictor(*painted), predictor(thermal, painted[1])
    overlaid = predictor(marked(thermal), marked(visible))
    for result in (both, one, overlaid):
        apart = np.linalg.norm(result.deformation - without.deformation, axis=-1)[40:-40, 40:-40]
        assert np.nanmean(apart) < 0.2
        assert result.source == 'track' and result.confidence > 0.9
    assert not both.valid[:, :30].any()


def test_a_region_of_interest_is_what_is_used(fixed):
    rois = {'thermal_roi': (20, 10, 64, 48), 'visible_roi': (20, 10, 64, 48)}
    predictor, system = fixed(Alignment(np.eye(3), 1.0, 'search'), **rois)
    predictor.warm_up()
    result = predictor(THERMAL, VISIBLE)
    assert system.seen[0].shape == system.seen[1].shape == (48, 64)
    assert result.valid[10:58, 20:84].all() and result.valid.sum() == 255 * 48 * 64
    assert [note.code for note in result.notes] == ['little_scene']
    assert result.confidence == pytest.approx(0.5)
    predictor.set_rois((), ())
    assert predictor(THERMAL, VISIBLE).valid.all()
    predictor.set_rois((0, 0, 500, 50), ())
    with pytest.raises(ImageError, match=r"'thermal.roi' is .* 128x96"):
        predictor(THERMAL, VISIBLE)


def test_a_pair_that_cannot_be_registered_is_trusted_nowhere():
    thermal, visible = pair((240, 320), seed=1)[0], pair((240, 320), seed=11)[1]
    result = Predictor('classical', 'cpu', temporal=False)(thermal, visible)
    assert result.source == 'identity' and result.confidence < 0.5
    assert 'weak_evidence' in [note.code for note in result.notes]
    assert not result.valid.any()
    assert np.isfinite(result.deformation).all()
