"""Every reader of files, whatever it is given: a FileError that names the file, with little memory."""

import os

import cv2
import hostile_files
import hypothesis
import mutation
import numpy as np
import pytest
import torch
from memory_taken import taken_by

from irvis_fusion_ros import calibration
from irvis_fusion_ros.backbones import description as backbone
from irvis_fusion_ros.data import datasets, folders, targets
from irvis_fusion_ros.detection import description as detector
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import images, values, weights
from irvis_fusion_ros.offline import parameters
from irvis_fusion_ros.training import checkpoint, config
from irvis_fusion_ros.training.checkpoint import Checkpoint
from irvis_fusion_ros.training.data import pack
from irvis_fusion_ros.training.recipes import table

RIG = 'matrix: [2, 0.1, -4, 0, 2, 3, 0, 0, 1]\nthermal_size: [640, 512]\nvisible_size: [1280, 720]\n'
LENS = (
    'thermal_lens: {model: plumb_bob, k: [500, 0, 320, 0, 500, 256, 0, 0, 1], coefficients: [-0.1, 0.01]}\n'
    'parallax_direction: [1, 0]\nparallax_range: [0, 20]\nspread: [1, 1, 0, 0]\nthermal_offset: 0.01\n'
)
PAIRS = (
    '[{"name": "first 1", "ir": "ir/1.png", "vi": "vi/1.png", "sequence": "a", "light": "day", '
    '"H_ir_to_vi": [[1, 0, 3], [0, 1, 4], [0, 0, 1]]}, '
    '{"name": "second 2", "ir": "ir/2.png", "vi": "vi/2.png", "scene": 3}]'
)
TARGETS = '{"first 1": [[1, 2, 10, 11]], "second": []}'
# Each reads a path; the content is one that it can read.
YAML = {
    'calibration': (calibration.load, RIG + LENS),
    'backbone': (
        backbone.read,
        'inputs: [{image: thermal}, {image: visible, range: [0, 255]}]\nmultiple: 8\n',
    ),
    'detector': (
        detector.read,
        'model: a.onnx\noutput: nanodet\nsize: [416, 416]\nclasses: [person]\nscore: 0.3\n',
    ),
    'training': (lambda path: config.load(path, table.find('busref')), 'batch: 2\nseed: 1\n'),
    'parameters': (
        parameters.load,
        '/**:\n  ros__parameters:\n    mode: every_frame\n    sync: {tolerance: 0.02}\n',
    ),
}
JSON = {
    'data set': (lambda path: datasets.natural(path.parent) + datasets.recorded(path.parent), PAIRS),
    'list of pairs': (lambda path: folders.listed(path, path.parent, path.parent), PAIRS),
    'targets': (targets.load, TARGETS),
}


def _weights(path):
    weights.save(path, 'busref', {'a': 1}, {'one': torch.arange(6.0), 'two': torch.ones(2, 3)})


def _pack(path):
    image = np.arange(40 * 40, dtype=np.uint16).reshape(40, 40).astype(np.uint8)
    pack.save(path, [pack.Item('a/1', 'a/1', 'train', image, image)])


def _checkpoint(path):
    state = {'one': torch.arange(6.0)}
    checkpoint.save(path, Checkpoint('busref', {}, 3, state, state, None, {}, 0))


ARCHIVES = {
    'pack': (pack.load, _pack, '.npz'),
    'state': (values.read, lambda path: values.write(path, {'a': np.arange(6), 'b': [1, 'c']}), '.npz'),
    'checkpoint': (lambda path: checkpoint.load(path, 'busref'), _checkpoint, '.pt'),
}
WEIGHTS = {'weights': (lambda path: weights.read(path, 'busref'), _weights, '.safetensors')}
OTHERS = {'image': (images.read, lambda path: cv2.imwrite(str(path), np.eye(40, dtype=np.uint8)), '.png')}


