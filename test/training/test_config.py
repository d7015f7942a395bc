from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from irvis_fusion_ros.config import option
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training import config
from irvis_fusion_ros.training.config import MixtureConfig, TrainConfig
from irvis_fusion_ros.training.data import warps
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.recipes.base import Recipe

EXAMPLES = sorted((Path(__file__).parents[2] / 'config').glob('train_*.yaml'))


@dataclass(frozen=True)
class Own:
    """Options of a system."""

    steps: int = option(10, 'Steps.', minimum=1)
    rate: float = option(0.5, 'Rate.')


class Some(Recipe):
    Config = Own


def write(folder, text):
    path = folder / 'run.yaml'
    path.write_text(text)
    return path


def test_what_is_not_said_keeps_its_default(tmp_path):
    text = 'data: [a.npz, b]\nbatch: 4\nmixture: {large: 1}\njoint: {turn: 90}\nrecipe: {rate: 2}\n'
    run, own = config.load(write(tmp_path, text), Some)
    assert run.data == ('a.npz', 'b')
    assert (run.batch, run.width) == (4, TrainConfig().width)
    assert (run.mixture.large, run.mixture.fr) == (1.0, MixtureConfig().fr)
    assert run.joint.turn == 90.0
    assert own == Own(rate=2.0)


def test_a_configuration_survives_yaml(tmp_path):
    run = TrainConfig(data=('x',), batch=3)
    text = yaml.safe_dump(config.plain(run))
    assert config.load(write(tmp_path, text), Some) == (run, Own())
    assert config.load(write(tmp_path, ''), Some) == (TrainConfig(), Own())


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('batsch: 4', "unknown key 'batsch'; valid: accept, batch"),
        ('mixture: {dilate5: 1}', "unknown key 'mixture.dilate5'; valid: dilate, elastic_heavy"),
        ('recipe: {epochs: 1}', "unknown key 'recipe.epochs'; valid: rate, steps"),
        ('batch: 0', "'batch' is 0: must be at least 1"),
        ('batch: 2.5', "'batch' is 2.5; it has to be of type int"),
        ('batch: true', "'batch' is True; it has to be of type int"),
        ('ema: high', "'ema' is 'high'; it has to be of type float"),
        ('joint: {turn: 200}', "'joint.turn' is 200.0: must be at most 180 degrees"),
        ('recipe: {steps: 0}', "'recipe.steps' is 0: must be at least 1"),
        (
            'mixture: {zero: 0, fr: 0, elastic_light: 0, elastic_mid: 0, elastic_heavy: 0, large: 0}',
            'the mixture of protocols needs a share above 0',
        ),
        ('mixture: 3', "'mixture' is 3; it has to be keys with values"),
        ('recipe: 3', "'recipe' is 3; it has to be keys with values"),
        ('data: pack.npz', "'data' is 'pack.npz'; it has to be a list of names"),
        ('[1, 2]', 'a configuration is keys with values'),
        ('a: [', 'not YAML'),
    ],
)
def test_clear_errors(tmp_path, text, message):
    with pytest.raises(FileError) as caught:
        config.load(write(tmp_path, text), Some)
    assert message in str(caught.value)
    assert 'run.yaml' in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(FileError, match='the configuration cannot be read'):
        config.load(tmp_path / 'run.yaml', Some)


def test_every_protocol_that_is_drawn_from_has_a_share():
    assert [entry.name for entry in fields(MixtureConfig)] == list(warps.NAMES)
    warps.check_mixture(config.plain(MixtureConfig()))


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_the_configurations_that_come_along_are_valid(path):
    system = path.stem.removeprefix('train_').partition('.')[0]
    config.load(path, table.find(system))
