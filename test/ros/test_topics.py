"""The table of topics is what the node has."""

import pytest
from installation import REPOSITORY

from irvis_fusion_ros.pairing import STREAMS
from irvis_fusion_ros.ros.topics import PUBLISHED, SERVICES, SUBSCRIBED, image_of, info_of, video_of


def test_names_are_relative_and_one_directory_a_stream():
    for topic in (*SUBSCRIBED, *PUBLISHED):
        assert topic.name == '/diagnostics' or '/' in topic.name.strip('/')
        assert topic.description.endswith('.')


def test_the_launch_file_remaps_these():
    """It cannot import them: `ros2 launch` may run under a Python that does not have the package."""
    text = (REPOSITORY / 'launch' / 'fuse.launch.py').read_text()
    for name in (image_of('{stream}'), info_of('{stream}')):
        assert f"(f'{name}', " in text
    for camera in STREAMS:
        assert f"'{camera}_topic': ('{image_of(camera)}', " in text


@pytest.mark.slow
def test_the_node_has_these_and_no_others(request):
    pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')
    rig, start_node = request.getfixturevalue('rig'), request.getfixturevalue('start_node')
    # a name of its own: DDS remembers a node that was killed in an earlier test for a while
    start_node({'thermal.transport': 'compressed'}, arguments=['-r', '__node:=listed'])
    own = {'/parameter_events', '/rosout', '/listed/transition_event'}

    def names(listed):
        return {(name, kind) for name, kinds in listed for kind in kinds if name not in own}

    not_chosen = {'thermal/image_raw', 'visible/image_raw/compressed'} | {video_of(name) for name in STREAMS}
    published = {(rig.node.resolve_topic_name(topic.name), topic.type) for topic in PUBLISHED}
    subscribed = {(f'/{topic.name}', topic.type) for topic in SUBSCRIBED if topic.name not in not_chosen}
    of_node = ('listed', '/')
    rig.wait(lambda: 'listed' in rig.node.get_node_names())
    rig.wait(lambda: names(rig.node.get_publisher_names_and_types_by_node(*of_node)) == published)
    rig.wait(lambda: names(rig.node.get_subscriber_names_and_types_by_node(*of_node)) == subscribed)
    services = dict(rig.node.get_service_names_and_types_by_node(*of_node))
    for service in SERVICES:
        assert services[service.name.replace('~', '/listed')] == [service.type]
