"""`irvis NAME`: the same executables as `ros2 run`, in a process of their own."""

import json
import os
import signal
import subprocess
import sys

import pytest

import irvis_fusion_ros
from irvis_fusion_ros import irvis


@pytest.fixture
def probe(installed):
    """Add an executable that tells how it was started, and ends as it is told."""
    path = installed.executables / 'probe'
    path.write_text(
        '#!/usr/bin/env python3\n'
        '"""Tell how it was started."""\n'
        'import json, os, sys, time\n'
        "print(json.dumps([os.getpid(), sys.argv[1:], os.environ['AMENT_PREFIX_PATH']]), flush=True)\n"
        "if 'wait' in sys.argv:\n"
        '    time.sleep(60)\n'
        'sys.exit(7)\n'
    )
    path.chmod(0o755)
    yield installed
    path.unlink()


def start(installed, *arguments, **variables):
    return subprocess.Popen(
        [sys.executable, installed.prefix / 'bin' / 'irvis', *arguments],
        env=installed.environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_arguments_and_exit_code_pass_through(probe):
    arguments = ['--help', '--ros-args', '-r', 'a:=b', '--', '--version', '']
    process = start(probe, 'probe', *arguments)
    output, errors = process.communicate(timeout=60)
    pid, received, _ = json.loads(output)
    assert received == arguments, errors
    assert pid == process.pid  # it took the place of irvis: signals reach it
    assert process.returncode == 7


def test_signals_pass_through(probe):
    process = start(probe, 'probe', 'wait')
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize('before', ['', '/opt/ros/some', 'PREFIX'])
def test_ros_can_find_the_package(probe, before):
    before = before.replace('PREFIX', str(probe.prefix))
    process = start(probe, 'probe', AMENT_PREFIX_PATH=before)
    output, errors = process.communicate(timeout=60)
    found = json.loads(output)[2].split(os.pathsep)
    assert found.count(str(probe.prefix)) == 1, errors
    assert not before or before in found


def test_alone_it_lists_the_executables_with_a_line_each(capsys):
    assert irvis.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = dict(line.strip().split(maxsplit=1) for line in lines[1:-1])
    assert 'fusion_node' in listed
    assert all(purpose.endswith('.') for purpose in listed.values())


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        irvis.main(['--version'])
    assert stopped.value.code == 0
    assert irvis_fusion_ros.__version__ in capsys.readouterr().out


def test_an_unknown_name_is_refused_with_the_names_there_are(capsys):
    with pytest.raises(SystemExit) as stopped:
        irvis.main(['fusion_nod'])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert 'fusion_nod' in error
    assert 'fuse_images' in error
