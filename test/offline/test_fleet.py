"""Bags on a Ray cluster: the same bytes as without, and a clear word where there is no Ray."""

import sys

import pytest
from flights import contents, write

from irvis_fusion_ros.tools import fuse_bag


def test_without_ray_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'ray', None)
    source = write(tmp_path / 'in', count=2)
    assert fuse_bag.main([str(source), str(tmp_path / 'out'), '--device', 'cpu', '--ray']) == 1
    assert "pip install 'irvis_fusion_ros[fleet]'" in capsys.readouterr().err


def test_a_cluster_writes_the_same_bags(tmp_path):
    pytest.importorskip('ray')
    for name in ('a', 'b'):
        write(tmp_path / 'in' / name, count=4)
    for out, more in (('alone', []), ('fleet', ['--ray'])):
        given = [str(tmp_path / 'in' / '*'), str(tmp_path / out), '--device', 'cpu', *more]
        assert fuse_bag.main(given) == 0
    for name in ('a', 'b'):
        one, two = (contents(tmp_path / out / name) for out in ('alone', 'fleet'))
        assert one.pop('summary.json') and two.pop('summary.json')
        assert one == two
