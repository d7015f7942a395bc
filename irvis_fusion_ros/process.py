"""Configures the process of an executable before NumPy is imported; the package alone configures nothing."""

import ctypes
import os

# glibc's mallopt
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8


def set_up() -> None:
    """Keep freed memory in the process, NumPy's linear algebra in one thread, and waits of threads short."""
    _keep_memory()
    _keep_to_few_threads()


def _keep_memory() -> None:
    """
    Keep freed memory in the process.

    glibc returns the memory of each image to the system and requests it again for the next one, which costs
    more than the copy itself. It has an arena for each of the first threads, and each would keep some: with
    two, `swift_lite` takes 420 MiB instead of 505, in the same time.
    """
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 1 << 29)
    mallopt(_M_TOP_PAD, 1 << 26)
    mallopt(_M_ARENA_MAX, 2)


def _keep_to_few_threads() -> None:
    """
    Run the linear algebra of NumPy in the calling thread.

    Its matrices are small here. After each of them, OpenBLAS keeps its threads spinning for a while, on cores
    that a network needs: with swift_lite on two cores a pair took half as long again, and ten times as long
    beside two busy processes. (MKL_NUM_THREADS would limit networks to one thread, too.)
    """
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    # The threads of torch spin while they wait for each other, by default so long that beside two busy
    # processes on two cores a cold pair of swift_lite took seconds. Milliseconds idle, and beside these two:
    # 99 and thousands as they are, 110 and 313 with this count, 168 and 227 where they sleep at once.
    os.environ.setdefault('GOMP_SPINCOUNT', '1000')
