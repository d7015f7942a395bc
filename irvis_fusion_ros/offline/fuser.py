"""From a pair of a bag to the messages that the node would publish."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.imaging.color import in_encoding
from irvis_fusion_ros.io.encodings import Picture
from irvis_fusion_ros.offline.source import Image
from irvis_fusion_ros.pairing import STREAMS, Pair
from irvis_fusion_ros.predictor import FusionResult, Predictor
from irvis_fusion_ros.ros import camera_info, topics
from irvis_fusion_ros.ros.formats import Format
from irvis_fusion_ros.ros.options import NodeConfig

# Topic of each output; those of `topics.ENCODINGS` are written as they are. What fuse_bag does not write: the
# same image compressed, and deformations in colour, which are for eyes.
TOPIC_OF = {
    output: topic
    for topic, output in topics.OUTPUT_OF.items()
    if topic not in (topics.FUSED_COMPRESSED, topics.DEFORMATION_COLOR)
}
OUTPUTS = tuple(TOPIC_OF)


@dataclass(frozen=True)
class Frame:
    """
    What came of a pair.

    stamp, frame_id: of the outputs. images: pixels and encoding by output. info: CameraInfo for them, or
    None.
    """

    stamp: int
    frame_id: str
    result: FusionResult
    images: dict[str, tuple[np.ndarray, str]]
    info: Any


class Fuser:
    """
    Fuses pairs in order, as the node's pipeline does.

    infos(): the last CameraInfo of each camera. complain(key, text) is told what is wrong. `drops` counts the
    pairs of which nothing came, by cause. `grid_frame` is the last frame_id of the visible camera.
    """

    def __init__(
        self,
        predictor: Predictor,
        config: NodeConfig,
        outputs: frozenset[str],
        infos: Callable[[], dict[str, Any]],
        complain: Callable[[str, str], None],
    ):
        self.predictor = predictor
        self._config = config
        self._outputs = outputs
        self._infos = infos
        self._complain = complain
        self._used_infos: dict[str, Any] | None = None
        self.formats = {name: Format() for name in STREAMS}
        self.epoch = 0
        self.grid_frame = ''
        self.drops: Counter = Counter()

    def fuse(self, pair: Pair) -> Frame | None:
        """Fuse a pair; None if nothing comes of it, which is counted."""
        if pair.epoch != self.epoch:
            self.epoch = pair.epoch
            self.predictor.reset()
        given = {name: getattr(pair, name) for name in STREAMS if getattr(pair, name) is not None}
        pictures = {name: self._decoded(name, image) for name, image in given.items()}
        if None in pictures.values():
            return None
        settled = [self._settled(name, picture) for name, picture in pictures.items()]
        if not all(settled):
            return self._dropped('format_change')
        if self._config.calibration.source == 'camera_info' and not self._calibrate():
            return self._dropped('no_camera_info')
        thermal, visible = pictures.get('thermal'), pictures.get('visible')
        order = visible.order if visible else 'bgr'
        try:
            result = self.predictor(
                thermal and thermal.pixels,
                visible and visible.pixels,
                visible_order=order,
                thermal_order=thermal.order if thermal else 'bgr',
                outputs=self._outputs,
            )
        except ImageError as error:
            return self._refuse(error.camera or 'the pair', error)
        for note in result.notes:
            self._complain(note.code, note.text)
        if visible:
            self.grid_frame = pair.visible.frame_id
        # a thermal image alone lies on the last visible grid
        images = self._images(result, thermal.encoding if thermal else '', order)
        shape = next((pixels.shape[:2] for pixels, _ in images.values()), None)
        reference = pair.visible or pair.thermal
        frame_id = self.grid_frame or reference.frame_id
        return Frame(reference.stamp, frame_id, result, images, shape and self._info(shape))

    def _info(self, shape: tuple[int, int]) -> Any:
        info = self._infos()['visible']
        try:
            return None if info is None else camera_info.for_image(info, shape)
        except ValueError as error:
            self._complain('visible info', f'visible: {error}; it is not written beside the outputs')
            return None

    def _images(self, result: FusionResult, encoding: str, order: str) -> dict[str, tuple[np.ndarray, str]]:
        images = {}
        if result.fused is not None:
            wanted = self._config.output_encoding
            images['fused'] = in_encoding(result.fused, order, wanted), wanted
        if result.registered is not None:
            images['registered'] = result.registered, encoding
        for output, topic in TOPIC_OF.items():
            pixels = getattr(result, output)
            if topic in topics.ENCODINGS and pixels is not None:
                images[output] = pixels, topics.ENCODINGS[topic]
        return images

    def _decoded(self, name: str, image: Image) -> Picture | None:
        try:
            return image.picture()
        except ImageError as error:
            return self._refuse(name, error)

    def _settled(self, name: str, picture: Picture) -> bool:
        known, before = self.formats[name], str(self.formats[name])
        changes = known.changes
        settled = known.accept(picture.kind)
        if known.changes > changes:
            self.predictor.reset()
            self._complain(f'{name} format', f'{name}: adapted from {before} to {known}')
        return settled

    def _calibrate(self) -> bool:
        """Keep the predictor's calibration that of the CameraInfo topics; False as long as there is none."""
        infos = self._infos()
        if self._used_infos is not None and all(infos[name] is self._used_infos[name] for name in STREAMS):
            return self.predictor.calibration is not None
        self._used_infos = dict(infos)
        missing = [name for name in STREAMS if infos[name] is None]
        problem = f'there is no camera_info of {" and ".join(missing)} yet' if missing else None
        try:
            self.predictor.calibration = None if missing else camera_info.calibration(*infos.values())
        except ValueError as error:
            self.predictor.calibration = None
            problem = str(error)
        if problem:
            self._complain('camera_info', f"'calibration.source' is camera_info, but {problem}")
        return problem is None

    def _refuse(self, what: str, error: ImageError) -> None:
        self.drops[error.cause] += 1
        self._complain(f'{what} {error.cause}', f'{what}: {error}; image refused')

    def _dropped(self, cause: str) -> None:
        self.drops[cause] += 1
