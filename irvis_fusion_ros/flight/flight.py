"""
A synthetic drone flight: images of both cameras, their stamps, and the exact deformation between them.

    for frame in Flight(FlightConfig(seconds=2)).frames():
        print(frame.visible.shape, frame.thermal is not None, frame.truth is not None)
"""

import collections
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.flight import rig, schedule, shutter, truth, world
from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.path import FlightPath
from irvis_fusion_ros.flight.render import Renderer
from irvis_fusion_ros.flight.schedule import Exposure, Schedule
from irvis_fusion_ros.flight.sensors import GainControl, ThermalSensor, VisibleSensor
from irvis_fusion_ros.flight.shutter import View
from irvis_fusion_ros.flight.world import World

# A microbolometer follows the scene this fast; its image is that of a long exposure.
THERMAL_EXPOSURE = 0.010


@dataclass(frozen=True)
class Shot:
    """
    One image as its camera delivers it.

    image: H x W x 3 uint8 BGR (visible), or H x W uint16 counts or uint8 (thermal). truth: the deformation of
    the thermal image taken nearest, H x W x 2 float32 visible pixels, NaN outside it; None where none is due.
    """

    exposure: Exposure
    image: np.ndarray
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class Frame:
    """A visible image with the thermal image taken nearest to it, which is None during a calibration."""

    visible: np.ndarray
    thermal: np.ndarray | None
    visible_stamp: int
    thermal_stamp: int | None
    truth: np.ndarray | None


class Flight:
    """
    A flight. Everything it yields is the same for the same configuration, however many processes render it.

    schedule: all exposures. rig: the two cameras.
    """

    def __init__(self, config: FlightConfig = FlightConfig()):
        self.config = config
        self.schedule: Schedule = schedule.plan(config)
        self.rig = rig.build(config)

    @cached_property
    def _path(self) -> FlightPath:
        # only a drone that changes its height has to know what stands in its way
        corners = self.world.fixed.corners.reshape(-1, 3) if self.config.altitude_to else None
        return FlightPath(self.config, corners)

    @cached_property
    def world(self) -> World:
        """The world, built when it is first needed (seconds)."""
        return world.build(self.config)

    def pose(self, camera: str, seconds: float) -> Pose:
        """Return where the 'visible' or the 'thermal' camera is."""
        pose = self._path.pose(seconds)
        if camera == 'visible':
            return pose
        knocked = bool(self.config.jump or self.config.knock) and seconds >= self.schedule.knock
        return self.rig.thermal_pose(pose, knocked)

    def views(self, seconds: float) -> list[View]:
        """Return what the visible camera sees at a time, from the top: one view, or a band each."""
        camera, readout = self.rig.visible_at(seconds), self.config.readout
        parts = shutter.bands(camera) if readout else [(camera, 0.0)]
        times = [seconds + place * readout for _, place in parts]
        return [View(part, self.pose('visible', t), t) for (part, _), t in zip(parts, times, strict=True)]

    def deformation(self, index: int) -> np.ndarray | None:
        """Return the truth of a visible image, by its index; None if it has no thermal partner."""
        seen, partner = self.schedule.visible[index], self.schedule.partners[index]
        if partner is None:
            return None
        thermal = View(self.rig.thermal, self.pose('thermal', partner.seconds), partner.seconds)
        return truth.deformation(self.world, self.views(seen.seconds), thermal)

    def frames(self, workers: int = 1, every_truth: bool = False) -> Iterator[Frame]:
        """
        Yield a Frame for every visible image.

        every_truth: give the truth with every frame, not at `truth_rate` only.
        """
        thermal: dict[int, Shot] = {}
        waiting: collections.deque[Shot] = collections.deque()
        for shot in self.shots(workers, every_truth):
            if shot.exposure.camera == 'thermal':
                thermal[shot.exposure.index] = shot
            else:
                waiting.append(shot)
            while waiting:
                seen = waiting[0]
                partner = self.schedule.partners[seen.exposure.index]
                if partner is not None and partner.index not in thermal:
                    break
                waiting.popleft()
                other = None if partner is None else thermal[partner.index]
                yield Frame(
                    visible=seen.image,
                    thermal=None if other is None else other.image,
                    visible_stamp=seen.exposure.stamp,
                    thermal_stamp=None if other is None else other.exposure.stamp,
                    truth=seen.truth,
                )
                if partner is not None:
                    thermal = {k: v for k, v in thermal.items() if k >= partner.index}

    def shots(self, workers: int = 1, every_truth: bool = False) -> Iterator[Shot]:
        """Yield every image in the order in which a recorder sees them."""
        exposures = self.schedule.recorded()
        wanted = range(len(self.schedule.visible)) if every_truth else self.schedule.truths
        tasks = [(e, e.camera == 'visible' and e.index in wanted) for e in exposures if e.repeats is None]
        gain = None
        if self.config.thermal_depth == 8:
            gain = GainControl(self.config.thermal_gain, self.config.thermal_polarity)
        last: Shot | None = None
        with self._studio(workers) as shoot:
            results = shoot(tasks)
            for exposure in exposures:
                if exposure.repeats is not None:
                    yield replace(last, exposure=exposure)
                    continue
                shot = next(results)
                if exposure.camera == 'thermal':
                    shot = replace(shot, image=gain.apply(shot.image)) if gain else shot
                    last = shot
                yield shot

    @contextmanager
    def _studio(self, workers: int) -> Iterator[Callable[[Iterable], Iterator[Shot]]]:
        if workers <= 1:
            studio = Studio(self)
            yield lambda tasks: (studio.shoot(*task) for task in tasks)
            return
        with tempfile.TemporaryDirectory(prefix='irvis_flight_') as folder:
            self.world.save(Path(folder))
            pool = ProcessPoolExecutor(workers, get_context('spawn'), _open_studio, (self.config, folder))
            try:
                yield lambda tasks: _in_order(pool, tasks, 3 * workers)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


