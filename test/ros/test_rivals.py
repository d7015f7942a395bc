"""Other nodes on the topics of our outputs."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from irvis_fusion_ros.ros.rivals import Rivals


def endpoint(name, namespace='/'):
    return SimpleNamespace(node_name=name, node_namespace=namespace)


class Graph:
    """What a node knows of the publishers of a topic."""

    def __init__(self, *publishers):
        self.publishers = list(publishers)

    def get_fully_qualified_name(self):
        return '/fusion_node'

    def get_publishers_info_by_topic(self, topic):
        return self.publishers


OURS = endpoint('fusion_node')


def found(graph, *times):
    rivals = Rivals(graph, ['/fused/image'])
    return [rivals.found(time) for time in times]


def test_we_are_no_rival_of_ourselves():
    assert found(Graph(OURS), 0.0, 100.0) == ['', '']


def test_another_node_is_named_with_its_topic_and_the_remedy():
    first, later = found(Graph(OURS, endpoint('other', '/ns')), 0.0, 4.0)
    assert first == ''
    assert '/ns/other publishes on /fused/image as well' in later
    assert '__ns' in later


def test_a_namesake_may_be_our_predecessor():
    before, after = found(Graph(OURS, OURS), 0.0, 20.0)
    assert (before, after) == ('', '')
    assert '/fusion_node publishes' in found(Graph(OURS, OURS), 0.0, 40.0)[1]


def test_a_rival_that_went_is_forgotten():
    graph = Graph(OURS, endpoint('other'))
    rivals = Rivals(graph, ['/fused/image'])
    rivals.found(0.0)
    assert rivals.found(5.0)
    graph.publishers.pop()
    assert rivals.found(10.0) == ''
