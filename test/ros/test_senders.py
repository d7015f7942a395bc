"""Which publishers send at once, and which one follows another."""

from types import SimpleNamespace

from irvis_fusion_ros.ros.senders import Senders


def message(frame_id):
    return SimpleNamespace(header=SimpleNamespace(frame_id=frame_id))


def sent(*cameras, rate=30, listed=None):
    """Senders that heard cameras, (gid, first, last) in seconds."""
    senders = Senders()
    senders.listed(listed or {gid: f'/{gid.decode()}' for gid, _, _ in cameras}, 0.0)
    for time, gid in sorted(
        (first + number / rate, gid)
        for gid, first, last in cameras
        for number in range(int((last - first) * rate))
    ):
        senders.note(gid, message(f'frame_{gid.decode()}'), time)
    return senders


def test_one_publisher_is_no_mixture():
    assert sent((b'a', 0, 10)).at_once(10.0) == []
    assert Senders().at_once(0.0) == []


def test_two_that_send_at_once_are_named():
    found = sent((b'a', 0, 10), (b'b', 6, 10)).at_once(10.0)
    assert found == ["/a (frame_id 'frame_a')", "/b (frame_id 'frame_b')"]


def test_a_successor_is_no_mixture():
    """Killed and started again, and both for a moment."""
    assert sent((b'a', 0, 6), (b'b', 6.5, 10)).at_once(8.0) == []
    assert sent((b'a', 0, 6), (b'b', 5.5, 10)).at_once(8.0) == []


def test_a_mixture_ends_with_its_second_publisher():
    senders = sent((b'a', 0, 20), (b'b', 0, 5))
    assert len(senders.at_once(5.0)) == 2
    assert senders.at_once(19.0) == []


def test_where_nobody_tells_who_sent_the_list_has_to_last():
    senders = sent((b'', 0, 40), listed={b'1': '/a', b'2': '/b'})
    assert senders.at_once(20.0) == []
    assert senders.at_once(40.0) == ['/a', '/b']
    senders.listed({b'1': '/a'}, 40.0)
    assert senders.at_once(40.0) == []


def test_publishers_that_come_and_go_fill_no_memory():
    senders = Senders()
    for number in range(10_000):
        senders.note(number.to_bytes(4, 'little'), message('f'), number * 0.01)
    assert len(senders._heard) <= 32
