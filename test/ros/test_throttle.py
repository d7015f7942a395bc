"""Warnings that may come with every frame. No ROS needed."""

from types import SimpleNamespace

from irvis_fusion_ros.ros.throttle import Complaints


def test_each_key_is_told_once_in_a_while_with_what_was_withheld():
    said, now = [], [0.0]
    complaints = Complaints(SimpleNamespace(warning=said.append), period=10, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0, 9.9):
        complaints.say('a', f'a at {now[0]}')
        complaints.say('b', 'b')
    assert said == ['a at 0.0', 'b']
    now[0] = 10.0
    complaints.say('a', 'a again')
    assert said[2:] == ['a again (3 more like this)']
    now[0] = 30.0
    complaints.say('a', 'a at last')
    assert said[3:] == ['a at last']
