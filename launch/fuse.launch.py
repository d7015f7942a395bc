"""
Start fusion_node on a thermal and a visible camera.

    ros2 launch irvis_fusion_ros fuse.launch.py \
        thermal_topic:=/boson/image_raw visible_topic:=/camera/image_raw
"""

import os
import sys
import tempfile
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.logging import launch_config
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

LAUNCH = Path(__file__).resolve().parent
CONFIG = LAUNCH.parent / 'config'
sys.path.insert(0, str(LAUNCH))

import parameter_arguments  # noqa: E402

PARAMETERS = parameter_arguments.declared(CONFIG / 'fusion.schema.json')
# Fast DDS 3 reads the first, Fast DDS 2 (Humble, Jazzy) the second.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
ARGUMENTS = {
    'namespace': ('', 'Namespace of the node and of all its topics; give each rig its own.'),
    'thermal_topic': ('thermal/image_raw', 'Topic of the thermal images; /compressed is appended for you.'),
    'visible_topic': ('visible/image_raw', 'Topic of the visible images; /compressed is appended for you.'),
    'thermal_info_topic': ('', 'CameraInfo of the thermal camera; by default camera_info beside its images.'),
    'visible_info_topic': ('', 'CameraInfo of the visible camera; by default camera_info beside its images.'),
    'params_file': (
        'fusion.yaml',
        'YAML file of parameters: a path, or the name of one that comes with the package (fusion.yaml, '
        'mission.yaml, jetson.yaml). Arguments that are given win over it.',
    ),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'respawn': ('false', 'Start the node again when it dies: true or false.'),
    'prefix': ('', 'Command before the executable, as "taskset -c 2,3" or the python of an environment.'),
    'rviz': ('false', 'Show the results in RViz (package rviz2): true or false.'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node with them."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=parameter_arguments.wrap(text))
                for name, (default, text) in ARGUMENTS.items()
            ),
            *(
                DeclareLaunchArgument(
                    name,
                    default_value=parameter_arguments.FROM_FILE,
                    description=parameter_arguments.wrap(parameter_arguments.describe(parameter)),
                )
                for name, parameter in PARAMETERS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Action]:
    """Return the actions that start the node, and RViz where it is asked for."""
    argument = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    node = LifecycleNode(
        package='irvis_fusion_ros',
        executable='fusion_node',
        name='fusion_node',
        namespace=argument['namespace'],
        parameters=[str(parameter_file(context, argument['params_file']))],
        remappings=[
            *remappings('thermal', argument['thermal_topic'], argument['thermal_info_topic']),
            *remappings('visible', argument['visible_topic'], argument['visible_info_topic']),
        ],
        ros_arguments=['--log-level', argument['log_level']],
        prefix=argument['prefix'] or None,
        respawn=boolean('respawn', argument),
        output='screen',
    )
    # the node configures and activates itself (parameter autostart)
    actions = [*dds_profile(), node]
    if boolean('rviz', argument):
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                namespace=argument['namespace'],
                arguments=['-d', str(CONFIG / 'fusion.rviz')],
                output='screen',
            )
        )
    return actions


def parameter_file(context: LaunchContext, chosen: str) -> Path:
    """Write the parameter file that the node gets, next to the log of this launch, and return its path."""
    given = {}
    for name, parameter in PARAMETERS.items():
        text = LaunchConfiguration(name).perform(context)
        if text != parameter_arguments.FROM_FILE:
            given[name] = parameter_arguments.parse(name, text, parameter)
    packaged = CONFIG / chosen
    source = Path(chosen) if Path(chosen).exists() or not packaged.exists() else packaged
    with tempfile.NamedTemporaryFile(
        prefix='fusion_', suffix='.yaml', dir=launch_config.log_dir, delete=False
    ) as target:
        parameter_arguments.write(source, given, Path(target.name))
    return Path(target.name)


def remappings(stream: str, topic: str, info_topic: str) -> list[tuple[str, str]]:
    """Return the remappings of one stream; the node finds /compressed and camera_info beside its images."""
    if topic.endswith('/compressed'):
        raise ValueError(
            f"{stream}_topic:='{topic}': give it without /compressed, and {stream}.transport:=compressed"
        )
    info = [(f'{stream}/camera_info', info_topic)] if info_topic else []
    return [(f'{stream}/image_raw', topic), *info]


def dds_profile() -> list[Action]:
    """Return what gives Fast DDS room for images, unless the user has a profile of his own."""
    if any(map(os.environ.get, PROFILE_VARIABLES)):
        return []  # the node gives it both names
    return [SetEnvironmentVariable(name, str(CONFIG / 'fastdds.xml')) for name in PROFILE_VARIABLES]


def boolean(name: str, argument: dict[str, str]) -> bool:
    """Return an argument that is true or false."""
    return parameter_arguments.parse(name, argument[name], {'type': 'boolean'})
