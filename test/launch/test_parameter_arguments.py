"""Launch arguments in a parameter file; needs neither launch nor ROS."""

import sys

import pytest
import yaml
from installation import REPOSITORY

sys.path.insert(0, str(REPOSITORY / 'launch'))
import parameter_arguments as arguments

SCHEMA = REPOSITORY / 'config' / 'fusion.schema.json'


def test_every_parameter_of_the_node_is_an_argument():
    from irvis_fusion_ros.config import walk
    from irvis_fusion_ros.ros.options import NodeConfig

    declared = arguments.declared(SCHEMA)
    parameters = {name: value for name, _, value in walk(NodeConfig())}
    assert set(declared) == {*parameters, 'use_sim_time'}
    assert {name: declared[name]['default'] for name in parameters} == parameters


def test_a_description_has_meaning_choices_range_and_default():
    declared = arguments.declared(SCHEMA)
    mode = arguments.describe(declared['mode'])
    assert 'One of: realtime, every_frame.' in mode
    assert 'In fusion.yaml: "realtime".' in mode
    assert 'From 0 to 10' in arguments.describe(declared['sync.tolerance'])


@pytest.mark.parametrize(
    ('kind', 'text', 'value'),
    [
        ('boolean', 'true', True),
        ('boolean', 'False', False),
        ('integer', '20', 20),
        ('number', '1', 1.0),
        ('number', '-2e-3', -0.002),
        ('string', '', ''),
        ('string', '0', '0'),
    ],
)
def test_a_text_becomes_a_value_of_the_right_type(kind, text, value):
    parsed = arguments.parse('name', text, {'type': kind})
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(('kind', 'text'), [('boolean', 'yes'), ('integer', '1.5'), ('number', 'much')])
def test_another_type_is_refused_by_name(kind, text):
    with pytest.raises(ValueError, match=f"sync.x:='{text}'"):
        arguments.parse('sync.x', text, {'type': kind})


@pytest.mark.parametrize('section', ['/**', 'fusion_node', '/rig/fusion_node', '/*/fusion_node'])
@pytest.mark.parametrize('spelling', [{'sync': {'tolerance': 0.1, 'timeout': 1.0}}, {'sync.tolerance': 0.1}])
def test_an_argument_wins_over_every_section_and_spelling(section, spelling):
    document = {
        '/**': {'ros__parameters': {'mode': 'realtime'}},
        section: {'ros__parameters': dict(spelling)},
    }
    merged = arguments.with_arguments(document, {'sync.tolerance': 0.05})
    values = [
        value
        for content in merged.values()
        for name, value in flat(content['ros__parameters'])
        if name == 'sync.tolerance'
    ]
    assert values == [0.05]
    assert merged['/**']['ros__parameters']['sync.tolerance'] == 0.05


def flat(parameters, prefix=''):
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from flat(value, f'{prefix}{name}.')
        else:
            yield prefix + name, value


def test_the_rest_of_the_file_stays():
    document = {'/rig/fusion_node': {'ros__parameters': {'sync': {'tolerance': 0.1, 'timeout': 1.0}}}}
    merged = arguments.with_arguments(document, {'sync.tolerance': 0.05, 'mode': 'every_frame'})
    assert merged['/rig/fusion_node'] == {'ros__parameters': {'sync': {'timeout': 1.0}}}
    assert merged['/**'] == {'ros__parameters': {'sync.tolerance': 0.05, 'mode': 'every_frame'}}
    assert document['/rig/fusion_node']['ros__parameters']['sync']['tolerance'] == 0.1


def test_an_empty_file_is_a_file_without_parameters(tmp_path):
    (tmp_path / 'empty.yaml').write_text('')
    arguments.write(tmp_path / 'empty.yaml', {'mode': 'every_frame'}, tmp_path / 'out.yaml')
    assert yaml.safe_load((tmp_path / 'out.yaml').read_text()) == {
        '/**': {'ros__parameters': {'mode': 'every_frame'}}
    }


@pytest.mark.parametrize('text', ['mode: realtime', '- 1', '/**: {ros__parameters: 3}', '{', '/**:'])
def test_what_is_no_parameter_file_is_refused_by_name(tmp_path, text):
    (tmp_path / 'mine.yaml').write_text(text)
    with pytest.raises(ValueError, match=r'mine\.yaml'):
        arguments.write(tmp_path / 'mine.yaml', {}, tmp_path / 'out.yaml')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"params_file '.*nowhere\.yaml'"):
        arguments.write(tmp_path / 'nowhere.yaml', {}, tmp_path / 'out.yaml')
