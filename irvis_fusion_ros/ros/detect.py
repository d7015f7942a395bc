"""The executable `detect`: starts the node of detection_node.py with a detector, and leaves cleanly."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irvis_fusion_ros import dds_profile
from irvis_fusion_ros.errors import FileError

_DESCRIPTION = """\
Runs a detector from ONNX on fused/image and publishes what it finds.

Publishes detections/json (std_msgs/String), detections/image (bgr8, with the boxes drawn) and, where
vision_msgs or visualization_msgs is installed, detections. It is an example of a node downstream of
fusion_node; docs/detectors.md says what the YAML file holds, and how to use other nodes. Everything of ROS
comes after --ros-args, for example:

  detect --model person.yaml --ros-args -r fused/image:=/drone/fused/image
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop, and return the exit code of the process."""
    arguments = sys.argv[1:] if args is None else list(args)
    options = _parse(arguments)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    try:
        dds_profile.apply()
        return _run(options, arguments)
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    try:
        import rclpy
        from rclpy.executors import ExternalShutdownException
    except ImportError as error:
        return _complain(
            f'ROS 2 is not importable ({error}); source a ROS distribution, or install the PyPI wheels '
            f"with pip install 'irvis_fusion_ros[ros]'"
        )
    from irvis_fusion_ros.detection.detector import Detector

    try:
        detector = Detector(options.model, options.device)
    except FileError as error:
        return _complain(error)
    from irvis_fusion_ros.ros.detection_node import DetectionNode

    try:
        rclpy.init(args=arguments)
    except Exception as error:  # its classes differ between distributions
        return _complain(error)
    node = DetectionNode(detector, options.temperature)
    try:
        rclpy.spin(node)
    except ExternalShutdownException:
        pass
    finally:
        node.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _complain(error: Any) -> int:
    print(f'detect: error: {" ".join(str(error).split())}', file=sys.stderr)
    return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    before_ros = arguments[: arguments.index('--ros-args')] if '--ros-args' in arguments else arguments
    parser = argparse.ArgumentParser(
        prog='detect', description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--model',
        type=Path,
        required=True,
        metavar='D.yaml',
        help='describes the detector (docs/detectors.md)',
    )
    parser.add_argument('--device', default='cpu', help='cpu or cuda:N (default: cpu)')
    parser.add_argument(
        '--temperature',
        action='store_true',
        help='add the highest temperature of each box, from registered/image (mono16, 16UC1, 32FC1)',
    )
    return parser.parse_args(before_ros)


if __name__ == '__main__':
    sys.exit(main())
