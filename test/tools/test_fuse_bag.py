"""The command line of fuse_bag; what it does is tested in test/offline."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'offline'))

from flights import START, write

from irvis_fusion_ros.io import bags
from irvis_fusion_ros.tools import export_pairs, fuse_bag


def run(*arguments):
    return fuse_bag.main([str(each) for each in arguments])


def test_summary_parameters_and_copies(tmp_path, capsys):
    source = write(tmp_path / 'in', count=4, lost=(1,))
    parameters = tmp_path / 'p.yaml'
    parameters.write_text(
        '/**:\n  ros__parameters:\n    output_encoding: rgb8\n    use_sim_time: true\n'
        '    sync: {tolerance: 1, timeot: 3}\nother_node:\n  ros__parameters: {preset: 7}\n'
    )
    out = tmp_path / 'out'
    assert run(source, out, '--device', 'cpu', '--params', parameters, '--copy', '/other') == 0
    printed = capsys.readouterr()
    assert "unknown parameter 'sync.timeot' is ignored; did you mean 'sync.timeout'?" in printed.err
    assert '3 of 3 pairs fused' in printed.out and '1 no_partner' in printed.out
    summary = json.loads((out / 'summary.json').read_text())
    assert set(summary) == {
        'preset', 'device', 'pairs', 'deformation_of', 'pairs_in', 'images_in', 'drops'
    }  # fmt: skip
    with bags.BagReader(out) as bag:
        assert bag.topics['/other'].count == 4
        assert next(bag.images('/fused/image')).encoding == 'rgb8'
    assert {path.suffix for path in out.iterdir()} == {'.mcap', '.yaml', '.json'}
    assert run(source, out) == 1
    assert 'exists already' in capsys.readouterr().err
    assert run(source, out, '--resume') == 0
    assert 'already' in capsys.readouterr().out


def test_several_bags_each_get_their_own_and_one_that_fails_stops_no_other(tmp_path, capsys):
    for name in ('a', 'b', 'c'):
        write(tmp_path / 'in' / name, count=2)
    next((tmp_path / 'in' / 'b').glob('*.mcap')).write_bytes(b'nothing')
    assert run(tmp_path / 'in' / '*', tmp_path / 'out', '--device', 'cpu') == 1
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a', 'b', 'c']
    assert (tmp_path / 'out' / 'c' / 'summary.json').exists()
    assert not (tmp_path / 'out' / 'b' / 'summary.json').exists()
    error = capsys.readouterr().err
    assert 'cannot read the bag file' in error and 'Traceback' not in error


@pytest.mark.parametrize(
    ('thermal_start', 'text'),
    [
        (40_000_000_000, 'set sync.thermal_offset to 1699999960.0'),
        (START + 45_000_000, 'set sync.thermal_offset to -0.038'),
        (0, 'their stamps are zero'),
    ],
)
def test_a_bag_without_a_pair_is_an_error_with_its_reason(tmp_path, capsys, thermal_start, text):
    source, out = write(tmp_path / 'in', count=8, thermal_start=thermal_start), tmp_path / 'out'
    assert run(source, out, '--device', 'cpu') == 1
    error = capsys.readouterr().err
    assert text in error and 'no pair was fused' in error
    assert not out.exists()
    assert run(source, out, '--device', 'cpu', '--resume') == 1
    assert export_pairs.main([str(source), str(tmp_path / 'pairs'), '--device', 'cpu']) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['nowhere'], "there is no bag at 'nowhere'"),
        (['IN', '--thermal', '/lwir'], "no topic '/lwir'"),
        (['IN', '--copy', '/gone'], "no topic '/gone'"),
        (['IN', '--preset', 'magic'], "'magic'"),
        (['IN', '--params', 'none.yaml'], 'none.yaml: parameter file cannot be read'),
        (['IN', '--params', 'WRONG'], "'sync.tolerance' is -1"),
    ],
)
def test_errors_name_what_is_wrong(tmp_path, capsys, arguments, text):
    (tmp_path / 'wrong.yaml').write_text('fusion_node: {ros__parameters: {sync: {tolerance: -1}}}')
    names = {'IN': write(tmp_path / 'in', count=2), 'WRONG': tmp_path / 'wrong.yaml'}
    source, *more = (names.get(each, each) for each in arguments)
    assert run(source, tmp_path / 'out', *more) == 1
    error = capsys.readouterr().err
    assert text in error and error.startswith('fuse_bag: error: ') and 'Traceback' not in error
