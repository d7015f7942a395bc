"""Lets tests import the helpers beside them, and has the package installed as users have it."""

import os
import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Set before torch is loaded, and inherited by the processes that tests start. Their problems are too small
# for two threads, which spin while they wait for each other: on a busy machine that took ten times the time.
os.environ.setdefault('OMP_NUM_THREADS', '1')

from hypothesis import settings
from installation import Installation

# The same cases each time, without a time limit, which a busy machine would not keep, and without a folder.
settings.register_profile('irvis', derandomize=True, deadline=None, database=None)
settings.load_profile('irvis')


@pytest.fixture(scope='session')
def installed(tmp_path_factory) -> Installation:
    """Return the package, installed once for all tests that need it so."""
    return Installation(tmp_path_factory.mktemp('installed'))


def pytest_terminal_summary(terminalreporter):
    """Say how much processor time was used; unlike the time of day it does not depend on other processes."""
    # processes that were started and have ended are in it
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    terminalreporter.write_line(f'processor seconds: {seconds:.0f}')
