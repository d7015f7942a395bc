"""How much memory a part of a test takes."""

import contextlib
import re
from pathlib import Path


def taken_by(function, *values):
    """Return how much more memory a function takes than before, in bytes; a ValueError is passed over."""
    Path('/proc/self/clear_refs').write_text('5')  # forget what was held before
    before = _memory('VmRSS')
    with contextlib.suppress(ValueError):
        function(*values)
    return _memory('VmHWM') - before


def _memory(key):
    """Return what the process holds ('VmRSS') or has held at most ('VmHWM'), in bytes."""
    return int(re.search(rf'{key}:\s+(\d+) kB', Path('/proc/self/status').read_text())[1]) << 10
