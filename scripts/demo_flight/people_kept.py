"""How many people of a flight are seen: in the visible image, fused without targets, and by the node."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.evaluation.metrics import targets
from irvis_fusion_ros.flight import Flight, FlightConfig
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros import topics

# Instants that are looked at, spread over the flight.
MOMENTS = 8
# Parts of a person in the traffic: a body and two legs.
PARTS = 3
THERMAL, VISIBLE, WITHOUT, FUSED = 'thermal', 'visible', 'without', 'fused'


@dataclass(frozen=True)
class Moment:
    """
    An instant with a known truth.

    visible, fused: H x W x 3 BGR. thermal: as recorded. truth: its deformation. boxes: of people, in its
    pixels.
    """

    visible: np.ndarray
    thermal: np.ndarray
    fused: np.ndarray
    truth: np.ndarray
    boxes: list[tuple[float, float, float, float]]


def count(flight: Path, outputs: Path, preset: str = 'swift_lite') -> Counter:
    """
    Return how many people each picture keeps, of those that the thermal image shows (metrics/targets.py).

    preset: what fuses without targets. Raises BagError for a flight that make_flight did not write.
    """
    without = Predictor(preset, 'cpu', temporal=False, targets='off')
    kept: Counter = Counter({name: 0 for name in (THERMAL, VISIBLE, WITHOUT, FUSED)})
    for moment in _moments(flight, outputs):
        regions = [targets.region(box, moment.thermal, moment.truth) for box in moment.boxes]
        if not any(region.shown for region in regions):
            continue
        thermal, inside = _registered(moment)
        stretched = targets.stretched(thermal, inside)
        pictures = {
            VISIBLE: moment.visible,
            WITHOUT: without(moment.thermal, moment.visible).fused,
            FUSED: moment.fused,
        }
        pictures = {name: color.gray(image, 'bgr').astype(np.float32) for name, image in pictures.items()}
        for region in regions:
            if not region.shown or not targets.kept(stretched, stretched, region):
                continue
            kept[THERMAL] += 1
            kept.update(name for name, image in pictures.items() if targets.kept(image, stretched, region))
    return kept


def _registered(moment: Moment) -> tuple[np.ndarray, np.ndarray]:
    points = warp.sampling_map(np.nan_to_num(moment.truth), moment.thermal.shape)
    return warp.sample(moment.thermal, points), np.isfinite(moment.truth[..., 0])


def _moments(flight: Path, outputs: Path) -> Iterator[Moment]:
    plan = Flight(_config(flight))
    with BagReader(flight) as taken, BagReader(outputs) as made:
        truths = {each.stamp: each.image for each in taken.images(topics.absolute(topics.TRUTH))}
        fused = {each.stamp: each.image for each in made.images(topics.FUSED) if each.stamp in truths}
        visible = {
            each.stamp: each.image for each in taken.images(topics.image_of('visible')) if each.stamp in fused
        }
        thermal = {each.stamp: each.image for each in taken.images(topics.image_of('thermal'))}
    indices = [i for i, each in enumerate(plan.schedule.visible) if each.stamp in fused]
    chosen = np.linspace(0, len(indices) - 1, min(MOMENTS, len(indices))).round().astype(int)
    for index in (indices[k] for k in chosen):
        stamp, partner = plan.schedule.visible[index].stamp, plan.schedule.partners[index]
        boxes = _people(plan, partner.seconds)
        yield Moment(visible[stamp], thermal[partner.stamp], fused[stamp], truths[stamp], boxes)


def _config(flight: Path) -> FlightConfig:
    try:
        about = yaml.safe_load((flight / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
        return FlightConfig(**json.loads(about['custom_data']['irvis_flight']))
    except (KeyError, TypeError, ValueError) as error:
        raise BagError(f"bag '{flight}': it does not say which flight it is; render it anew") from error


def _people(flight: Flight, seconds: float) -> list[tuple[float, float, float, float]]:
    """Return the boxes of the people in the thermal image, those that are all in it."""
    traffic, camera, pose = flight.world.traffic, flight.rig.thermal, flight.pose('thermal', seconds)
    corners = pose.to_camera(traffic.at(seconds).corners)
    boxes = []
    for first in range(traffic.vehicles, int(traffic.part.max()) + 1, PARTS):
        points = corners[(traffic.part >= first) & (traffic.part < first + PARTS)].reshape(-1, 3)
        if points[:, 2].min() <= 0:
            continue
        pixels = camera.project(points)
        low, high = pixels.min(0), pixels.max(0)
        if (low >= 0).all() and (high < camera.size).all():
            boxes.append((*low.tolist(), *high.tolist()))
    return boxes