class Studio:
    """Renders single images of a flight, in any order."""

    def __init__(self, flight: Flight):
        self._flight = flight
        config, cameras = flight.config, flight.rig
        self._renderers: dict[Camera, Renderer] = {}
        self._thermal = Renderer(flight.world, cameras.thermal)
        self._visible_sensor = VisibleSensor(config, cameras.visible, flight.world.light)
        self._thermal_sensor = ThermalSensor(config, cameras.thermal)

    def shoot(self, exposure: Exposure, with_truth: bool) -> Shot:
        """Take one image."""
        flight = self._flight
        if exposure.camera == 'thermal':
            pose = flight.pose('thermal', exposure.seconds)
            motion = self._motion(flight.rig.thermal, exposure, THERMAL_EXPOSURE)
            warmth = self._thermal.thermal(pose, exposure.seconds)
            image = self._thermal_sensor.expose(warmth, exposure.index, exposure.since_shutter, motion)
            return Shot(exposure, image)
        camera = flight.rig.visible_at(exposure.seconds)
        motion = self._motion(camera, exposure, flight.world.light.exposure)
        picture = self._picture(flight.views(exposure.seconds))
        image = self._visible_sensor.expose(picture, exposure.index, motion)
        return Shot(exposure, image, flight.deformation(exposure.index) if with_truth else None)

    def _picture(self, views: list[View]) -> np.ndarray:
        for view in views:
            if view.camera not in self._renderers:
                self._renderers[view.camera] = Renderer(self._flight.world, view.camera)
        pictures = [self._renderers[view.camera].visible(view.pose, view.seconds) for view in views]
        return pictures[0] if len(pictures) == 1 else np.concatenate(pictures)

    def _motion(self, camera: Camera, exposure: Exposure, duration: float) -> np.ndarray:
        """How far the ground in the middle of the image moves during an exposure, (x, y) pixels."""
        before, middle, after = (
            self._flight.pose(exposure.camera, exposure.seconds + share * duration)
            for share in (-0.5, 0, 0.5)
        )
        forward = middle.rotation[:, 2]
        spot = middle.centre - forward * (middle.centre[2] / forward[2])
        return camera.project(after.to_camera(spot)) - camera.project(before.to_camera(spot))


_studio: Studio | None = None


def _open_studio(config: FlightConfig, folder: str) -> None:
    global _studio
    # one process a core: threads of OpenCV would only get into each other's way
    cv2.setNumThreads(1)
    flight = Flight(config)
    flight.world = World.load(Path(folder))
    _studio = Studio(flight)


def _shoot(exposure: Exposure, with_truth: bool) -> Shot:
    return _studio.shoot(exposure, with_truth)


def _in_order(pool: ProcessPoolExecutor, tasks: Iterable, ahead: int) -> Iterator[Shot]:
    """Run tasks in the pool, only so far ahead that finished images do not pile up."""
    tasks = iter(tasks)
    running: collections.deque[Future[Shot]] = collections.deque(
        pool.submit(_shoot, *task) for task in itertools.islice(tasks, ahead)
    )
    while running:
        shot = running.popleft().result()
        for task in itertools.islice(tasks, 1):
            running.append(pool.submit(_shoot, *task))
        yield shot
