"""fuse.launch.py under the launch system of ROS: `ros2 launch` starts the real node, as a user does."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from installation import REPOSITORY
from ready import READY

from irvis_fusion_ros import dds_profile
from irvis_fusion_ros.systems import registry

PATIENCE = 60.0


@pytest.fixture
def ros2(installed, tmp_path):
    """Return a function that starts `ros2 ...` on the installed package, in a process group of its own."""
    for module in ('launch_ros.actions', 'ros2launch', 'ros2lifecycle', 'ros2param'):
        pytest.importorskip(module, reason=f'{module} comes with a ROS distribution')
    program = shutil.which('ros2') or pytest.skip('ros2 is not in PATH')
    environment = installed.environment(
        ROS_DOMAIN_ID=str(1 + os.getpid() % 100),
        ROS_LOG_DIR=str(tmp_path / 'log'),
        ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
        PYTHONUNBUFFERED='1',
    )
    environment['AMENT_PREFIX_PATH'] += f':{os.environ.get("AMENT_PREFIX_PATH", "")}'
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, program, *arguments],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def launch(ros2, *arguments):
    return ros2('launch', 'irvis_fusion_ros', 'fuse.launch.py', *arguments)


def read_until(process, pattern):
    """Return what a process printed up to the line that matches."""
    text = ''
    for line in process.stdout:
        text += line
        if re.search(pattern, line):
            return text
    raise AssertionError(f'ended without {pattern!r}:\n{text}')


def answer(ros2, *arguments, wanted):
    """Ask until the answer, which has to wait for discovery, matches."""
    deadline = time.monotonic() + PATIENCE
    text = ''
    while time.monotonic() < deadline:
        text, _ = ros2(*arguments).communicate(timeout=PATIENCE)
        if re.search(wanted, text):
            return text
    raise AssertionError(f'{arguments}: no {wanted!r} in: {text}')


@pytest.mark.slow
def test_arguments_are_shown_with_their_meaning(ros2):
    text, _ = launch(ros2, '--show-args').communicate(timeout=PATIENCE)
    for argument in (
        'namespace',
        'params_file',
        'thermal_topic',
        'mode',
        'sync.tolerance',
        'calibration.file',
    ):
        assert f"'{argument}':" in text
    assert 'no description given' not in text


def test_the_node_gets_its_parameters_becomes_active_and_leaves_cleanly(ros2, tmp_path):
    (tmp_path / 'mine.yaml').write_text(
        '/rig/fusion_node: {ros__parameters: {sync: {tolerance: 0.1, timeout: 0.25}}}\n'
    )
    process = launch(
        ros2,
        *('namespace:=rig', 'params_file:=mine.yaml', 'sync.tolerance:=0.05', 'thermal_topic:=/boson/image'),
    )
    # topics appear in the line that says that the node is active
    started = read_until(process, 'fused/image')
    assert '/boson/image + /rig/visible/image_raw -> /rig/fused/image' in started
    answer(ros2, 'lifecycle', 'get', '--no-daemon', '/rig/fusion_node', wanted='active')
    for name, value in (('sync.tolerance', '0.05'), ('sync.timeout', '0.25'), ('mode', 'realtime')):
        answer(ros2, 'param', 'get', '--no-daemon', '/rig/fusion_node', name, wanted=re.escape(value))

    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process at once
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, rest
    assert 'process has finished cleanly' in rest
    assert 'Traceback' not in rest


@pytest.mark.parametrize(
    ('argument', 'reason'),
    [
        ('sync.tolerance:=-1', r"'sync.tolerance' is -1.0: must be at least 0"),
        ('preset:=clasical', r"'preset' is 'clasical': unknown preset 'clasical'; valid: classical"),
        ('calibration.source:=file', r"'calibration.file' is empty"),
        ('sync.tolerance:=much', r"sync.tolerance:='much': expected a number"),
        ('params_file:=nowhere.yaml', r"params_file 'nowhere.yaml' cannot be used"),
        ('thermal_topic:=/a/image/compressed', r'thermal.transport:=compressed'),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(ros2, argument, reason):
    process = launch(ros2, argument)
    text, _ = process.communicate(timeout=PATIENCE)
    assert re.search(reason, text), text
    assert 'Traceback' not in text


@pytest.fixture
def without_gpu(monkeypatch):
    """Hide every GPU from the processes that are started."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')


@pytest.mark.slow
@pytest.mark.skipif('fusion_register' not in READY, reason='its weights are not shipped')
@pytest.mark.parametrize('name', ['mission.yaml', 'jetson.yaml'])
def test_a_file_meant_for_a_gpu_runs_without_one_and_says_what_runs_where(without_gpu, ros2, name):
    process = launch(ros2, f'params_file:={name}')
    text = read_until(process, 'torch finds no GPU')
    (line,) = (line for line in text.splitlines() if '-> /fused/image' in line)
    for words in (
        'preset fusion_register',
        'backbone max',
        f'registration first {registry.best()} on cpu',
        'backend torch',
        'device cpu',
        'precision',
    ):
        assert words in line
    answer(ros2, 'lifecycle', 'get', '--no-daemon', '/fusion_node', wanted='active')
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_two_rigs_run_side_by_side(ros2):
    process = ros2('launch', 'irvis_fusion_ros', 'two_rigs.launch.py')
    text = read_until(process, '/fused/image')
    text += read_until(process, '/fused/image')
    assert '/front/fused/image' in text
    assert '/rear/fused/image' in text
    answer(ros2, 'param', 'get', '--no-daemon', '/rear/fusion_node', 'on_missing', wanted='pass_through')
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_fast_dds_profile_is_set_unless_the_user_has_one(monkeypatch):
    pytest.importorskip('launch_ros.actions', reason='launch comes with a ROS distribution')
    path = REPOSITORY / 'launch' / 'fuse.launch.py'
    spec = importlib.util.spec_from_file_location('fuse_launch', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PROFILE_VARIABLES == dds_profile.VARIABLES
    for variable in dds_profile.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    actions = module.dds_profile()
    assert tuple(action.name[0].text for action in actions) == dds_profile.VARIABLES
    assert {action.value[0].text for action in actions} == {str(REPOSITORY / 'config' / 'fastdds.xml')}
    for variable in dds_profile.VARIABLES:
        with monkeypatch.context() as one:
            one.setenv(variable, 'mine.xml')
            assert module.dds_profile() == []
