"""Warnings that may come with every frame. No ROS needed."""

from types import SimpleNamespace

from irvis_fusion_ros.ros.throttle import WarningThrottle, plain


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


def test_what_messages_hold_floods_neither_log_nor_memory():
    said, now = [], [0.0]
    throttle = WarningThrottle(SimpleNamespace(warning=said.append), period=10, clock=lambda: now[0])
    for number in range(10_000):
        throttle.warn(number, f'number {number}')
    assert len(said) <= 101
    assert len(throttle._warned) <= 101
    now[0] = 20.0
    throttle.warn('new', 'told again')
    assert said[-1] == 'told again'


def test_a_text_is_one_printable_line():
    assert plain('a\n[ERROR] forged \x1b[2J') == 'a [ERROR] forged  [2J'
    assert len(plain('x' * 10_000_000)) < 1000
    assert plain('30 \u00b0C') == '30 \u00b0C'
