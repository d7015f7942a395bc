"""Options of a flight as a user lists them, and how mistakes in them are named."""

import pytest

from irvis_fusion_ros.flight import option_list
from irvis_fusion_ros.flight.config import RIG, THERMAL, FlightConfig


def test_a_list_and_a_file_say_the_same(tmp_path):
    path = tmp_path / 'rig.yaml'
    path.write_text('baseline: 0.2\nclock: 0.04\nzoom: 3:1.5 6:1\n')
    listed = option_list.read('baseline=0.2, clock=0.04,zoom=3:1.5 6:1', RIG, '--rig')
    assert listed == option_list.read(str(path), RIG, '--rig')
    assert listed == {'baseline': 0.2, 'clock': 0.04, 'zoom': '3:1.5 6:1'}
    FlightConfig(**listed)


def test_keys_of_the_thermal_camera_go_without_their_prefix():
    assert option_list.read('blur=1,polarity=black_hot', THERMAL, '--thermal', 'thermal_') == {
        'thermal_blur': 1.0,
        'thermal_polarity': 'black_hot',
    }


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('basline=1', "--rig: unknown key 'basline'; valid: baseline, "),
        ('baseline=wide', "--rig: 'baseline' is 'wide': must be a number"),
        ('nowhere.yaml', 'nowhere.yaml: --rig cannot be read'),
        ('seconds=3', "--rig: unknown key 'seconds'"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError) as raised:
        option_list.read(text, RIG, '--rig')
    assert message in str(raised.value)


def test_a_file_without_keys_is_refused(tmp_path):
    path = tmp_path / 'rig.yaml'
    path.write_text('- 1\n')
    with pytest.raises(ValueError, match='expected keys and values'):
        option_list.read(str(path), RIG, '--rig')
