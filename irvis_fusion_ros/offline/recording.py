"""
A recording to calibrate a rig from: every image of both cameras, and then the pairs.

It is read twice, because the clocks of the cameras are known only when all images have been seen, and pairs
are made by the clocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irvis_fusion_ros.data import folders
from irvis_fusion_ros.errors import BagError, FileError, ImageError, IncompleteBagError
from irvis_fusion_ros.geometry.turn import turned
from irvis_fusion_ros.imaging.brightness import Brightness
from irvis_fusion_ros.imaging.scene import PairScene
from irvis_fusion_ros.io import video_file
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.offline.source import Image, PairSource, find_topics
from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.ros.options import NodeConfig, SyncConfig

# camera, brightness and stamp in seconds
OnImage = Callable[[str, np.ndarray, float], None]
# thermal and visible brightness, stamp in seconds, name, how much later the thermal stamp is, if known, and
# what of both images is scene
OnPair = Callable[[np.ndarray, np.ndarray, float, str, float | None, PairScene], None]


class BagRecording:
    """
    A bag. topics: of the cameras by name, where they are not those of the node. say(text) is told what is
    wrong, once each. turn: by what thermal images are turned (geometry/turn.py). Raises BagError.
    """

    timed = True

    def __init__(
        self,
        path: Path,
        topics: dict[str, str | None],
        say: Callable[[str], None],
        turn: str | None = None,
    ):
        self._path, self._turn = path, turn
        self._say, self._said = say, set()
        with BagReader(path) as bag:
            self._topics = find_topics(bag, NodeConfig(), topics)
            self.seconds = max(0.0, (bag.stop - bag.start) / 1e9)

    def images(self, on_image: OnImage) -> Iterator[float]:
        """Read every image; yields seconds of the recording that are done."""
        bright = Brightness()

        def take(camera: str, image: Image) -> None:
            if (pixels := self._decoded(camera, image)) is not None:
                on_image(camera, bright.of(camera, *pixels), image.stamp / 1e9)

        yield from self._read(SyncConfig(), lambda pair: None, take)

    def pairs(self, on_pair: OnPair, sync: SyncConfig, apart: float) -> Iterator[float]:
        """Read pairs that are at least `apart` seconds from each other; yields as `images`."""
        bright, last = Brightness(), [-np.inf]

        def take(pair: Pair) -> None:
            if pair.visible.stamp / 1e9 - last[0] < apart:
                return
            thermal, visible = (
                self._decoded(name, image)
                for name, image in (('thermal', pair.thermal), ('visible', pair.visible))
            )
            if thermal is None or visible is None:
                return
            last[0] = pair.visible.stamp / 1e9
            gap = pair.dt - sync.thermal_offset
            found = bright.pair(thermal[0], visible[0], thermal[1], visible[1])
            on_pair(found.bright, found.luma, last[0], f'{last[0]:.3f}', gap, found.scenes)

        yield from self._read(sync, take, None)

    def _read(
        self,
        sync: SyncConfig,
        on_pair: Callable[[Pair], None],
        on_image: Callable[[str, Image], None] | None,
    ) -> Iterator[float]:
        config = replace(NodeConfig(), sync=sync)
        with BagReader(self._path) as bag:
            source = PairSource(bag, self._topics, config, on_pair, self._complain, on_image)
            try:
                for record in bag.records(source.topics):
                    source.take(record)
                    yield max(0.0, (record.time - bag.start) / 1e9)
            except IncompleteBagError as error:
                self._complain('incomplete', str(error))
            source.pairing.flush()
            if not source.pairing.counts['visible']['paired']:
                self._complain('no pair', f'no pair: {source.no_pair()}')

    def _decoded(self, camera: str, image: Image) -> tuple[np.ndarray, str] | None:
        try:
            picture = image.picture()
        except ImageError as error:
            self._complain(f'{camera} {error.cause}', f'{camera}: {error}; image left out')
            return None
        return _upright(picture.pixels, camera, self._turn), picture.order

    def _complain(self, key: str, text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._say(text)


class FolderRecording:
    """
    Two folders of images, or two videos. rate: pairs per second, None where images have no times; videos have
    their own. turn: as of BagRecording. Raises FileError.
    """

    def __init__(
        self,
        found: folders.Pairs,
        rate: float | None,
        say: Callable[[str], None],
        turn: str | None = None,
    ):
        self._turn = turn
        self._pairs = list(found.pairs.items())
        first = self._pairs[0][1][0]  # of videos, each thermal frame has its partner
        if rate is None and isinstance(first, video_file.Frame):
            rate = first.video.rate
        self._rate, self._say = rate, say
        self.timed = rate is not None
        self.seconds = (len(self._pairs) - 1) / (rate or 1.0)

    def images(self, on_image: OnImage) -> Iterator[float]:
        """See BagRecording."""
        bright = Brightness()
        for number, (_, sources) in enumerate(self._pairs):
            for camera, source in zip(('thermal', 'visible'), sources, strict=True):
                if (pixels := self._read(camera, source)) is not None:
                    on_image(camera, bright.of(camera, pixels), number / self._rate)
            yield number / self._rate

    def pairs(self, on_pair: OnPair, sync: SyncConfig, apart: float) -> Iterator[float]:
        """See BagRecording; with an offset of the clocks, other files belong together."""
        bright, rate, last = Brightness(), self._rate or 1.0, -np.inf
        later = round(sync.thermal_offset * rate)
        for number, (name, (_, of_visible)) in enumerate(self._pairs):
            if number / rate - last < apart or not 0 <= number - later < len(self._pairs):
                continue
            of_thermal = self._pairs[number - later][1][0]
            thermal, visible = self._read('thermal', of_thermal), self._read('visible', of_visible)
            if thermal is None or visible is None:
                continue
            last = number / rate
            try:
                gap = -later / rate if self.timed else None
                found = bright.pair(thermal, visible)
                on_pair(found.bright, found.luma, last, name, gap, found.scenes)
            except ImageError as error:
                self._say(f'{name}: {error}; pair left out')
            yield last

    def _read(self, camera: str, source: Any) -> np.ndarray | None:
        try:
            return _upright(folders.read(source), camera, self._turn)
        except FileError as error:
            self._say(f'{error}; image left out')
            return None


def opened(
    inputs: list[Path],
    topics: dict[str, str | None],
    rate: float | None,
    pattern: str | None,
    listing: Path | None,
    say: Callable[[str], None],
    turn: str | None = None,
) -> BagRecording | FolderRecording:
    """Return the recording of one bag, or of a thermal and a visible folder or video. Raises FileError."""
    try:
        if len(inputs) == 1:
            return BagRecording(inputs[0], topics, say, turn)
        return FolderRecording(folders.find(*inputs, pattern, listing), rate, say, turn)
    except BagError as error:
        raise FileError(str(error)) from error


def _upright(pixels: np.ndarray, camera: str, turn: str | None) -> np.ndarray:
    return turned(pixels, turn) if turn and camera == 'thermal' else pixels
