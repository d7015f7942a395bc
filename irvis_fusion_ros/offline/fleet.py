"""
Many bags on the machines of a Ray cluster: each is one task, tried again elsewhere when its worker dies.

Ray schedules; a task that is tried again goes on behind the last file that its bag was given. The bags and
their outputs have to be at the same paths on every machine.
"""

import os
from collections.abc import Callable, Iterator, Sequence

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.offline.run import Task

RETRIES = 5
# A worker waits for one pair at a time; two threads of the classical method share a core and a bit.
CORES = 1

# Does a task and returns whether it succeeded, and one line on it.
Work = Callable[[Task], tuple[bool, str]]


def done_by_ray(tasks: Sequence[Task], work: Work, address: str | None) -> Iterator[tuple[bool, str]]:
    """
    Let a cluster do tasks; yields what `work` returns of each, in the order in which they end.

    address: of the cluster; None starts one on this machine. Raises FileError without Ray, or without the
    cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise FileError(f"--ray needs Ray ({error}): pip install 'irvis_fusion_ros[fleet]'") from error
    # of how many threads a sum is made shows in its last bits, and Ray would set another number
    threads = os.environ.get('OMP_NUM_THREADS', str(os.cpu_count()))
    try:
        ray.init(
            address=address,
            runtime_env={'env_vars': {'OMP_NUM_THREADS': threads}},
            log_to_driver=False,
            include_dashboard=False if address is None else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise FileError(f"--ray: no cluster at '{address}': {' '.join(str(error).split())}") from error
    try:
        gpus = 1 if any(task.config.device.startswith('cuda') for task in tasks) else 0
        remote = ray.remote(num_cpus=CORES, num_gpus=gpus, max_retries=RETRIES)(work)
        running = {remote.remote(task): task for task in tasks}
        while running:
            (ended, *_), _ = ray.wait(list(running))
            task = running.pop(ended)
            try:
                yield ray.get(ended)
            except ray.exceptions.RayError as error:
                yield False, f'{task.source}: given up: {" ".join(str(error).split())[:300]}'
    finally:
        ray.shutdown()
