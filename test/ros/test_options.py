"""The options: declared well, and what does not go together is said. No ROS needed."""

import dataclasses
import math

import pytest

from irvis_fusion_ros.config import check, problem_of, walk
from irvis_fusion_ros.ros.options import NodeConfig, ThermalConfig, VisibleConfig, conflict


def test_the_defaults_keep_to_their_own_limits():
    check(NodeConfig())
    assert conflict(NodeConfig()) is None


def test_every_option_is_described_and_bounded():
    for name, spec, default in walk(NodeConfig()):
        assert spec.description.endswith('.') and len(spec.description) > 10, name
        assert isinstance(default, (bool, int, float, str)), name
        if spec.choices is not None:
            assert default in spec.choices, name
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            assert spec.minimum is not None and spec.maximum is not None, name
        assert name == name.lower() and ' ' not in name


def test_numbers_that_are_none_are_refused_for_every_option():
    for name, spec, default in walk(NodeConfig()):
        if isinstance(default, float):
            for value in (math.nan, math.inf, -math.inf, 1e300):
                assert f"'{name}' is {value!r}: must be at" in problem_of(name, spec, default, value)


def test_what_the_architecture_fixes():
    names = {name: default for name, _, default in walk(NodeConfig())}
    fixed = {
        'mode': 'realtime',
        'preset': 'auto',
        'registration_first': 'auto',
        'backbone': '',
        'device': 'auto',
        'backend': 'auto',
        'output_encoding': 'bgr8',
        'autostart': True,
        'sync.policy': 'nearest',
        'sync.tolerance': 0.02,
        'sync.thermal_offset': 0.0,
        'calibration.source': 'none',
        'calibration.file': '',
        'thermal.transport': 'raw',
        'visible.transport': 'raw',
        'thermal.roi': '',
        'visible.roi': '',
        'on_missing': 'drop',
    }
    assert {name: names[name] for name in fixed} == fixed
    assert {'limits.max_pixels', 'every_frame.max_queue_bytes'} <= names.keys()


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            {'thermal': ThermalConfig(normalisation='range', range_min=5, range_max=5)},
            "'thermal.range_max' is 5",
        ),
        (
            {'thermal': ThermalConfig(roi='0, 0, 640')},
            "'thermal.roi' is '0, 0, 640': must be four whole numbers",
        ),
        (
            {'visible': VisibleConfig(roi='-1, 0, 640, 480')},
            "'visible.roi' is '-1, 0, 640, 480': must not be",
        ),
        (
            {'preset': 'classical', 'backbone': 'max'},
            "'backbone' is 'max': preset 'classical' has no backbone to choose",
        ),
        ({'preset': 'unregistered', 'backbone': 'resnet'}, "'backbone' is 'resnet': unknown backbone"),
        ({'device': 'gpu'}, "'device' is 'gpu': unknown device"),
    ],
)
def test_conflicts_name_the_option_and_its_value(changes, words):
    assert words in conflict(dataclasses.replace(NodeConfig(), **changes))
