"""Real image pairs for tests: the folder IRVIS_SHARED, or `shared` beside the repository."""

import os
from pathlib import Path

import pytest


def shared(path: str) -> Path:
    """Return a file or folder below the shared folder; skips the test where it is absent."""
    beside = Path(__file__).resolve().parents[2] / 'shared'
    found = Path(os.environ.get('IRVIS_SHARED', beside)) / path
    if not found.exists():
        pytest.skip(f'{path} is not in the shared folder: set IRVIS_SHARED')
    return found
