"""
From a pair of messages to published results: decode, predict, publish. Runs in the worker's thread.

Every pair has one outcome in `counts`: 'fused', 'passed_through', or why there is nothing: 'not_wanted',
'refused', 'format_change', 'no_camera_info'. The stream's numbers are in `statistics`.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.pairing import STREAMS, Pair
from irvis_fusion_ros.predictor import FusionResult, Predictor
from irvis_fusion_ros.rig.refiner import JUMPED
from irvis_fusion_ros.ros import camera_info, conversions
from irvis_fusion_ros.ros.camera import Camera
from irvis_fusion_ros.ros.conversions import Picture
from irvis_fusion_ros.ros.filters import stamp_of
from irvis_fusion_ros.ros.formats import Format, described
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.outputs import Outputs, predictor_outputs
from irvis_fusion_ros.ros.throttle import WarningThrottle, plain


class Pipeline:
    """
    Processes pairs of messages.

    cameras: by name, for their CameraInfo and their refusals. config(): the values in force.
    now(): nanoseconds of the node's clock, for the age of the stamps. on_jump() is called when the cameras
    were found to lie otherwise to each other than before.
    """

    def __init__(
        self,
        predictor: Predictor,
        outputs: Outputs,
        cameras: dict[str, Camera],
        config: Callable[[], NodeConfig],
        now: Callable[[], int],
        throttle: WarningThrottle,
        on_jump: Callable[[], None] = lambda: None,
    ):
        self.predictor = predictor
        self.outputs = outputs
        self._cameras = cameras
        self._config = config
        self._now = now
        self._throttle = throttle
        self._on_jump = on_jump
        self._formats = {name: Format() for name in cameras}
        self._epoch = 0
        self._started = 0.0
        self._grid_frame = ''
        self._used_infos: tuple[CameraInfo | None, ...] = ()
        self.calibration_problem = ''  # why calibration.source camera_info gives none
        self.counts: Counter = Counter()
        self.notes: Counter = Counter()
        self.sources: Counter = Counter()
        self.statistics = Statistics()

    def process(self, pair: Pair) -> None:
        """Decode, fuse and publish a pair, or count why not."""
        self._started = time.monotonic()
        try:
            outcome = self._process(pair)
        except ImageError as error:
            for name in STREAMS if error.camera is None else (error.camera,):
                self._cameras[name].refuse(error)
            outcome = 'refused'
        self.counts[outcome] += 1

    def reset(self) -> None:
        """Forget earlier frames."""
        self.predictor.reset()
        for each in self._formats.values():
            each.reset()

    def replace_predictor(self, predictor: Predictor) -> None:
        """Go on with another one; cameras keep their formats."""
        # also a rig that was measured while the node worked
        self.use_rig(self.predictor.calibration, predictor)

    def use_rig(self, rig: Calibration | None, predictor: Predictor | None = None) -> None:
        """Align around a rig, by another predictor if there is one; CameraInfo, where it is used, goes on."""
        self.predictor = predictor or self.predictor
        self.predictor.calibration = rig
        self._used_infos = ()

    def set_gray(self, gray: bool) -> None:
        """Spare the predictor the colours, or not."""
        self.predictor.gray = gray

    @property
    def format_changes(self) -> dict[str, int]:
        """How often each camera's format changed and was adapted to."""
        return {name: each.changes for name, each in self._formats.items()}

    def describe_format(self, name: str) -> str:
        """Return size and encoding of a camera's images."""
        return str(self._formats[name])

    def _process(self, pair: Pair) -> str:
        wanted = self.outputs.wanted()
        if not predictor_outputs(wanted):
            self._publish_info(wanted, pair, None)
            return 'not_wanted'
        if pair.epoch != self._epoch:
            self._epoch = pair.epoch
            self.predictor.reset()
        limit = self._config().limits.max_pixels
        pictures = {name: _decode(name, getattr(pair, name), limit) for name in STREAMS}
        # both are looked at, so that a change of both takes two frames and not three
        settled = [self._settled(name, picture) for name, picture in pictures.items()]
        if not all(settled):
            return 'format_change'
        if self._config().calibration.source == 'camera_info' and not self._calibrate():
            return 'no_camera_info'
        self._fuse(pair, pictures, wanted)
        return 'passed_through' if None in pictures.values() else 'fused'

    def _settled(self, name: str, picture: Picture | None) -> bool:
        if picture is None:
            return True
        known, before = self._formats[name], str(self._formats[name])
        changes = known.changes
        settled = known.accept(picture.kind)
        topic = self._cameras[name].image.topic
        if not settled:
            self._throttle.warn(
                (name, 'format_change'),
                f'{topic}: image is {described(picture.kind)} instead of {before}; left out unless it '
                'stays so',
            )
        elif known.changes > changes:
            self.predictor.reset()
            self._throttle.warn((name, 'format_adapted'), f'{topic}: adapted from {before} to {known}')
        return settled

    def _calibrate(self) -> bool:
        """Keep the predictor's calibration that of the CameraInfo topics; False as long as there is none."""
        infos = tuple(self._cameras[name].info for name in ('thermal', 'visible'))
        if self._used_infos and all(a is b for a, b in zip(infos, self._used_infos, strict=True)):
            return self.predictor.calibration is not None
        cameras = [self._cameras[name] for name in ('thermal', 'visible')]
        refused = [f'{camera.info_topic} {camera.info_problem}' for camera in cameras if camera.info_problem]
        missing = [camera.info_topic for camera in cameras if camera.info is None]
        problem = ' and '.join(refused) or (f'nothing came on {" and ".join(missing)} yet' if missing else '')
        self.predictor.calibration = None
        if not problem:
            try:
                self.predictor.calibration = camera_info.calibration(*infos)
            except ValueError as error:
                problem = plain(str(error))
            self._used_infos = infos
        self.calibration_problem = problem
        if problem:
            self._throttle.warn(
                ('camera_info', problem),
                f"'calibration.source' is camera_info, but {problem}; publish it, or set calibration.source",
            )
        return not problem

    def _fuse(self, pair: Pair, pictures: dict[str, Picture | None], wanted: frozenset[str]) -> None:
        thermal, visible = pictures['thermal'], pictures['visible']
        result = self.predictor(
            thermal and thermal.pixels,
            visible and visible.pixels,
            visible_order=visible.order if visible else 'bgr',
            thermal_order=thermal.order if thermal else 'bgr',
            outputs=predictor_outputs(wanted),
        )
        header = self._header(pair)
        config = self._config()
        self.outputs.publish(
            wanted,
            result,
            header,
            order=visible.order if visible else 'bgr',
            thermal_encoding=thermal.encoding if thermal else '',
            config=config,
        )
        self._publish_info(wanted, pair, _grid_shape(result, visible))
        self._note(pair, result)

    def _publish_info(self, wanted: frozenset[str], pair: Pair, shape: tuple[int, int] | None) -> None:
        info = self._cameras['visible'].info
        if info is None or not wanted:
            return
        try:
            shape = shape or camera_info.shape_of(info)
            self.outputs.publish_info(wanted, info, shape, self._header(pair))
        except ValueError as error:
            topic = self._cameras['visible'].info_topic
            self._throttle.warn('visible_info', f'{topic}: {error}; it is not published again')

    def _header(self, pair: Pair) -> Header:
        """The header of the reference image; a thermal one alone gets the last reference frame."""
        if pair.visible is not None:
            self._grid_frame = pair.visible.header.frame_id
            return pair.visible.header
        header = pair.thermal.header
        return Header(stamp=header.stamp, frame_id=self._grid_frame or header.frame_id)

    def _note(self, pair: Pair, result: FusionResult) -> None:
        self.sources[result.source] += 1
        for note in result.notes:
            self.notes[note.code] += 1
            if note is JUMPED:
                self._on_jump()
            self._throttle.warn(('note', note.code), note.text)
        stamp = stamp_of(pair.visible or pair.thermal)
        self.statistics.add(
            age=(self._now() - stamp) / 1e9 if self._now() else None,  # 0: no simulated time yet
            waited=(self._started - pair.arrival) * 1e3,
            end_to_end=(time.monotonic() - pair.arrival) * 1e3,
            predictor=result.timing['total'],
            confidence=result.confidence,
        )


