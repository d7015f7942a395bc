"""What a stream leaves in a predictor is all that another one needs to go on with it."""

import ast

import numpy as np
import pytest
from installation import NAME, REPOSITORY

from irvis_fusion_ros import memory
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.io import values
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems import registry


def frames(count):
    thermal, visible = pair((96, 128), seed=5)
    deep = thermal.astype(np.uint16) * 20 + 5000
    return [(np.roll(deep, number, 1) + np.uint16(40 * number), visible) for number in range(count)]


def assert_goes_on(file, first, second):
    """The second of two equal predictors goes on, by a file, where the first one has come to."""
    stream = frames(5)
    for thermal, visible in stream[:3]:
        first(thermal, visible)
    values.write(file, memory.of(first))
    memory.put(second, values.read(file))
    for thermal, visible in stream[3:]:
        one, two = first(thermal, visible), second(thermal, visible)
        for name in ('fused', 'registered', 'deformation', 'valid', 'transform'):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        assert (one.confidence, one.source, one.cold) == (two.confidence, two.source, two.cold)


@pytest.mark.parametrize('preset', registry.PRESETS)
def test_another_predictor_goes_on_as_if_it_had_seen_the_stream(tmp_path, preset):
    assert_goes_on(tmp_path / 'memory.npz', *(Predictor(preset, 'cpu') for _ in range(2)))


def test_looking_at_the_memory_forgets_nothing():
    predictor = Predictor('classical', 'cpu')
    thermal, visible = frames(1)[0]
    predictor(thermal, visible)
    memory.of(predictor)
    assert not predictor(thermal, visible).cold


def test_a_predictor_with_a_rig_goes_on(tmp_path):
    rig = Calibration(np.eye(3), (96, 128), (96, 128), spread=(0.5,) * 5)
    both = (Predictor('classical', 'cpu', calibration=rig, refine=True) for _ in range(2))
    assert_goes_on(tmp_path / 'memory.npz', *both)


def remembering():
    """Yield each class that names what it keeps of a stream, and what its `reset` forgets."""
    for path in sorted((REPOSITORY / NAME).rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                body = {getattr(each, 'name', None): each for each in node.body}
                names = [each for each in node.body if isinstance(each, ast.Assign) and is_stream(each)]
                if names and 'reset' in body:
                    yield pytest.param(ast.literal_eval(names[0].value), body['reset'], id=node.name)


def is_stream(statement):
    return [each.id for each in statement.targets if isinstance(each, ast.Name)] == ['STREAM']


@pytest.mark.parametrize(('names', 'reset'), [*remembering()])
def test_what_a_stream_leaves_is_named_where_it_is_reset(names, reset):
    for node in ast.walk(reset):
        attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if attribute and node.value.id == 'self' and isinstance(node.ctx, ast.Store):
            assert node.attr in names
