"""Cameras that send more than can be used."""

from irvis_fusion_ros.ros.pace import Pace


def after(seconds, thermal, visible, pairs, taken):
    """What is said after streams of these rates, each in events per second."""
    pace = Pace()
    for tenth in range(10 * seconds + 1):
        time = tenth / 10
        received = {'thermal': int(thermal * time), 'visible': int(visible * time)}
        said = pace.update(time, received, int(pairs * time), int(taken * time))
    return said


def test_what_is_used_is_not_too_much():
    assert after(20, 30, 30, 30, 30) == {}
    assert after(20, 9, 60, 9, 9) == {}
    assert after(20, 30, 30, 30, 5) == {}, 'superseded frames are the nature of realtime'


def test_a_camera_ten_times_as_fast_as_the_other_is_told():
    said = after(20, 9, 300, 9, 9)
    assert set(said) == {'visible'}
    assert '300 images/s come, 9.0 are used: lower its rate; the other camera sends 9' in said['visible']


def test_a_machine_that_is_far_too_slow_is_told():
    said = after(20, 30, 30, 30, 1)
    assert set(said) == {'thermal', 'visible'}
    assert '30 images/s come, 1.0 are used: there is no time for more' in said['visible']


def test_it_has_to_last_and_to_be_many():
    assert after(4, 30, 30, 30, 1) == {}
    assert after(20, 2, 2, 2, 0.1) == {}


def test_without_pairs_the_reason_is_another():
    assert after(20, 30, 30, 0, 0) == {}
    assert after(20, 30, 30, 1, 1) == {}, 'stamps that do not fit are told elsewhere'


def test_it_ends_when_the_camera_slows_down():
    pace = Pace()
    visible = 0
    for tenth in range(400):
        visible, pairs = visible + (30 if tenth < 200 else 1), tenth
        said = pace.update(tenth / 10, {'thermal': pairs, 'visible': visible}, pairs, pairs)
        if tenth == 199:
            assert set(said) == {'visible'}
    assert said == {}
