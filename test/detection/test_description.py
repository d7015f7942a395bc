import pytest
import yaml

from irvis_fusion_ros.detection import description
from irvis_fusion_ros.errors import FileError

WHOLE = {'model': 'n.onnx', 'output': 'nanodet', 'size': [416, 320], 'classes': ['person', 'car']}


def written(tmp_path, content):
    file = tmp_path / 'd.yaml'
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def test_the_rest_is_filled_in(tmp_path):
    found = description.read(written(tmp_path, {**WHOLE, 'report': ['person'], 'mean': [1, 2, 3.5]}))
    assert found.model == tmp_path / 'n.onnx'
    assert (found.size, found.mean, found.report) == ((416, 320), (1.0, 2.0, 3.5), ('person',))
    assert (found.colour, found.fit, found.score, found.tile) == ('rgb', 'letterbox', 0.3, 0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'output': 'ssd'}, "expected 'output' to be nanodet or yolov5 or yolov8 or yolo11, found 'ssd'"),
        ({'size': [416]}, "expected 'size' to be a list of 2 numbers of at least 32"),
        ({'size': [True, 416]}, "expected 'size' to be a list of 2 numbers"),
        ({'mean': 'gray'}, "expected 'mean' to be a list of 3 numbers"),
        ({'std': [1, 0, 1]}, "expected 'std' to be a list of 3 numbers"),
        ({'score': 1.5}, "expected 'score' to be a number between 0 and 1, found 1.5"),
        ({'classes': 'person'}, "expected 'classes' to be a list of names"),
        ({'report': ['dog']}, "'report' names 'dog', which is none of 'classes'"),
        ({'tile': 5}, "expected 'tile' to be 0 or at least 32 pixels, found 5"),
        ({'anchors': []}, "unknown key 'anchors'; valid: model, output"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, changes, message):
    with pytest.raises(FileError, match=r'd\.yaml: ') as error:
        description.read(written(tmp_path, {**WHOLE, **changes}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('- 1', 'expected keys with values'),
        ('a: [', 'not YAML'),
        ({'model': 'n.onnx'}, "no key 'output', found model"),
    ],
)
def test_a_file_that_is_none(tmp_path, content, message):
    with pytest.raises(FileError, match=message):
        description.read(written(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match='cannot be read'):
        description.read(tmp_path / 'none.yaml')
