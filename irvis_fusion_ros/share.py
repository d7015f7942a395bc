"""
Finds the files beside the code: config, launch files, models and executables. Needs no ROS.

It works in a source tree, under pip and under colcon, with or without AMENT_PREFIX_PATH.
"""

from pathlib import Path

NAME = 'irvis_fusion_ros'
_CODE = Path(__file__).resolve().parent


def folder() -> Path:
    """
    Return the folder that holds config/, launch/ and models/.

    Raises FileNotFoundError if the package was installed without them.
    """
    return _source() or _installed_prefix() / 'share' / NAME


def executables() -> Path:
    """Return the folder of the executables that `ros2 run` finds. Raises FileNotFoundError."""
    source = _source()
    return source / 'launchers' if source else _installed_prefix() / 'lib' / NAME


def ament_prefix() -> Path | None:
    """Return the entry of AMENT_PREFIX_PATH by which ROS finds this package; None in a source tree."""
    return None if _source() else _installed_prefix()


def _source() -> Path | None:
    tree = _CODE.parent
    return tree if (tree / 'package.xml').is_file() else None


def _installed_prefix() -> Path:
    # the depth of site-packages below the prefix differs: venv, Debian, --user, --target, colcon
    for prefix in _CODE.parents:
        if (prefix / 'share' / NAME / 'package.xml').is_file():
            return prefix
    raise FileNotFoundError(
        f'{NAME} was installed to {_CODE} without its data files; '
        'install it with `pip install .` (not -e) or `colcon build`'
    )
