"""From start to exit: states, exit codes, and what cannot be configured."""

import signal

import pytest
import yaml

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from installation import REPOSITORY
from ready import READY
from rig import SECOND, START, image

from irvis_fusion_ros.backends.device import half_of, precision_of
from irvis_fusion_ros.ros import fusion_node
from irvis_fusion_ros.systems import registry

pytestmark = pytest.mark.slow  # processes of the node, over DDS

RAW = ('thermal/image_raw', 'visible/image_raw')
MATRIX = 'matrix: [1, 0, 3, 0, 1, 0, 0, 0, 1]\nthermal_size: [128, 96]\nvisible_size: [128, 96]\n'


def test_a_manager_takes_it_up_and_down_twice(rig, start_node):
    node = start_node({'autostart': False, 'mode': 'every_frame', 'sync.timeout': 0.05}, ready='')
    assert rig.state() == 'unconfigured'
    for number in range(2):
        rig.transition('configure', 'inactive')
        assert not rig.node.count_subscribers('thermal/image_raw')
        rig.transition('activate', 'active')
        if not number:
            rig.listen('fused/image')
            rig.camera(*RAW)
        rig.wait(lambda: all(rig._publishers[topic].get_subscription_count() for topic in RAW))
        rig.wait(lambda: rig.node.count_publishers('fused/image'))
        rig.wait(lambda: 'fused/image' in rig.diagnostic('output', 'subscribed'))
        rig.send_pair(START + number * SECOND)
        rig.wait_for('fused/image', number + 1)
        rig.transition('deactivate', 'inactive')
        rig.wait(lambda: not rig.node.count_subscribers('thermal/image_raw'))
        rig.transition('cleanup', 'unconfigured')
        rig.wait(lambda: not rig.node.count_publishers('fused/image'))
        rig.diagnostics.clear()
        # what is not live may be changed now
        assert rig.set_parameter('mode', 'realtime').successful
        assert rig.set_parameter('mode', 'every_frame').successful
    rig.transition('shutdown', 'finalized')
    assert node.process.poll() is None
    assert node.stop() == 0
    assert 'Traceback' not in node.log


def test_deactivating_under_load_loses_nothing_but_what_waits(rig, start_node):
    node = start_node({'mode': 'every_frame'})
    rig.listen('fused/image')
    rig.camera(*RAW)
    for number in range(40):
        rig.send_pair(START + number * SECOND // 30)
    rig.wait_for('fused/image')
    rig.transition('deactivate', 'inactive')
    rig.transition('activate', 'active')
    rig.wait(lambda: all(rig._publishers[topic].get_subscription_count() for topic in RAW))
    before = START + 100 * SECOND
    rig.wait(lambda: rig.diagnostic('output', 'waiting') == '0')
    for number in range(2):
        rig.send_pair(before + number * SECOND)
    rig.wait(lambda: before in rig.stamps('fused/image'))
    assert node.stop() == 0


@pytest.mark.parametrize('with_signal', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start_node, with_signal):
    node = start_node()
    for _ in range(3):  # a launch file and the terminal both send one, and users are impatient
        node.process.send_signal(with_signal)
    assert node.wait_for_exit() == 0
    assert 'Traceback' not in node.log


def test_a_signal_during_the_work_ends_it_cleanly(rig, start_node):
    node = start_node({'mode': 'every_frame'})
    rig.listen('fused/image')
    rig.camera(*RAW)
    for number in range(30):
        rig.send_pair(START + number * SECOND // 30, image('mono16', 480, 640), image('bgr8', 480, 640))
    rig.wait_for('fused/image')
    assert node.stop() == 0
    assert 'Traceback' not in node.log and 'failed' not in node.log


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'preset': 'nonsense'}, ["'preset' is 'nonsense'", 'valid: classical, ']),
        ({'sync.tolerance': -1.0}, ["'sync.tolerance' is -1.0", 'at least 0 s']),
        ({'sync.tolerance': 'wide'}, ["'sync.tolerance' is 'wide'", 'a number']),
        ({'mode': 'fast'}, ["'mode' is 'fast'", 'every_frame']),
        ({'device': 'cuda:99'}, ["'device' is 'cuda:99'", 'auto or cpu']),
        ({'calibration.file': ''}, ["'calibration.file' is empty"]),
        (
            {'calibration.source': 'file', 'calibration.file': '/nowhere/rig.yaml'},
            ['/nowhere/rig.yaml', 'cannot be read'],
        ),
        ({'sync.policy': 'exact_time'}, ["'sync.policy' is 'exact_time'", 'message_filters', 'nearest']),
        ({'qos_overrides./thermal/image_raw.subscription.reliability': 'often'}, ['reliability', 'often']),
    ],
)
def test_what_cannot_be_is_one_clear_line_and_an_exit_code(start_node, parameters, words):
    if 'sync.policy' in parameters:
        try:
            import message_filters  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip('message_filters is installed: the policy is to be had')
    node = start_node(parameters, ready='')
    assert node.wait_for_exit() == 1
    lines = [line for line in node.log.splitlines() if all(word in line for word in words)]
    assert len(lines) == 1, node.log
    assert 'Traceback' not in node.log


