"""The sentences that say why there is no pair. No ROS needed."""

from collections import Counter
from dataclasses import replace

import pytest

from irvis_fusion_ros.ros.reasons import Situation, no_pair

THERMAL = Situation('thermal', '/thermal/image_raw', publishers=1, received=50)
VISIBLE = Situation('visible', '/visible/image_raw', publishers=1, received=150)


def why(thermal=THERMAL, visible=VISIBLE, *, lag=0.0, miss=None, offset=0.0):
    return no_pair([thermal, visible], lag=lag, miss=miss, tolerance=0.02, offset=offset, timeout=0.6)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'publishers': 0, 'received': 0}, 'has no publisher: start the camera, or remap the topic'),
        (
            {'publishers': 0, 'received': 0, 'other_topic': '/t/compressed', 'other_transport': 'compressed'},
            '/t/compressed has: set thermal.transport to compressed',
        ),
        (
            {'publishers': 0, 'received': 0, 'other_topic': '/t/theora', 'other_transport': 'theora'},
            '/t/theora has: theora is not read here; have it send raw, compressed, h264, or run `ros2 run',
        ),
        (
            {'publishers': 0, 'received': 0, 'foreign_types': ('std_msgs/msg/String',)},
            'has no publisher of images, but of std_msgs/msg/String',
        ),
        ({'received': 0, 'incompatible': 'RELIABILITY'}, 'quality of service (RELIABILITY) is incompatible'),
        ({'received': 0}, 'has a publisher, but nothing arrives'),
        ({'received': 0, 'lost': 88}, 'all 88 images on thermal topic'),
        ({'refused': Counter(zero_stamp=50)}, 'all 50 images on thermal topic'),
        ({'refused': Counter(zero_stamp=50)}, 'refused: their stamps are zero'),
        ({'refused': Counter(step=50), 'last_refusal': '/thermal/image_raw: step 7'}, 'refused: step 7'),
    ],
)  # fmt: skip
def test_the_camera_that_is_to_blame_is_named(change, words):
    sentence = why(thermal=replace(THERMAL, **change))
    assert words in sentence
    assert '/thermal/image_raw' in sentence and 'visible' not in sentence


def test_both_cameras_may_be_to_blame():
    nothing = {'publishers': 0, 'received': 0}
    sentence = why(replace(THERMAL, **nothing), replace(VISIBLE, **nothing))
    assert sentence.count('has no publisher') == 2


def test_clocks_that_are_apart():
    assert why(lag=0.143) == (
        'thermal stamps lag visible ones by 0.143 s (tolerance 0.020 s): set sync.thermal_offset to 0.143'
    )
    assert why(lag=-0.5, offset=0.2) == (
        'visible stamps lag thermal ones by 0.500 s (tolerance 0.020 s): set sync.thermal_offset to -0.300'
    )


def test_images_that_come_later_than_they_are_waited_for():
    sentence = why(lag=0.8)
    assert 'set sync.thermal_offset to 0.800, or' in sentence and 'raise sync.timeout above that' in sentence


def test_cameras_that_are_not_synchronised():
    assert 'the nearest stamps are 0.031 s apart' in why(miss=0.031)


def test_a_few_refused_images_are_not_the_reason():
    assert 'refused' not in why(thermal=replace(THERMAL, refused=Counter(step=10)), miss=0.031)
    assert why() and why(lag=None)
