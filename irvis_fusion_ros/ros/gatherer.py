"""
Measures the rig while the node works: in a thread of its own, behind a short queue, at low priority.

What the queue cannot take is left out: a rig is measured from any images, and fusing comes first.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from irvis_fusion_ros import calibration
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.imaging.brightness import Brightness
from irvis_fusion_ros.imaging.depth import DepthConfig
from irvis_fusion_ros.imaging.tone import ToneConfig
from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.rig.estimate import Estimate, Gathering
from irvis_fusion_ros.ros import conversions
from irvis_fusion_ros.ros.background import Background
from irvis_fusion_ros.ros.filters import stamp_of

# Images and pairs that may wait for the thread.
WAITING = 12
# Seconds of the stamps between pairs that are kept: a view that has hardly changed tells nothing new.
APART = 0.5
# The rig is estimated when so many pairs were gathered, and again whenever there are twice as many.
FIRST = 10
# How much less of the processor the thread gets than those that fuse.
NICE = 10
# A rig is used from this confidence on.
SURE = 0.5


class Gatherer(Background):
    """
    Gathers what images tell of the rig, from `begin` to `forget`.

    rois: of the thermal and the visible image, as for imaging.scene.Scenes. In its thread,
    on_found(calibration) is called whenever a rig was measured that can be used, and on_error(error) when
    something failed. `estimate` is the last, None before the first.
    """

    def __init__(
        self,
        tone: ToneConfig,
        depth: DepthConfig,
        on_found: Callable[[Calibration], None],
        on_error: Callable[[Exception], None],
        gathering: Gathering | None = None,
        rois: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
    ):
        super().__init__('rig_gatherer')
        self._brightness = Brightness(tone, depth)
        self._rois = rois
        self._on_found = on_found
        self._on_error = on_error
        self._gathering = gathering or Gathering()
        self._queue: deque[tuple[str, Any]] = deque(maxlen=WAITING)
        self._anew = False
        self.active = False
        self.estimate: Estimate | None = None
        self._estimating = False
        self._restart()

    def stop(self) -> bool:
        """End the thread after what it is at; what waits is left out."""
        ended = super().stop()
        self._queue.clear()
        return ended

    def begin(self) -> None:
        """Forget what was gathered, and gather from now on."""
        with self._wake:
            self.active = self._anew = True
            self._queue.clear()
            self.estimate = None

    def forget(self) -> None:
        """Forget what was gathered; goes on if it was gathering."""
        if self.active:
            self.begin()

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change the parts of the images that are used, and forget what was gathered of others."""
        self._rois = thermal, visible
        self.forget()

    def image(self, camera: str, message: Any) -> None:
        """Take any image of a camera, for the clocks."""
        self._put(camera, message)

    def pair(self, pair: Pair) -> None:
        """Take a pair, if both images are there."""
        if pair.thermal is not None and pair.visible is not None:
            self._put('pair', pair)

    @property
    def pairs(self) -> int:
        """How many pairs were gathered."""
        return 0 if self._anew else self._pairs

    def progress(self) -> str:
        """Say in one sentence how far it is."""
        if not self.active:
            return 'nothing is gathered: call ~/calibrate'
        found = self.estimate
        if self._estimating and found is None and not self._anew:
            return f'estimating the rig from {self.pairs} pairs'
        if found is None:
            due = FIRST if self._anew else self._due
            return f'{self.pairs} pairs gathered, the first estimate comes with {due}'
        if found.calibration is None:
            why = '; '.join(note.text for note in found.notes) or 'the images have too little in common'
            return f'{self.pairs} pairs gathered, no rig is found yet: {why}'
        # why there is no offset is among the notes
        said = [note.text for note in found.notes]
        if found.clock and (offset := found.clock.offset) is not None:
            said.insert(0, f'sync.thermal_offset should be {offset.seconds:.4f} +- {offset.error:.4f} s')
        told = ''.join(f'; {text}' for text in said)
        return (
            f'{self.pairs} pairs gathered, {found.used} of {len(found.residuals)} agree, the transform is '
            f'known to {found.uncertainty:.2f} px, confidence {found.confidence:.2f}{told}'
        )

    def save(self, path: Path) -> str:
        """Write the calibration file, and say what is in it. Raises FileError where that cannot be."""
        found = self.estimate
        if found is None or found.calibration is None:
            raise FileError(f'there is no rig to save: {self.progress()}')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f'{path}: its folder cannot be made ({error.strerror})') from error
        calibration.save(found.calibration, path)
        return (
            f'{path}: {found.used} of {len(found.residuals)} pairs agree, the transform is known to '
            f'{found.uncertainty:.2f} px'
        )

    def _put(self, kind: str, what: Any) -> None:
        if not self.active or self._thread is None:
            return
        with self._wake:
            self._queue.append((kind, what))
            self._wake.notify()

    def _restart(self) -> None:
        self._gathering.reset()
        self._brightness.set_rois(*self._rois)
        self._brightness.reset()
        self._pairs, self._due = 0, FIRST
        self._last_stamp = -np.inf

    def _run(self) -> None:
        _yield_to_others()
        while True:
            with self._wake:
                while not (self._stop or self._queue):
                    self._wake.wait()
                if self._stop:
                    return
                kind, what = self._queue.popleft()
                anew, self._anew = self._anew, False
            try:
                if anew:
                    self._restart()
                self._take(kind, what)
            except ImageError:
                pass  # the camera refuses it, counts it and says so
            except Exception as error:
                self._on_error(error)

    def _take(self, kind: str, what: Any) -> None:
        if kind == 'pair':
            stamp = stamp_of(what.visible) / 1e9
            # by their own clocks, whatever is added to those of the thermal camera
            gap = (stamp_of(what.thermal) - stamp_of(what.visible)) / 1e9
            if stamp - self._last_stamp < APART and stamp >= self._last_stamp:
                return
            self._last_stamp = stamp
            thermal, visible = conversions.decode(what.thermal), conversions.decode(what.visible)
            bright = self._brightness.pair(thermal.pixels, visible.pixels, thermal.order, visible.order)
            self._gathering.pair(bright.bright, bright.luma, stamp, gap=gap, scenes=bright.scenes)
            self._pairs += 1
            if self._pairs >= self._due:
                self._estimate()
        else:
            picture = conversions.decode(what)
            brightness = self._brightness.of(kind, picture.pixels, picture.order)
            self._gathering.move(kind, brightness, stamp_of(what) / 1e9)

    def _estimate(self) -> None:
        self._due = 2 * self._pairs
        self._estimating = True
        try:
            found = self._gathering.estimate()
        finally:
            self._estimating = False
        with self._wake:
            if self._anew or self._stop:
                return  # it is of what is to be forgotten
            self.estimate = found
        if found.calibration is not None and found.confidence >= SURE:
            self._on_found(found.calibration)


def state_file(node: str) -> Path:
    """Return where a node, by its full name, keeps the rig it has measured if no file is named."""
    home = os.environ.get('ROS_HOME') or Path.home() / '.ros'
    return Path(home) / 'irvis_fusion_ros' / f'{node.strip("/").replace("/", "_")}.yaml'


def _yield_to_others() -> None:
    # on Linux a thread has a priority of its own
    if hasattr(os, 'setpriority') and os.uname().sysname == 'Linux':
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
