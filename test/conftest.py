"""Lets tests import the helpers beside them, and has the package installed as users have it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from installation import Installation


@pytest.fixture(scope='session')
def installed(tmp_path_factory) -> Installation:
    """Return the package, installed once for all tests that need it so."""
    return Installation(tmp_path_factory.mktemp('installed'))