def made(folder):
    """Return by name a reader, a path for it, and bytes of a file that it can read."""
    found = {}
    for kind, readers in (('.yaml', YAML), ('.json', JSON)):
        for name, (read, content) in readers.items():
            found[name] = (
                read,
                folder / name / ('pairs.json' if kind == '.json' else f'a{kind}'),
                content.encode(),
            )
    for name, (read, write, suffix) in {**ARCHIVES, **WEIGHTS, **OTHERS}.items():
        path = folder / name / f'a{suffix}'
        path.parent.mkdir()
        write(path)
        found[name] = read, path, path.read_bytes()
    for name in (*YAML, *JSON):
        (folder / name).mkdir()
    for name in ('data set', 'list of pairs'):
        for camera in ('ir', 'vi'):
            (folder / name / camera).mkdir()
            for number in (1, 2):
                cv2.imwrite(str(folder / name / camera / f'{number}.png'), np.eye(40, dtype=np.uint8))
    return found


NAMES = (*YAML, *JSON, *ARCHIVES, *WEIGHTS, *OTHERS)


@pytest.fixture(scope='module')
def readers(tmp_path_factory):
    return made(tmp_path_factory.mktemp('readers'))


@pytest.mark.parametrize('name', NAMES)
def test_good_files_are_read(readers, name):
    read, path, content = readers[name]
    path.write_bytes(content)
    read(path)


def refused(read, path):
    """Read a file; an error has to be a FileError of one short sentence. Say whether there was one."""
    errors = []

    def look():
        try:
            read(path)
        except FileError as error:
            errors.append(str(error))

    assert taken_by(look) < 300 << 20
    for error in errors:
        assert path.parent.name in error and len(error) < 1500, error
    return bool(errors)


@pytest.mark.slow
@pytest.mark.parametrize('name', YAML)
def test_yaml(readers, name):
    read, path, content = readers[name]
    for kind, text in hostile_files.yamls(content.decode()).items():
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        known = refused(read, path)
        # an empty configuration of training has all defaults, and other keys are of other nodes
        assert known or kind in ('nothing', 'a comment', 'null', 'deep blocks'), kind


@pytest.mark.slow
@pytest.mark.parametrize('name', JSON)
def test_json(readers, name):
    read, path, content = readers[name]
    for kind, text in hostile_files.jsons(content.decode()).items():
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        known = refused(read, path)
        wrong = ('deep lists', 'many lists', 'NaN', 'a long number', 'a key twice', 'bytes', 'nothing')
        assert known or kind not in wrong, kind


@pytest.mark.slow
@pytest.mark.parametrize('name', ARCHIVES)
def test_archives(readers, name, capsys):
    read, path, content = readers[name]
    for kind, data in hostile_files.archives(content).items():
        path.write_bytes(data)
        known = refused(read, path)
        assert known or kind not in ('a bomb', 'compressed', 'encrypted', 'a pickle', 'zeros', 'half'), kind
    assert 'unpickled' not in capsys.readouterr().out


def test_weights(readers):
    read, path, content = readers['weights']
    for kind, data in hostile_files.safetensors(content).items():
        path.write_bytes(data)
        assert refused(read, path), kind


@pytest.mark.parametrize('name', NAMES)
def test_paths_that_are_no_file(readers, name, tmp_path):
    read, path, _ = readers[name]
    path.unlink(missing_ok=True)
    if name != 'data set':  # which may have no list
        assert refused(read, path)
    path.mkdir()
    refused(read, path)
    path.rmdir()
    os.mkfifo(path)
    refused(read, path)
    path.unlink()
    for target in ('/dev/zero', '/dev/stdin', path.name, '/proc/self/mem', tmp_path / 'nothing'):
        path.symlink_to(target)
        refused(read, path)
        path.unlink()
    with path.open('wb') as file:
        file.truncate(5 << 30)
    assert refused(read, path)
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_files_with_changes_are_read_or_refused(readers, name):
    read, path, content = readers[name]

    @hypothesis.given(mutation.of([content]))
    @hypothesis.settings(max_examples=100)
    def look(data):
        path.write_bytes(data)
        refused(read, path)

    look()
