"""
The executable `fusion_node`: sets the process up, starts the node, and leaves cleanly.

Nothing of ROS is imported before the process is set up.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

from irvis_fusion_ros import dds_profile

_DESCRIPTION = """\
Time-synchronises, registers and fuses a thermal and a visible camera.

Subscribes to thermal/image_raw and visible/image_raw, publishes fused/image and more. Parameters, remappings
and everything else of ROS come after --ros-args, for example:

  fusion_node --ros-args -p mode:=every_frame -r visible/image_raw:=/camera/color/image_raw
  fusion_node --ros-args --params-file fusion.yaml
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop, and return the exit code of the process."""
    arguments = sys.argv[1:] if args is None else list(args)
    _parse(arguments)
    _on_signals(_end)
    try:
        dds_profile.apply()
        return _run(arguments)
    except KeyboardInterrupt:
        return 0
    finally:
        # unlike a handler, this outlives the interpreter, which takes its time to end
        _on_signals(signal.SIG_IGN)


def _run(arguments: list[str]) -> int:
    try:
        import rclpy
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    except ImportError as error:
        if _is_ending():
            return 0
        return _complain(
            f'ROS 2 is not importable ({error}); source a ROS distribution, or install the PyPI wheels '
            f"with pip install 'irvis_fusion_ros[ros]'"
        )
    try:
        rclpy.init(args=arguments)
    except Exception as error:  # its classes differ between distributions
        return _complain(error)
    try:
        return _run_node(SingleThreadedExecutor())
    except ExternalShutdownException:
        return 0
    except Exception:
        if _is_ending():  # the context went away in the middle of the start
            return 0
        raise
    finally:
        rclpy.try_shutdown()


def _run_node(executor: Any) -> int:
    import rclpy
    from rclpy.exceptions import ParameterException

    from irvis_fusion_ros.ros.node import FusionNode
    from irvis_fusion_ros.ros.parameters import ParameterError

    try:
        node = FusionNode()
    except (ParameterError, ParameterException) as error:
        return _complain(error)
    except RuntimeError as error:  # of rcl, as where security is asked for that DDS was built without
        if type(error).__name__ != 'RCLError' or _is_ending():
            raise
        return _complain(error)
    try:
        if node.config.autostart and not node.start():
            return 1
        executor.add_node(node)
        while rclpy.ok():
            _spin(executor, node)
    finally:
        node.stop()
        node.destroy_node()
    return 0


def _complain(error: Exception | str) -> int:
    print(f'fusion_node: {" ".join(str(error).split())}', file=sys.stderr)
    return 1


def _end(number: int, frame: Any) -> None:
    # Ctrl-C reaches every process of a launch, and a second signal often follows: it must not disturb the end
    _on_signals(_ending_already)
    raise KeyboardInterrupt


def _ending_already(number: int, frame: Any) -> None:
    pass


def _is_ending() -> bool:
    return signal.getsignal(signal.SIGTERM) is not _end


def _on_signals(handler: Any) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, handler)


def _spin(executor: Any, node: Any) -> None:
    from rclpy.executors import ExternalShutdownException

    try:
        executor.spin()
    except ExternalShutdownException:
        raise
    except Exception as error:  # out of a callback: no message may end the node
        if not _is_ending():  # else rclpy has taken its parts away in the middle of one
            node.survive(error)


def _parse(arguments: list[str]) -> None:
    before_ros = arguments[: arguments.index('--ros-args')] if '--ros-args' in arguments else arguments
    parser = argparse.ArgumentParser(
        prog='fusion_node', description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(before_ros)


if __name__ == '__main__':
    sys.exit(main())
