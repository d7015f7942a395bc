"""
The real node in a process of its own, and cameras and listeners around it over real DDS.

Nothing sleeps for a fixed time: everything waits for a condition, and fails with what was seen instead.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from irvis_fusion_ros.io import encodings
from irvis_fusion_ros.ros import conversions

SECOND = 1_000_000_000
START = 1_000 * SECOND
PATIENCE = 60.0
TYPES = {'image': Image, 'compressed': CompressedImage, 'camera_info': CameraInfo}

DEFAULTS = {
    'preset': 'classical',
    'diagnostics.period': 0.1,
    'calibration.source': 'file',
    'calibration.file': str(Path(__file__).with_name('rig.yaml')),
}


class NodeProcess:
    """
    fusion_node as a user starts it. parameters: by dotted name; arguments: more of --ros-args.

    Unless told otherwise its cameras are calibrated and it loads no network: tests of the node then wait for
    no search and no torch.
    """

    def __init__(self, parameters=None, arguments=()):
        command = [sys.executable, '-m', 'irvis_fusion_ros.ros.fusion_node', '--ros-args', *arguments]
        for name, value in (DEFAULTS | (parameters or {})).items():
            # as YAML has it: an empty text would be no value
            text = f"'{value}'" if value == '' else str(value).lower() if isinstance(value, bool) else value
            command += ['-p', f'{name}:={text}']
        self._log = tempfile.NamedTemporaryFile('w+', suffix='.log')  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        """What the node has printed so far."""
        return Path(self._log.name).read_text()

    def wait_for_log(self, text: str) -> None:
        """Wait until the node has printed `text`."""
        wait_until(lambda: text in self.log or self.process.poll() is not None, lambda: self.log)
        assert text in self.log, self.log

    def wait_for_exit(self) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(PATIENCE)

    def stop(self, with_signal=signal.SIGINT) -> int:
        """End the process as a launch file would, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            return self.wait_for_exit()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def close(self) -> None:
        """Make sure that nothing is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


class Rig:
    """Two cameras and a listener in the process of the test. Stamps are integers in nanoseconds."""

    def __init__(self):
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        self.node = rclpy.create_node('rig', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.received: dict[str, list] = {}
        self._publishers: dict[str, object] = {}
        self._clients: dict[str, object] = {}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.levels: dict[str, int] = defaultdict(int)
        self._reports = 0
        self.messages: dict[str, str] = defaultdict(str)
        self.troubles: dict[str, list[str]] = defaultdict(list)
        # the newest only: a test that was busy must not take old reports for new ones
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 1)
        # but what was said once, in one of them, was said
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._take_troubles, 1000)

    def close(self) -> None:
        """Take everything down."""
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.shutdown(context=self._context)

    def listen(self, *topics: str, depth: int = 1000) -> None:
        """Subscribe to outputs and wait until they are connected."""
        for topic in topics:
            kind = TYPES.get(topic.rpartition('/')[2], Image)
            self.received[topic] = []
            self.node.create_subscription(kind, topic, self.received[topic].append, depth)
        self.wait(lambda: all(self.node.count_publishers(topic) for topic in topics))

    def listen_and_be_known(self, *topics: str) -> None:
        """Subscribe to outputs and wait until the node says so: none of what it computes is not wanted."""
        self.listen(*topics)
        self.wait(lambda: set(topics) <= set(self.diagnostic('output', 'subscribed').split(', ')))

    def camera(self, *topics: str, reliable: bool = True, depth: int = 200, durable: bool = False) -> None:
        """Advertise inputs and wait until the node has subscribed to them."""
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        durability = DurabilityPolicy.TRANSIENT_LOCAL if durable else DurabilityPolicy.VOLATILE
        for topic in topics:
            profile = QoSProfile(depth=depth, reliability=reliability, durability=durability)
            kind = TYPES.get(topic.rpartition('/')[2], Image)
            self._publishers[topic] = self.node.create_publisher(kind, topic, profile)
        self.wait(lambda: all(self._publishers[topic].get_subscription_count() for topic in topics))

    def send(self, topic: str, message, stamp: int, frame_id: str | None = None) -> None:
        """Publish a message with this stamp."""
        message.header = header(stamp, topic.partition('/')[0] + '_optical' if frame_id is None else frame_id)
        self._publishers[topic].publish(message)

    def send_pair(self, stamp: int, thermal=None, visible=None) -> None:
        """Publish a good pair."""
        self.send('thermal/image_raw', thermal or image('mono16'), stamp)
        self.send('visible/image_raw', visible or image('bgr8'), stamp)

    def wait(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Spin until the condition holds."""
        wait_until(condition, self._state, lambda: self._executor.spin_once(timeout_sec=0.02), patience)

    def wait_for(self, topic: str, count: int = 1) -> list:
        """Spin until so many messages came on a topic, and return them."""
        self.wait(lambda: len(self.received[topic]) >= count)
        return self.received[topic]

    def stamps(self, topic: str) -> list[int]:
        """Return the stamps of what came on a topic."""
        return [stamp_of(message) for message in self.received[topic]]

    def refresh(self) -> None:
        """Wait for diagnostics that were made after now."""
        seen = self._reports
        self.wait(lambda: self._reports >= seen + 2)

    def diagnostic(self, part: str, key: str) -> str:
        """Return a value of the last diagnostics; '' before they came."""
        return self.diagnostics.get(part, {}).get(key, '')

    def count(self, part: str, key: str, cause: str) -> int:
        """Return a number out of a list of counts in the diagnostics, as in 'late 3, repeated 1'."""
        entries = (entry.rpartition(' ') for entry in self.diagnostic(part, key).split(', '))
        return next((int(number) for name, _, number in entries if name == cause), 0)

    def call(self, service_type, name: str, request):
        """
        Call a service of the node, again where no answer comes.

        The first answer is lost if the node has not discovered the new client yet.
        """
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        self.wait(client.service_is_ready)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            future = client.call_async(request)
            retry = time.monotonic() + 3
            self.wait(lambda: future.done() or time.monotonic() > retry)  # noqa: B023 (used at once)
            if future.done():
                return future.result()
        raise AssertionError(f'no answer from {name}: {self._state()}')

    def set_parameter(self, name: str, value):
        """Set a parameter of the node and return the result."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, 'fusion_node/set_parameters', request).results[0]

    def transition(self, label: str, state: str) -> None:
        """Change the lifecycle state of the node and check the state that it leads to."""
        request = ChangeState.Request()
        request.transition.label = label
        self.call(ChangeState, 'fusion_node/change_state', request)
        assert self.state() == state

    def state(self) -> str:
        """Return the lifecycle state of the node."""
        return self.call(GetState, 'fusion_node/get_state', GetState.Request()).current_state.label

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        self._reports += 1
        for part, level, status in _parts(message):
            self.diagnostics[part] = {value.key: value.value for value in status.values}
            self.levels[part] = level
            self.messages[part] = status.message

    def _take_troubles(self, message: DiagnosticArray) -> None:
        for part, level, status in _parts(message):
            if level:
                self.troubles[part].append(status.message)

    def _state(self) -> str:
        counts = {topic: len(messages) for topic, messages in self.received.items()}
        return f'received {counts}; diagnostics {self.messages} {self.diagnostics}'


def wait_until(condition, explain, spin=lambda: time.sleep(0.02), patience=PATIENCE) -> None:
    """Wait for a condition, or fail with an explanation."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f'waited {patience:.0f} s in vain: {explain()}'
        spin()


