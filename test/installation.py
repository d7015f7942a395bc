"""The package as a user has it: installed by pip to a prefix of its own, once for all tests."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = 'irvis_fusion_ros'
# what setup.py reads; the tree is copied because pip builds inside of it
_SOURCES = (
    *('pyproject.toml', 'setup.py', 'setup.cfg', 'package.xml', 'README.md', 'LICENSE'),
    *('resource', NAME, 'launch', 'config', 'models', 'launchers'),
)


class Installation:
    """A prefix that holds nothing but this package; its dependencies are those of the running Python."""

    def __init__(self, folder: Path):
        self.prefix = folder / 'prefix'
        source = folder / 'source'
        source.mkdir()
        for name in _SOURCES:
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
            copy(REPOSITORY / name, source / name)
        pip = [
            sys.executable,
            '-m',
            'pip',
            'install',
            '--no-deps',
            '--no-build-isolation',
            '--ignore-installed',
        ]
        done = subprocess.run(
            [*pip, '--prefix', str(self.prefix), str(source)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @property
    def site_packages(self) -> Path:
        """Where its Python code is."""
        paths = sysconfig.get_paths(vars={'base': str(self.prefix), 'platbase': str(self.prefix)})
        return Path(paths['purelib'])

    @property
    def executables(self) -> Path:
        """Where `ros2 run` looks."""
        return self.prefix / 'lib' / NAME

    @property
    def share(self) -> Path:
        """Where `ros2 launch` looks."""
        return self.prefix / 'share' / NAME

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a shell in which this installation is active."""
        return {
            **os.environ,
            'PYTHONPATH': str(self.site_packages),
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'AMENT_PREFIX_PATH': f'{self.prefix}:{sys.prefix}',
            **more,
        }
