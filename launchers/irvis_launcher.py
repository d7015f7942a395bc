"""
Starts an executable in the environment it was installed to.

Lies beside the executables, so that whichever python3 comes first in PATH finds it.
"""

import importlib
import os
import sys
from pathlib import Path


def run(module: str) -> int:
    """Run `main()` of a module of irvis_fusion_ros and return its exit code."""
    try:
        _enter_virtual_environment()
        return _run(module)
    except KeyboardInterrupt:  # most often while the libraries are imported, which takes seconds
        print(f'{Path(sys.argv[0]).name}: interrupted', file=sys.stderr)
        return 130


def _run(module: str) -> int:
    try:
        importlib.import_module('irvis_fusion_ros.process').set_up()
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module or error.name.startswith('irvis_fusion_ros.'):
            raise
        print(
            f"{Path(sys.argv[0]).name}: error: {sys.executable} has no module '{error.name}'. Activate the "
            'virtual environment that has it, and source install/setup.bash, before you start this.',
            file=sys.stderr,
        )
        return 1
    return program.main()


def _enter_virtual_environment() -> None:
    # `ros2 run` starts whatever python3 is first in PATH, which knows nothing of the environment that was
    # installed to unless that was activated
    prefix = Path(__file__).resolve().parents[2]
    python = prefix / 'bin' / 'python3'
    if (prefix / 'pyvenv.cfg').is_file() and python.exists() and Path(sys.prefix).resolve() != prefix:
        os.execv(python, [str(python), *sys.argv])