class Statistics:
    """
    The numbers of the last frames.

    age: seconds from the stamp to the publication, on the node's clock. The others are milliseconds:
    end_to_end from the arrival of the later image to the publication, of which it waited for the frame
    before, and the predictor took its share; overhead is all but the predictor's.
    """

    def __init__(self, frames: int = 300):
        names = ('age', 'waited', 'end_to_end', 'predictor', 'overhead', 'confidence')
        self._values = {name: deque(maxlen=frames) for name in names}

    def add(
        self,
        *,
        age: float | None,
        waited: float,
        end_to_end: float,
        predictor: float,
        confidence: float,
    ) -> None:
        """Take the numbers of a frame."""
        numbers = {
            'age': age,
            'waited': waited,
            'end_to_end': end_to_end,
            'predictor': predictor,
            'overhead': end_to_end - predictor,
            'confidence': confidence,
        }
        for name, number in numbers.items():
            if number is not None:
                self._values[name].append(number)

    def percentiles(self, name: str, *wanted: float) -> list[float] | None:
        """Return percentiles of a number, or None before the first frame."""
        values = list(self._values[name])
        return [float(value) for value in np.percentile(values, wanted)] if values else None

    def last(self, name: str) -> float | None:
        """Return the newest value of a number."""
        return self._values[name][-1] if self._values[name] else None


def _decode(name: str, message: Any, max_pixels: int) -> Picture | None:
    """Return the pixels of a message that the camera has checked at its door."""
    if message is None:
        return None
    try:
        return conversions.decode(message, max_pixels)
    except ImageError as error:
        error.camera = name
        raise


def _grid_shape(result: FusionResult, visible: Picture | None) -> tuple[int, int] | None:
    if visible is not None:
        return visible.pixels.shape[:2]
    made = (result.fused, result.registered, result.deformation, result.valid)
    return next((image.shape[:2] for image in made if image is not None), None)
