"""The rig measured by the running node, over real DDS: calibrate, save, start again from the file, forget."""

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from rig import SECOND, START
from std_srvs.srv import Trigger

from irvis_fusion_ros import calibration
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.ros import conversions
from irvis_fusion_ros.ros.gatherer import FIRST

RAW = ('thermal/image_raw', 'visible/image_raw')
SHAPE = (144, 192)
# From thermal to visible pixels.
RIG = np.array([[1.02, 0.01, 6.0], [-0.01, 1.02, -4.0], [0, 0, 1]])


def send(rig, number, matrix=RIG):
    """Send a pair of another scene, a second after the last one."""
    thermal, visible = pair(SHAPE, number)
    thermal = cv2.warpPerspective(thermal, np.linalg.inv(matrix), SHAPE[::-1], borderMode=cv2.BORDER_REFLECT)
    messages = [
        conversions.to_image(thermal, 'mono8' if thermal.dtype == np.uint8 else 'mono16', None),
        conversions.to_image(visible, 'bgr8', None),
    ]
    rig.send_pair(START + number * SECOND, *messages)


def field_of(message):
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width, 2)


def ask(rig, service):
    return rig.call(Trigger, f'fusion_node/{service}', Trigger.Request())


@pytest.mark.slow
def test_a_rig_is_measured_used_saved_and_forgotten(rig, start_node, tmp_path):
    path = tmp_path / 'state' / 'rig.yaml'
    # nothing but the rig registers
    parameters = {'mode': 'every_frame', 'sync.timeout': 0.05, 'preset': 'unregistered'}
    parameters |= {'registration_first': 'none'}
    parameters |= {'calibration.source': 'none', 'calibration.file': str(path), 'calibration.refine': True}
    node = start_node(parameters)
    rig.listen_and_be_known('fused/image', 'deformation/image')
    rig.camera(*RAW)
    answer = ask(rig, 'save_calibration')
    assert not answer.success
    assert 'there is no rig to save: 0 pairs gathered' in answer.message
    for number in range(FIRST):
        send(rig, number)
        # nothing is left out of the short queue
        rig.wait(lambda number=number: rig.diagnostic('inference', 'rig').startswith(f'{number + 1} pairs')
                 or 'estimating' in rig.diagnostic('inference', 'rig'))  # fmt: skip
    rig.wait(lambda: 'agree' in rig.diagnostic('inference', 'rig'), patience=180)
    answer = ask(rig, 'calibrate')
    assert answer.success
    assert f'of {FIRST} agree' in answer.message
    send(rig, FIRST)
    field = field_of(rig.wait_for('deformation/image', FIRST + 1)[FIRST])
    centre = np.array([96.0, 72.0])
    expected = cv2.perspectiveTransform(centre[None, None], np.linalg.inv(RIG)).ravel() - centre
    np.testing.assert_allclose(field[72, 96], expected, atol=1)
    answer = ask(rig, 'save_calibration')
    assert answer.success, answer.message
    assert answer.message.startswith(str(path))
    saved = calibration.load(path)
    at = cv2.perspectiveTransform(centre[None, None], saved.matrix).ravel()
    np.testing.assert_allclose(at, cv2.perspectiveTransform(centre[None, None], RIG).ravel(), atol=1)
    assert ask(rig, 'reset').success
    rig.wait(lambda: rig.diagnostic('inference', 'rig').startswith('0 pairs gathered'))
    send(rig, FIRST + 1)
    field = field_of(rig.wait_for('deformation/image', FIRST + 2)[-1])
    assert not field.any()
    # a node that is started with the file knows the rig from the first pair on
    assert node.stop() == 0
    start_node(parameters | {'calibration.source': 'file'})
    rig.camera(*RAW)
    rig.refresh()
    send(rig, FIRST + 2)
    field = field_of(rig.wait_for('deformation/image', FIRST + 3)[-1])
    np.testing.assert_allclose(field[72, 96], expected, atol=1)


def test_a_node_that_is_not_active_says_so(rig, start_node):
    start_node({'autostart': False}, ready='')
    assert not ask(rig, 'calibrate').success
    answer = ask(rig, 'save_calibration')
    assert not answer.success
    assert answer.message == 'the node is not configured'


def test_calibrate_begins_where_nothing_was_gathered(rig, start_node):
    start_node()
    assert 'measured from now on' in ask(rig, 'calibrate').message
    assert '0 pairs gathered' in ask(rig, 'calibrate').message


def test_the_clock_offset_of_the_file_makes_pairs_and_is_said(rig, start_node, tmp_path):
    offset = calibration.ClockOffset(-0.2, 0.002)
    calibration.save(calibration.Calibration(RIG, SHAPE, SHAPE, clock=offset), tmp_path / 'rig.yaml')
    parameters = {'mode': 'every_frame', 'preset': 'unregistered', 'registration_first': 'none'}
    parameters |= {'calibration.source': 'file', 'calibration.file': str(tmp_path / 'rig.yaml')}
    start_node(parameters)
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    thermal, visible = pair(SHAPE, 0)
    for number in range(4):
        stamp = START + number * SECOND
        rig.send(RAW[0], conversions.to_image(thermal, 'mono8', None), stamp + SECOND // 5)
        rig.send(RAW[1], conversions.to_image(visible, 'bgr8', None), stamp)
    rig.wait_for('fused/image', 3)
    assert rig.diagnostic('pairing', 'thermal offset [s]') == '-0.2000, of calibration.file (+- 0.0020)'
