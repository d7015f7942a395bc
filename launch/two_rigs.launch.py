"""
Two pairs of cameras on one robot: fusion_node once in the namespace front and once in rear.

An example to copy. Topics are front/thermal/image_raw, rear/visible/image_raw, front/fused/image and so on.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

LAUNCH = Path(__file__).resolve().parent
RIGS = ('front', 'rear')


def generate_launch_description() -> LaunchDescription:
    """Include fuse.launch.py for each rig; its other arguments, given here, go to both."""
    # a group for each, because arguments of one include would stay set for the next
    return LaunchDescription([GroupAction([rig(name)]) for name in RIGS])


def rig(namespace: str) -> IncludeLaunchDescription:
    """Return the node of one rig."""
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(LAUNCH / 'fuse.launch.py')),
        launch_arguments={'namespace': namespace, 'params_file': 'two_rigs.yaml'}.items(),
    )