@pytest.mark.parametrize('enclave', ['missing', 'empty'])
def test_security_that_cannot_be_had_is_one_clear_line(start_node, monkeypatch, tmp_path, enclave):
    if enclave == 'empty':
        (tmp_path / 'enclaves' / 'fusion').mkdir(parents=True)
    for name, value in {'ENABLE': 'true', 'STRATEGY': 'Enforce', 'KEYSTORE': str(tmp_path)}.items():
        monkeypatch.setenv(f'ROS_SECURITY_{name}', value)
    node = start_node(arguments=['--enclave', '/fusion'], ready='')
    assert node.wait_for_exit() == 1
    assert 'fusion_node: ' in node.log and 'secur' in node.log.lower()
    assert 'Traceback' not in node.log


def test_under_a_manager_a_failure_to_configure_is_a_failed_transition(rig, start_node, tmp_path):
    file = tmp_path / 'rig.yaml'
    node = start_node(
        {'autostart': False, 'calibration.source': 'file', 'calibration.file': str(file)}, ready=''
    )
    rig.transition('configure', 'unconfigured')
    node.wait_for_log(str(file))
    file.write_text(MATRIX)
    rig.transition('configure', 'inactive')
    rig.transition('activate', 'active')


def test_a_calibration_file_is_used(rig, start_node, tmp_path):
    (tmp_path / 'rig.yaml').write_text(MATRIX)
    start_node(
        {'mode': 'every_frame', 'calibration.source': 'file', 'calibration.file': tmp_path / 'rig.yaml'}
    )
    rig.listen('deformation/image')
    rig.camera(*RAW)
    rig.send_pair(START)
    rig.send_pair(START + SECOND)
    field = shift_of(rig.wait_for('deformation/image')[0])
    assert field == pytest.approx((-3, 0), abs=1e-3)
    rig.wait(lambda: rig.count('inference', 'alignment from', 'calibration') > 0)


def shift_of(message):
    import numpy as np

    field = np.frombuffer(message.data, np.float32).reshape(message.height, message.width, 2)
    return tuple(np.nanmedian(field, axis=(0, 1)))


def test_camera_info_is_the_calibration_if_asked_for(rig, start_node):
    from test_fusion_node import camera_info

    node = start_node({'mode': 'every_frame', 'sync.timeout': 0.05, 'calibration.source': 'camera_info'})
    rig.listen('deformation/image')
    rig.camera(*RAW, 'thermal/camera_info', 'visible/camera_info')
    rig.send_pair(START)
    rig.wait(lambda: rig.count('output', 'dropped', 'no_camera_info') == 1)
    node.wait_for_log('nothing came on /thermal/camera_info and /visible/camera_info yet')
    thermal = camera_info()
    thermal.k[2] += 5  # the thermal optical axis is 5 pixels further right
    rig.send('thermal/camera_info', thermal, START)
    rig.send('visible/camera_info', camera_info(), START)
    rig.wait(
        lambda: all(rig.diagnostic('inputs', f'{c} camera_info') == 'yes' for c in ('thermal', 'visible'))
    )
    rig.send_pair(START + SECOND)
    assert shift_of(rig.wait_for('deformation/image')[0]) == pytest.approx((5, 0), abs=1e-3)


@pytest.mark.skipif('fusion_register' not in READY, reason='its weights are not shipped')
@pytest.mark.parametrize('name', ['mission.yaml', 'jetson.yaml'])
def test_what_is_meant_for_a_gpu_runs_without_one_and_says_what_runs_where(start_node, monkeypatch, name):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    document = yaml.safe_load((REPOSITORY / 'config' / name).read_text())
    given = document['/**']['ros__parameters']
    node = start_node({key: value for key, value in given.items() if not isinstance(value, dict)})
    node.wait_for_log('torch finds no GPU to use: preset fusion_register, which is meant for one, runs on')
    (line,) = (line for line in node.log.splitlines() if '-> /fused/image' in line)
    assert (
        f'; preset fusion_register, backbone max, registration first {registry.best()} on cpu, '
        f'backend torch, device cpu, precision {precision_of(half_of("cpu"))}'
    ) in line
    assert node.stop() == 0
    assert node.log.count('torch finds no GPU') == 1


def test_unknown_parameters_are_told_with_what_was_meant(start_node):
    node = start_node(
        {
            'sync.tolerence': 0.1,
            'tolerance': 0.1,
            'xyzzy': 1,
            'qos_overrides./thermal/imag_raw.subscription.depth': 3,
        }
    )
    assert "unknown parameter 'sync.tolerence' is ignored; did you mean 'sync.tolerance'?" in node.log
    assert "unknown parameter 'tolerance' is ignored; did you mean 'sync.tolerance'?" in node.log
    assert "unknown parameter 'xyzzy' is ignored\n" in node.log
    assert "'qos_overrides./thermal/imag_raw.subscription.depth' names no topic" in node.log


def test_help_and_wrong_arguments(capsys):
    with pytest.raises(SystemExit) as caught:
        fusion_node.main(['--help'])
    assert caught.value.code == 0
    assert '--ros-args' in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        fusion_node.main(['--fast'])
    assert caught.value.code == 2
