import numpy as np
import pytest
from onnx_detectors import constant, description, yolov8

from irvis_fusion_ros.detection.detector import Detector, only
from irvis_fusion_ros.errors import FileError

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

# at 64 x 48: a person around (32, 24), the same again, and a car
FOUND = yolov8([(32, 24, 16, 12), (33, 24, 16, 12), (10, 10, 4, 4)], [(0.9, 0.0), (0.6, 0.1), (0.0, 0.5)])


@pytest.fixture
def detector(tmp_path):
    def make(outputs=(FOUND,), batch=1, **changes):
        model = constant(tmp_path / 'n.onnx', outputs, batch=batch)
        return Detector(description(tmp_path / 'd.yaml', model, **changes))

    return make


def test_boxes_are_those_of_the_picture(detector):
    found = detector(fit='stretch')(np.zeros((96, 128, 3), np.uint8))
    assert found.names == ('person', 'car')
    np.testing.assert_allclose(found.boxes[0], [48, 36, 80, 60])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_a_letterbox_keeps_the_aspect(detector):
    # 128 x 48 is halved to 64 x 24, with 12 rows of gray above
    found = detector()(np.zeros((48, 128), np.uint8))
    np.testing.assert_allclose(found.boxes[0], [48, 12, 80, 36])


def test_only_what_is_of_interest_is_reported(detector):
    assert detector(report=['car'])(np.zeros((48, 64), np.uint8)).names == ('car',)


def test_scores_below_the_threshold_are_left_out(detector):
    detect = detector(score=0.7)
    assert len(detect(np.zeros((48, 64), np.uint8))) == 1
    assert len(detect(np.zeros((48, 64), np.uint8), least=0.2)) == 2
    assert len(only(detect(np.zeros((48, 64), np.uint8), least=0.2), 0.6)) == 1


def test_large_pictures_are_tiled_too(detector):
    found = detector(tile=64, report=['person'])(np.zeros((64, 160), np.uint8))
    # the whole picture and three tiles of it, each with one person in the middle, of two sizes
    middles = sorted((found.boxes[:, 0] + found.boxes[:, 2]) / 2)
    np.testing.assert_allclose(middles, [32, 80, 80, 128])


def test_a_network_of_another_size_is_refused(detector):
    with pytest.raises(FileError, match=r'expected one input of 1 x 3 x 64 x 96 .*found 1 x 3 x 48 x 64'):
        detector(size=[96, 64])


def test_outputs_of_another_kind_are_refused(detector):
    with pytest.raises(FileError, match=r'd\.yaml: expected an output of 7 values a box, found 1 x 6 x 20'):
        detector(output='yolov5')


def test_a_file_that_is_no_network_is_refused(tmp_path):
    model = tmp_path / 'n.onnx'
    model.write_bytes(b'nothing')
    with pytest.raises(FileError, match='expected an ONNX network'):
        Detector(description(tmp_path / 'd.yaml', model))
