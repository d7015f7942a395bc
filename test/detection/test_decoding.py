from pathlib import Path

import numpy as np
import pytest

from irvis_fusion_ros.detection import decoding
from irvis_fusion_ros.detection.description import Description


def described(output, **changes):
    content = {'model': Path('x.onnx'), 'output': output, 'size': (64, 64), 'classes': ('person', 'car')}
    return Description(**{**content, **changes})


def test_yolov8_in_both_orders():
    rows = np.zeros((9, 6), np.float32)
    rows[2] = 30, 20, 10, 8, 0.7, 0.1
    for output in (rows.T[None], rows[None]):
        boxes, scores = decoding.decode([output], described('yolov8'))
        np.testing.assert_allclose(boxes[2], [25, 16, 35, 24])
        np.testing.assert_allclose(scores[2], [0.7, 0.1])


def test_yolov5_weighs_classes_by_whether_there_is_anything():
    rows = np.zeros((9, 7), np.float32)
    rows[4] = 30, 20, 10, 8, 0.5, 0.8, 0.2
    boxes, scores = decoding.decode([rows[None]], described('yolov5'))
    np.testing.assert_allclose(boxes[4], [25, 16, 35, 24])
    np.testing.assert_allclose(scores[4], [0.4, 0.1])


@pytest.mark.parametrize('logits', [False, True])
def test_nanodet_reads_distances_from_bins(logits):
    outputs = []
    for stride in (32, 16):
        cells = (64 // stride) ** 2
        scores = np.full((1, cells, 2), -9 if logits else 0.0, np.float32)
        distances = np.full((1, cells, 4 * 8), -50, np.float32)
        # all weight in one bin: left 1, top 2, right 3, bottom 2
        for side, bin_ in enumerate((1, 2, 3, 2)):
            distances[..., side * 8 + bin_] = 50
        scores[0, 1, 0] = 2 if logits else 0.9
        outputs += [distances, scores]
    boxes, scores = decoding.decode(outputs, described('nanodet', strides=(16, 32)))
    assert boxes.shape == (20, 4) and scores.shape == (20, 2)
    # second cell at stride 16: centre (24, 8)
    np.testing.assert_allclose(boxes[1], [24 - 16, 8 - 32, 24 + 48, 8 + 32], atol=1e-4)
    assert scores[1, 0] == pytest.approx(1 / (1 + np.exp(-2)) if logits else 0.9, abs=1e-6)
    assert scores[0, 0] < 0.01


@pytest.mark.parametrize(
    ('output', 'shape', 'message'),
    [
        ('yolov8', (1, 9, 9), 'expected an output of 6 values a box, found 1 x 9 x 9'),
        ('yolov5', (1, 6, 9), 'expected an output of 7 values a box, found 1 x 6 x 9'),
        ('nanodet', (1, 64, 80), 'expected scores 64 x 2 and distances 64 x 4 times bins for stride 8'),
    ],
)
def test_other_outputs_are_refused_with_what_was_found(output, shape, message):
    with pytest.raises(ValueError, match=message):
        decoding.decode([np.zeros(shape, np.float32)], described(output))
