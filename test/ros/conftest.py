"""Fixtures for tests with real ROS: skipped where it is not installed."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope='session')
def ros(tmp_path_factory):
    """A DDS domain for this test session."""
    pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')
    from rig import process_environment

    process_environment(str(tmp_path_factory.mktemp('ros_log')))


@pytest.fixture
def rig(ros):
    """Cameras and a listener."""
    from rig import Rig

    with contextlib.closing(Rig()) as rig:
        yield rig


@pytest.fixture
def start_node(ros):
    """Start fusion_node with parameters; waits for `ready` in its log, and ends it as Ctrl-C does."""
    with _starter() as start:
        yield start


@pytest.fixture(scope='module')
def shared_rig(ros):
    """A rig and a `start_node` for all tests of a module."""
    from rig import Rig

    with contextlib.closing(Rig()) as rig, _starter() as start:
        yield rig, start


@contextlib.contextmanager
def _starter():
    from rig import NodeProcess

    started = []

    def start(parameters=None, *, arguments=(), ready='fused/image'):
        node = NodeProcess(parameters, arguments)
        started.append(node)
        if ready:
            node.wait_for_log(ready)
        return node

    try:
        yield start
        codes = [node.stop() for node in started if node.process.poll() is None]
        assert not any(codes), f'exit codes after SIGINT: {codes}'
    finally:
        for node in started:
            node.close()
