import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training.curves import Curves


@pytest.mark.slow
def test_points_are_written_and_drawn(tmp_path):
    pytest.importorskip('matplotlib')
    curves = Curves(tmp_path / 'curve.csv')
    curves.add(10, 'first', {'train/total': 1 / 3, 'train/known': 2.0})
    curves.add(20, 'second', {'val/endpoint_error': 4.5, 'val/identity_error': 6.0})
    curves.save()
    assert (tmp_path / 'curve.csv').read_text() == (
        'step,stage,series,value\n10,first,train/total,0.333333\n10,first,train/known,2.0\n'
        '20,second,val/endpoint_error,4.5\n20,second,val/identity_error,6.0\n'
    )
    curves.draw(tmp_path / 'curve.png')
    assert (tmp_path / 'curve.png').read_bytes().startswith(b'\x89PNG')


def test_resuming_keeps_what_the_checkpoint_knows(tmp_path):
    path = tmp_path / 'curve.csv'
    first = Curves(path)
    for step in (10, 20, 30):
        first.add(step, 'a', {'train/total': step / 7})
    first.save()
    before = path.read_text()
    resumed = Curves(path, 20)
    resumed.add(30, 'a', {'train/total': 30 / 7})
    resumed.save()
    assert path.read_text() == before


def test_a_file_that_is_no_curve_is_refused(tmp_path):
    (tmp_path / 'curve.csv').write_text('time,loss\n1,2\n')
    with pytest.raises(FileError, match='not a curve of a training run'):
        Curves(tmp_path / 'curve.csv', 5)


def test_nothing_to_draw(tmp_path):
    Curves(tmp_path / 'curve.csv').draw(tmp_path / 'curve.png')
    assert not (tmp_path / 'curve.png').exists()
