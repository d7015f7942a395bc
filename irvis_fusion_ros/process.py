"""Sets the process of an executable up, before NumPy is imported; who imports the package is left alone."""

import ctypes
import os

# glibc's mallopt
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def set_up() -> None:
    """Keep memory in the process, and the linear algebra of NumPy in one thread."""
    _keep_memory()
    _keep_to_few_threads()


def _keep_memory() -> None:
    """
    Keep freed memory in the process.

    glibc hands the memory of each image back to the system and asks for it again with the next one, which
    costs more than the copy itself.
    """
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 1 << 29)
    mallopt(_M_TOP_PAD, 1 << 26)


def _keep_to_few_threads() -> None:
    """
    Let the linear algebra of NumPy work in the thread that asks for it.

    Its matrices are small here. OpenBLAS leaves its threads spinning for a while after each of them, on cores
    that a network waits for: half as long again for a pair was measured with swift_lite on two cores, and ten
    times as long beside two busy processes. (MKL_NUM_THREADS would keep networks to one thread, too.)
    """
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
