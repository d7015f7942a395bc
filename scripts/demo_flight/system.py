"""The running system: the node, a recorder of its outputs, and the player of the bag, each a process."""

import signal
import subprocess
import sys
from pathlib import Path

from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.tools.make_flight import TRUTH

# Seconds for the node and the recorder to start, on a machine that is busy with other things.
START = 60.0
END = 30.0


class DemoError(RuntimeError):
    """A part of the system that did not do its work."""


def fly(flight: Path, outputs: Path) -> None:
    """Play a flight to the node and record what it publishes. Raises DemoError."""
    with BagReader(flight) as bag:
        wanted = [recorded.stamp for recorded in bag.images(TRUTH)]
    node = _start('irvis_fusion_ros.ros.fusion_node')
    recorder = subprocess.Popen(
        [sys.executable, Path(__file__).with_name('recorder.py'), outputs, str(START), *map(str, wanted)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if recorder.stdout.readline() != 'ready\n':
            raise DemoError('the node did not come up; its log is above')
        player = _start('irvis_fusion_ros.tools.replay', flight, '--subscribers', 2)
        if player.wait():
            raise DemoError('the bag could not be played; the reason is above')
        recorder.communicate(timeout=END)
        node.send_signal(signal.SIGINT)
        if node.wait(END):
            raise DemoError(f'fusion_node ended with exit code {node.returncode}')
    finally:
        for process in (recorder, node):
            process.kill()
            process.wait()


def _start(module: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-m', module, *map(str, arguments)])
