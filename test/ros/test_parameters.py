"""Options as parameters of a node in this process."""

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter

from irvis_fusion_ros.config import walk
from irvis_fusion_ros.ros.node import FusionNode
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.parameters import ParameterError, Parameters, with_values


@pytest.fixture
def context(ros):
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def make_node(context):
    nodes = []

    def make(overrides=None, make=LifecycleNode):
        given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        name = ('fusion_node',) if make is LifecycleNode else ()
        nodes.append(make(*name, context=context, parameter_overrides=given))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def declare(node, apply=lambda old, new: None, configured=False):
    return Parameters(node, apply, lambda: configured)


def set_one(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_descriptors_say_what_the_options_say(make_node):
    node = make_node()
    declare(node)
    types = {
        bool: ParameterType.PARAMETER_BOOL,
        int: ParameterType.PARAMETER_INTEGER,
        float: ParameterType.PARAMETER_DOUBLE,
        str: ParameterType.PARAMETER_STRING,
    }
    for name, spec, default in walk(NodeConfig()):
        described = node.describe_parameter(name)
        assert node.get_parameter(name).value == default
        assert described.type == types[type(default)]
        assert described.description.startswith(spec.description)
        assert described.read_only == (name == 'autostart')
        for choice in spec.choices or ():
            assert choice in described.additional_constraints
        if spec.minimum is not None:
            limits = (described.floating_point_range or described.integer_range)[0]
            assert (limits.from_value, limits.to_value) == (spec.minimum, spec.maximum)


def test_values_at_start_are_taken_and_whole_numbers_are_numbers(make_node):
    given = {'sync.tolerance': 1, 'mode': 'every_frame', 'thermal.smoothing': 0.5, 'limits.max_pixels': 5000}
    config = declare(make_node(given)).config
    assert (config.sync.tolerance, config.mode, config.thermal.smoothing) == (1.0, 'every_frame', 0.5)
    assert isinstance(config.sync.tolerance, float)
    assert config.limits.max_pixels == 5000


@pytest.mark.parametrize('value', ['off', False])
def test_off_may_be_what_yaml_makes_of_it(make_node, value):
    assert declare(make_node({'targets': value})).config.targets == 'off'


@pytest.mark.parametrize('roi', ['0, 10, 64, 48', [0, 10, 64, 48]])
def test_a_region_of_interest_is_a_text_or_a_list(make_node, roi):
    config = declare(make_node({'thermal.roi': roi})).config
    assert config.thermal.roi == '0, 10, 64, 48'


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('sync.tolerance', 11.0, "'sync.tolerance' is 11.0: must be at most 10 s"),
        ('sync.tolerance', 'x', "'sync.tolerance' is 'x': must be a number"),
        ('limits.max_pixels', 1.5, "'limits.max_pixels' is 1.5: must be a whole number"),
        ('autostart', 'yes', "'autostart' is 'yes': must be true or false"),
        ('mode', 'x', "'mode' is 'x': must be one of 'realtime', 'every_frame'"),
        ('preset', 'x', "'preset' is 'x': unknown preset 'x'; valid: classical"),
        ('backbone', 'x', "'backbone' is 'x'"),
    ],
)
def test_bad_values_at_start(make_node, name, value, words):
    with pytest.raises(ParameterError, match=words.replace('(', r'\(')):
        declare(make_node({name: value}))


def test_changes_are_applied_before_they_are_accepted(make_node):
    seen = []

    def apply(old, new):
        seen.append((old.sync.tolerance, new.sync.tolerance))
        if new.sync.tolerance > 1:
            raise ValueError('that is too much for this rig')

    node = make_node()
    parameters = declare(node, apply, configured=True)
    assert set_one(node, 'sync.tolerance', 0.5).successful
    refused = set_one(node, 'sync.tolerance', 2.0)
    assert not refused.successful and refused.reason == 'that is too much for this rig'
    assert seen == [(0.02, 0.5), (0.5, 2.0)]
    assert parameters.config.sync.tolerance == node.get_parameter('sync.tolerance').value == 0.5
    assert set_one(node, 'sync.tolerance', 0.5).successful and len(seen) == 2, 'no change, nothing to apply'


def test_options_that_are_not_live_need_cleanup(make_node):
    for configured in (True, False):
        node = make_node()
        parameters = declare(node, configured=configured)
        for name, spec, default in walk(NodeConfig()):
            if spec.live or name == 'autostart' or not isinstance(default, str) or not spec.choices:
                continue
            others = [choice for choice in spec.choices if choice != default]
            if others and name != 'calibration.source':
                result = set_one(node, name, others[0])
                assert result.successful != configured, name
                assert configured == ('needs cleanup and configure' in result.reason)
        assert (parameters.config == NodeConfig()) == configured


def test_several_values_are_judged_together(make_node):
    node = make_node()
    parameters = declare(node, configured=True)
    result = node.set_parameters_atomically(
        [
            Parameter('thermal.normalisation', value='range'),
            Parameter('thermal.range_min', value=70000.0),
            Parameter('thermal.range_max', value=80000.0),
        ]
    )
    assert result.successful
    assert parameters.config.thermal.range_max == 80000
    assert not set_one(node, 'thermal.range_max', 60000.0).successful


def test_parameters_of_others_are_left_alone(make_node):
    node = make_node()
    declare(node, configured=True)
    node.declare_parameter('somebody.elses', 1)
    assert set_one(node, 'somebody.elses', 2).successful
    assert set_one(node, 'use_sim_time', True).successful


def test_with_values_replaces_by_dotted_name():
    config = with_values(
        NodeConfig(), {'mode': 'every_frame', 'thermal.range_max': 9.0, 'sync.tolerance': 0.1}
    )
    assert (config.mode, config.thermal.range_max, config.sync.tolerance) == ('every_frame', 9.0, 0.1)
    assert config.thermal.transport == NodeConfig().thermal.transport


def test_the_node_shadows_nothing_of_its_base_class(make_node):
    plain = vars(make_node())
    ours = vars(make_node({'autostart': False}, make=FusionNode))
    for name, value in plain.items():
        assert type(ours[name]) is type(value), f'{name} of the base class was overwritten'
    methods = {'__init__', '__module__', '__doc__', *(f'on_{t}' for t in
               ('configure', 'activate', 'deactivate', 'cleanup', 'shutdown', 'error'))}  # fmt: skip
    inherited = {name for base in LifecycleNode.__mro__ for name in vars(base)}
    assert not (set(vars(FusionNode)) & inherited) - methods
