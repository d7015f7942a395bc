"""Warnings that may come with every frame. No ROS needed."""

from types import SimpleNamespace

from irvis_fusion_ros.ros.throttle import WarningThrottle


def test_each_key_is_told_once_in_a_while_with_what_was_withheld():
    said, now = [], [0.0]
    throttle = WarningThrottle(SimpleNamespace(warning=said.append), period=10, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0, 9.9):
        throttle.warn('a', f'a at {now[0]}')
        throttle.warn('b', 'b')
    assert said == ['a at 0.0', 'b']
    now[0] = 10.0
    throttle.warn('a', 'a again')
    assert said[2:] == ['a again (3 more like this)']
    now[0] = 30.0
    throttle.warn('a', 'a at last')
    assert said[3:] == ['a at last']
