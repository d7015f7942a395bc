"""The SROS 2 policy names all that the node has, and nothing else."""

import time
import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from installation import REPOSITORY
from rclpy.parameter import Parameter

from irvis_fusion_ros.ros import topics

POLICY = REPOSITORY / 'config' / 'sros2_policy.xml'
# The elements of the policies of sros2, what may be in each, and its attributes.
SCHEMA = {
    'policy': ({'enclaves'}, {'version'}),
    'enclaves': ({'enclave'}, set()),
    'enclave': ({'profiles'}, {'path'}),
    'profiles': ({'profile'}, set()),
    'profile': ({'topics', 'services', 'actions'}, {'ns', 'node'}),
    'topics': ({'topic'}, {'publish', 'subscribe'}),
    'services': ({'service'}, {'request', 'reply'}),
    'topic': (set(), set()),
    'service': (set(), set()),
}
# Of these, what a node has depends on the distribution and on its parameters.
OPTIONAL = {'/fusion_node/get_type_description', '/clock', '/parameter_events', '/rosout'}
ALONE = '/policy'


def allowed(action):
    """Return the full names that the policy allows, as sros2 resolves them for a node without namespace."""
    root = ElementTree.parse(POLICY).getroot()
    names = [rule.text for group in root.iter() if group.get(action) == 'ALLOW' for rule in group]
    return {topics.absolute(name.replace('~', '/fusion_node')) for name in names}


def test_it_keeps_to_the_schema():
    root = ElementTree.parse(POLICY).getroot()
    assert root.tag == 'policy' and root.get('version') == '0.2.0'
    for element in root.iter():
        children, attributes = SCHEMA[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert set(element.keys()) <= attributes, element.tag
        assert bool(len(element)) == bool(children), element.tag
        if element.tag in ('topics', 'services'):
            assert list(element.attrib.values()) == ['ALLOW']
        if not children:
            assert element.text == element.text.strip() != ''


def test_it_allows_the_topics_and_services_that_are_documented():
    for action, documented in (
        ('subscribe', topics.SUBSCRIBED),
        ('publish', topics.PUBLISHED),
        ('reply', topics.SERVICES),
    ):
        names = {topics.absolute(each.name.replace('~', '/fusion_node')) for each in documented}
        assert names <= allowed(action), action


@pytest.mark.slow
def test_it_allows_what_the_node_has(ros):
    import rclpy

    from irvis_fusion_ros.ros.node import FusionNode

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    values = {'preset': 'classical', 'targets': 'off'}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    # a namespace of its own: what nodes of other tests have is seen for some seconds after they ended
    node = FusionNode(context=context, namespace=ALONE, parameter_overrides=overrides)
    try:
        assert node.start()
        has = {
            'publish': node.get_publisher_names_and_types_by_node,
            'subscribe': node.get_subscriber_names_and_types_by_node,
            'reply': node.get_service_names_and_types_by_node,
        }
        for action, names in has.items():
            # one of three transports is used
            wanted = set() if action == 'subscribe' else allowed(action) - OPTIONAL
            found, end = set(), time.monotonic() + 60
            # a node hears of its own parts by discovery, too
            while not (found and wanted <= found) and time.monotonic() < end:
                time.sleep(0.1)
                found = {name.removeprefix(ALONE) for name, _ in names('fusion_node', ALONE)}
            assert wanted <= found <= allowed(action), action
    finally:
        node.stop()
        node.destroy_node()
        rclpy.shutdown(context=context)