def _parts(message: DiagnosticArray):
    """Yield part, level and status of what fusion_node reports."""
    for status in message.status:
        name, _, part = status.name.partition(': ')
        if name.endswith('fusion_node'):
            yield part, int.from_bytes(status.level, 'little'), status


def header(stamp: int, frame_id: str) -> Header:
    """Return a header."""
    message = Header(frame_id=frame_id)
    message.stamp.sec, message.stamp.nanosec = divmod(stamp, SECOND)
    return message


def stamp_of(message) -> int:
    """Return the stamp of a message in nanoseconds."""
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a textured picture, H x W float32 in [0, 1]."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 8)).astype(np.float32)
    fine = rng.random((24, 32)).astype(np.float32)
    pictures = [cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in (coarse, fine)]
    return 0.6 * pictures[0] + 0.4 * pictures[1]


def image(encoding: str, height: int = 96, width: int = 128, seed: int = 0) -> Image:
    """Return a message with a textured picture in it."""
    channels = encodings.find(encoding).channels
    kind = encodings.find(encoding).dtype.str[1:]
    picture = scene(height, width, seed)
    if channels > 1:
        picture = np.stack([picture, picture**2, 1 - picture, np.ones_like(picture)][:channels], axis=2)
    scale = {'u1': 255, 'u2': 4000, 'f4': 40}[kind]
    offset = {'u1': 0, 'u2': 28000, 'f4': 280}[kind]
    pixels = (picture * scale + offset).astype(kind)
    channels_of_a_message = pixels if channels < 4 else pixels[..., :3]
    message = conversions.to_image(channels_of_a_message, encoding.replace('a8', '8'), Header())
    if channels == 4:
        message.encoding, message.step = encoding, 4 * width
        message.data = pixels.tobytes()
    return message


def process_environment(log_folder: str) -> None:
    """Give this process and its children a DDS domain of their own, and room for images."""
    from irvis_fusion_ros import dds_profile

    os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 100 + 1)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_LOG_DIR'] = log_folder
    dds_profile.apply()
