import numpy as np
import pytest

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.evaluation.metrics import edges


def stripe(column, shape=(64, 96)):
    image = np.full(shape, 0.2)
    image[:, column:] = 0.8
    return image


def test_an_edge_is_found_where_it_is_and_one_pixel_wide():
    found = edges.edges(stripe(40))
    columns = np.flatnonzero(found.any(0))
    assert set(columns) <= {39, 40}
    assert (found.sum(1) == 1).all()


def test_contrast_and_brightness_do_not_matter():
    image = synthetic.textured((80, 120), 3) / 255
    assert edges.f_score(0.3 * image + 0.2, image) > 0.98
    assert edges.f_score(1 - image, image) > 0.98


@pytest.mark.parametrize('shift, expected', [(0, 1), (1, 1), (2, 1), (3, 0), (10, 0)])
def test_two_pixels_off_still_count(shift, expected):
    assert edges.f_score(stripe(40 + shift), stripe(40)) == expected


def test_precision_and_recall_are_balanced():
    both = stripe(30)
    both[:, 60:] = 0.2
    # half of the edges found are wrong, all that are expected are found: 2 * 0.5 * 1 / 1.5
    assert edges.f_score(both, stripe(30)) == pytest.approx(2 / 3)


def test_only_what_is_shown_counts():
    both = stripe(30)
    both[:, 60:] = 0.2
    shown = np.zeros(both.shape, bool)
    shown[:, :50] = True
    assert edges.f_score(both, stripe(30), shown) == 1


def test_a_flat_image_has_no_edges():
    flat = np.full((40, 40), 0.5)
    assert not edges.edges(flat).any()
    assert edges.f_score(flat, stripe(20, (40, 40))) == 0
