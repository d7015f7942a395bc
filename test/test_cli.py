import argparse
import json
import os
import signal

import pytest

from irvis_fusion_ros import cli
from irvis_fusion_ros.errors import FileError


def test_errors_that_the_user_can_mend_are_one_line(capsys):
    def missing():
        raise FileError('a.png: the file is empty')

    assert cli.guarded('tool', missing) == 1
    assert capsys.readouterr().err == 'tool: error: a.png: the file is empty\n'
    assert cli.guarded('tool', lambda: open('/nothing/here')) == 1  # noqa: SIM115
    assert '/nothing/here' in capsys.readouterr().err
    assert cli.guarded('tool', lambda: 0) == 0


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        cli.guarded('tool', lambda: 1 // 0)


def test_interruption_has_the_exit_code_of_a_shell(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert cli.guarded('tool', interrupted) == 130
    assert 'interrupted' in capsys.readouterr().err


def test_argument_types(tmp_path):
    assert cli.positive('3') == 3
    assert cli.new_file(str(tmp_path / 'a.json')) == tmp_path / 'a.json'
    for bad in ('0', '-2', '1.5', 'x'):
        with pytest.raises(argparse.ArgumentTypeError, match='whole number above 0'):
            cli.positive(bad)
    with pytest.raises(argparse.ArgumentTypeError, match='no such folder'):
        cli.new_file(str(tmp_path / 'missing' / 'a.json'))
    with pytest.raises(argparse.ArgumentTypeError, match='is a folder'):
        cli.new_file(str(tmp_path))


def test_json_that_every_program_reads(tmp_path):
    cli.write_json(tmp_path / 'a.json', {'a': [1.5, float('inf')], 'b': {'c': float('nan')}, 'd': 'x'})
    assert json.loads((tmp_path / 'a.json').read_text(), parse_constant=pytest.fail) == {
        'a': [1.5, None],
        'b': {'c': None},
        'd': 'x',
    }


def test_sigterm_ends_the_work_as_ctrl_c_does(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert cli.guarded('tool', lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130
    assert 'interrupted' in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
