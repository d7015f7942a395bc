"""The command `irvis NAME`: runs an executable of the package, or lists them all."""

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from irvis_fusion_ros import __version__, share


def main(argv: Sequence[str] | None = None) -> int:
    """
    Become the executable that is named, or list the executables.

    The executable takes the place of this process, so arguments, signals and exit code are its own.
    """
    try:
        programs = _programs()
    except OSError as error:
        print(f'irvis: error: {error}', file=sys.stderr)
        return 1
    own, others = (argv[:1], argv[1:]) if argv is not None else (sys.argv[1:2], sys.argv[2:])
    name = _parse(own, programs)
    if name is None:
        print(_listing(programs))
        return 0
    _tell_ament_index()
    # not the executable itself: its first line would look for python3 in PATH, and miss this environment
    os.execv(sys.executable, [sys.executable, str(programs[name]), *others])


def _parse(argv: Sequence[str], programs: dict[str, Path]) -> str | None:
    parser = argparse.ArgumentParser(
        prog='irvis',
        usage='irvis [--help] [--version] [NAME ARGUMENTS...]',
        description='Run an executable of irvis_fusion_ros in a process of its own.',
        epilog=_listing(programs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'irvis_fusion_ros {__version__}')
    parser.add_argument('name', nargs='?', metavar='NAME', choices=programs, help=argparse.SUPPRESS)
    return parser.parse_args(argv).name


def _programs() -> dict[str, Path]:
    found = sorted(path for path in share.executables().iterdir() if path.is_file())
    # under colcon, setup.cfg puts `irvis` itself among the executables
    return {path.name: path for path in found if os.access(path, os.X_OK) and path.name != 'irvis'}


def _listing(programs: dict[str, Path]) -> str:
    width = max(map(len, programs), default=0)
    lines = [f'  {name:{width}}  {_purpose(path)}' for name, path in programs.items()]
    return '\n'.join(['irvis NAME ARGUMENTS..., with NAME one of', *lines, 'irvis NAME --help tells more.'])


def _purpose(path: Path) -> str:
    """Return the first line of a launcher's docstring, without running it."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or '').partition('\n')[0]


def _tell_ament_index() -> None:
    """Make the package findable by ROS, which knows nothing of virtual environments."""
    own = share.ament_prefix()
    known = [entry for entry in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if entry]
    if own is not None and str(own) not in known:
        os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join([str(own), *known])
