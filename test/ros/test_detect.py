"""The example node downstream over real DDS, with a detector that always finds the same."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'detection'))

from onnx_detectors import constant, description, yolov8
from rig import PATIENCE, START, image, stamp_of
from std_msgs.msg import String

from irvis_fusion_ros.ros import detect

# at 64 x 48 a person around (32, 24): in an image of 128 x 96 from (48, 36) to (80, 60)
FOUND = yolov8([(32, 24, 16, 12)], [(0.9, 0.1)])


@pytest.fixture
def model(tmp_path):
    return description(tmp_path / 'd.yaml', constant(tmp_path / 'n.onnx', [FOUND]))


@pytest.fixture
def start(ros, model):
    """Start `detect` with arguments; ends it as Ctrl-C does."""
    started = []

    def run(*arguments):
        command = [sys.executable, '-m', 'irvis_fusion_ros.ros.detect', '--model', str(model), *arguments]
        started.append(subprocess.Popen(command))

    yield run
    for process in started:
        process.send_signal(signal.SIGINT)
    assert [process.wait(PATIENCE) for process in started] == [0] * len(started)


def listen(rig):
    """Collect what is said as JSON."""
    said = []
    rig.node.create_subscription(
        String, 'detections/json', lambda each: said.append(json.loads(each.data)), 10
    )
    return said


def test_what_is_found_is_said_with_the_header_of_the_image(rig, start):
    start()
    said = listen(rig)
    rig.listen('detections/image')
    rig.camera('fused/image')
    rig.send('fused/image', image('bgr8'), START, 'visible_optical')
    (drawn,) = rig.wait_for('detections/image')
    rig.wait(lambda: said)
    assert said[0]['detections'] == [{'box': [48.0, 36.0, 80.0, 60.0], 'class': 'person', 'score': 0.9}]
    assert said[0]['stamp'] == {'sec': 1000, 'nanosec': 0}
    assert (said[0]['frame_id'], said[0]['size']) == ('visible_optical', [128, 96])
    assert (stamp_of(drawn), drawn.header.frame_id, drawn.encoding) == (START, 'visible_optical', 'bgr8')
    before, after = (np.frombuffer(each.data, np.uint8) for each in (image('bgr8'), drawn))
    assert (before != after).any()


def test_an_image_that_cannot_be_used_is_left_out(rig, start):
    start()
    said = listen(rig)
    rig.camera('fused/image')
    broken = image('bgr8')
    broken.data = broken.data[:100]
    rig.send('fused/image', broken, START, 'v')
    # again and again: while it is busy it looks at the newest alone
    rig.wait(lambda: said or rig.send('fused/image', image('mono8'), START + 1, 'v'))
    assert said[0]['stamp'] == {'sec': 1000, 'nanosec': 1}


def test_the_highest_temperature_of_a_box(rig, start):
    start('--temperature')
    said = listen(rig)
    rig.camera('fused/image', 'registered/image')
    thermal = image('mono16')
    values = np.frombuffer(thermal.data, np.uint16).reshape(96, 128)

    def told():
        rig.send('registered/image', thermal, START, 'v')
        rig.send('fused/image', image('bgr8'), START, 'v')
        return any('celsius' in found for each in said for found in each['detections'])

    rig.wait(told)
    found = [each['detections'][0].get('celsius') for each in said]
    hottest = values[36:60, 48:80].max() * 0.01 - 273.15
    assert [value for value in found if value is not None] == pytest.approx([hottest], abs=0.01)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('n.onnx', {'output': 'yolov5'}, 'expected an output of 7 values a box, found 1 x 6 x 20'),
        ('n.onnx', {'size': [32, 32]}, 'expected one input of 1 x 3 x 32 x 32'),
        ('none.onnx', {}, 'none.onnx'),
    ],
)
def test_a_detector_that_does_not_fit_is_refused(tmp_path, model, capsys, name, content, message):
    file = description(tmp_path / 'other.yaml', tmp_path / name, **content)
    assert detect.main(['--model', str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith('detect: error: ') and message in said


def test_without_a_model_it_says_what_is_needed(capsys):
    with pytest.raises(SystemExit) as error:
        detect.main([])
    assert error.value.code == 2
    assert '--model' in capsys.readouterr().err
