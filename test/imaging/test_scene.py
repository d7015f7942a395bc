import cv2
import numpy as np
import pytest

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.geometry.margins import NONE, Margins
from irvis_fusion_ros.imaging.scene import LITTLE, LOOK, Scene, Scenes, of_whole
from irvis_fusion_ros.imaging.scene_margins import LASTING, roi_margins, roi_of

THERMAL, VISIBLE = (image if image.ndim == 2 else image[..., 1].copy() for image in pair((240, 320)))


def bordered(image, value, *sides):
    left, top, right, bottom = sides
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=value)


def labelled(image):
    image = image // 2
    cv2.putText(image, '2023-06-01', (15, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    return image


def bright(image):
    return image.astype(np.float32) / 255


def test_a_pair_without_borders_is_whole():
    scenes = Scenes().find(THERMAL, bright(VISIBLE))
    scenes = Scenes().without_overlays(scenes, bright(THERMAL), bright(VISIBLE))
    assert scenes.whole and scenes.cuts == (NONE, NONE)
    assert scenes.thermal.counted() is None


def test_what_both_have_is_cut():
    scenes = Scenes().find(
        bordered(THERMAL, 255, 40, 30, 40, 30), bright(bordered(VISIBLE, 0, 40, 30, 40, 30))
    )
    assert scenes.cuts == (Margins(40, 30, 40, 30),) * 2
    image = bright(bordered(VISIBLE, 0, 40, 30, 40, 30))
    np.testing.assert_array_equal(scenes.visible.shown(image), bright(VISIBLE))


def test_of_other_sizes_the_same_share_is_cut():
    small = bordered(cv2.resize(THERMAL, (160, 120)), 255, 20, 20, 20, 20)
    scenes = Scenes().find(small, bright(bordered(VISIBLE, 255, 40, 40, 40, 40)))
    assert scenes.cuts == (Margins(20, 20, 20, 20), Margins(40, 40, 40, 40))


def test_a_border_around_one_image_is_cut_from_that_one():
    thermal = bordered(THERMAL, 255, 60, 40, 60, 40)
    scenes = Scenes().find(thermal, bright(VISIBLE))
    assert scenes.cuts == (Margins(60, 40, 60, 40), NONE)
    np.testing.assert_array_equal(scenes.thermal.shown(bright(thermal)), bright(THERMAL))
    scenes = Scenes().find(bordered(THERMAL, 255, 0, 0, 0, 30), bordered(VISIBLE, 0, 20, 30, 20, 30))
    assert scenes.cuts == (Margins(bottom=30), Margins(20, 30, 20, 30))


def test_what_a_border_covers_of_one_image_is_cut_from_both():
    covered = bordered(THERMAL[:200], 255, 0, 0, 0, 40)
    scenes = Scenes().find(covered, cv2.resize(VISIBLE, (640, 480)))
    assert scenes.cuts == (Margins(bottom=40), Margins(bottom=80))
    assert scenes.visible.margins == NONE
    np.testing.assert_array_equal(scenes.thermal.shown(bright(covered)), bright(THERMAL[:200]))
    narrow = bordered(THERMAL[20:200], 255, 0, 20, 0, 40)
    scenes = Scenes().find(narrow, bordered(VISIBLE[30:], 0, 0, 30, 0, 0))
    assert scenes.cuts == (Margins(0, 30, 0, 40),) * 2


def test_where_nothing_would_be_left_nothing_is_cut():
    scenes = Scenes((0, 0, 165, 0), (150, 0, 0, 0)).find(THERMAL, VISIBLE)
    assert scenes.cuts == (NONE, NONE)
    # it is filled from what is beside it
    shown = scenes.thermal.shown(bright(THERMAL))
    np.testing.assert_array_equal(shown[:, :165], bright(THERMAL)[:, :165])
    assert np.ptp(shown[:, 310:]) < np.ptp(bright(THERMAL)[:, 310:]) / 2


def test_overlays_are_filled_and_not_counted():
    thermal, visible = labelled(THERMAL), labelled(VISIBLE)
    finder = Scenes()
    scenes = finder.without_overlays(finder.find(thermal, visible), bright(thermal), bright(visible))
    assert not scenes.whole
    letters = thermal == 255
    assert (scenes.thermal.mask()[letters] == 0).mean() > 0.97
    assert scenes.thermal.shown(bright(thermal))[letters].max() < 0.8


def test_the_mask_of_a_thermal_image_of_another_size_is_of_its_size():
    large = cv2.resize(THERMAL, (640, 480))
    thermal, visible = cv2.resize(labelled(cv2.resize(large, (320, 240))), (640, 480)), labelled(VISIBLE)
    finder = Scenes()
    scenes = finder.without_overlays(finder.find(thermal, visible), bright(thermal), bright(visible))
    if not scenes.whole:
        assert scenes.thermal.overlay.shape == (480, 640) and scenes.visible.overlay.shape == (240, 320)


def test_borders_of_a_stream_change_when_that_lasts():
    plain, boxed = THERMAL, bordered(THERMAL[40:-40], 0, 0, 40, 0, 40)
    finder = Scenes()
    assert finder.find(boxed, VISIBLE).thermal.margins == Margins(0, 40, 0, 40)
    found = [finder.find(plain, VISIBLE).thermal.margins for _ in range(LASTING)]
    assert found == [Margins(0, 40, 0, 40)] * (LASTING - 1) + [NONE]
    # one frame says nothing
    assert finder.find(boxed, VISIBLE).thermal.margins == NONE
    finder.reset()
    assert finder.find(boxed, VISIBLE).thermal.margins == Margins(0, 40, 0, 40)


def test_an_overlay_that_moves_through_a_stream_is_scene():
    finder, found = Scenes(), []
    for frame in range(0, 60):
        images = []
        for image in (THERMAL // 2, VISIBLE // 2):
            cv2.putText(image, '0042', (10, 40 + 4 * (frame % 48)), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
            images.append(bright(image))
        scenes = finder.without_overlays(finder.find(*images), *images)
        found.append(scenes.thermal.overlay is not None)
    # what the first look said counts for less than half at the fourth
    assert found[0] and not any(found[3 * LOOK : 45])


def test_regions_of_interest():
    assert roi_of('') == roi_of('  ') == ()
    assert roi_of('10, 20, 200, 100') == roi_of('[10 20 200 100]') == (10, 20, 200, 100)
    assert roi_margins('thermal', (10, 20, 200, 100), (240, 320)) == Margins(10, 20, 110, 120)
    assert roi_margins('thermal', (10, 20, 0, 0), (240, 320)) == Margins(10, 20)
    scenes = Scenes((10, 20, 200, 100), (10, 20, 200, 100)).find(THERMAL, VISIBLE)
    assert scenes.cuts == (Margins(10, 20, 110, 120),) * 2


@pytest.mark.parametrize('text', ['1, 2, 3', 'all', '1.5, 2, 300, 200', '-1, 0, 100, 100', '0, 0, 31, 100'])
def test_a_region_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match='must'):
        roi_of(text)


@pytest.mark.parametrize('roi', [(0, 0, 321, 240), (300, 0, 0, 0), (0, 300, 0, 0)])
def test_a_region_beyond_the_image_is_refused_by_name(roi):
    with pytest.raises(ImageError, match=r"'visible.roi' is \[.*320x240") as caught:
        Scenes((), roi).find(THERMAL, VISIBLE)
    assert (caught.value.cause, caught.value.camera) == ('roi', 'visible')


def test_confidence_falls_where_little_is_scene():
    scenes = Scenes().find(bordered(THERMAL, 255, 40, 40, 40, 40), bordered(VISIBLE, 255, 40, 40, 40, 40))
    assert of_whole(Alignment(np.eye(3), 0.9, 'search'), scenes).confidence == 0.9
    scenes = Scenes((0, 0, 160, 120), ()).find(THERMAL, VISIBLE)
    found = of_whole(Alignment(np.eye(3), 0.9, 'search'), scenes)
    assert found.confidence == pytest.approx(0.45) and found.notes == (LITTLE,)


@pytest.mark.parametrize(
    ('thermal', 'visible'),
    [
        (((300, 400), Margins(40, 30, 40, 30)), ((300, 400), Margins(40, 30, 40, 30))),
        (((120, 200), Margins(7, 3, 20, 1)), ((301, 402), Margins(0, 31, 44, 5))),
    ],
)
def test_an_alignment_of_cut_images_is_that_of_the_whole_ones(thermal, visible):
    """Each visible pixel samples the same thermal pixel, whichever of both is asked."""
    rng = np.random.default_rng(1)
    matrix = np.array([[1.02, 0.03, 4], [-0.02, 0.97, -3], [1e-5, 2e-5, 1]])
    residual = rng.normal(0, 2, (9, 13, 2)).astype(np.float32)
    trust = rng.uniform(0, 1, (9, 13)).astype(np.float32)
    cut = Alignment(matrix, 0.9, 'search', residual=residual, trust=trust)
    whole = cut.uncut(thermal, visible)
    (thermal_shape, thermal_cut), (shape, margins) = thermal, visible
    inner = margins.shape_of(shape)
    expected = warp.sampling_map(cut.deformation(inner), thermal_cut.shape_of(thermal_shape))
    expected += np.float32([thermal_cut.left, thermal_cut.top])
    found = warp.sampling_map(whole.deformation(shape), thermal_shape)
    np.testing.assert_allclose(margins.inner(found), expected, atol=2e-3)
    np.testing.assert_allclose(margins.inner(whole.trust_map(shape)), cut.trust_map(inner), atol=1e-6)


def test_what_is_fused_goes_on_beyond_the_thermal_scene():
    scene = Scene((300, 400), margins=Margins(40, 30, 40, 30))
    image = bright(bordered(THERMAL, 255, 40, 30, 40, 30))
    points = transform.pixel_grid((300, 400))
    sampled = scene.sampled(image, points)
    np.testing.assert_array_equal(sampled[30:-30, 40:-40], bright(THERMAL))
    np.testing.assert_array_equal(sampled[:30, 40:-40], np.repeat(bright(THERMAL)[:1], 30, 0))
