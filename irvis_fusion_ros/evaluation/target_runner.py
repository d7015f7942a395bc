"""
Counts the targets that pictures keep (visible, thermal, simple fusions, ours), and what a detector finds.

Pairs are fused as they were recorded, cold; what each preset registers carries the boxes to the visible grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.datasets import ImagePair
from irvis_fusion_ros.detection.detector import Detector
from irvis_fusion_ros.evaluation.metrics import detection, targets
from irvis_fusion_ros.evaluation.metrics.targets import Box, Region
from irvis_fusion_ros.evaluation.runner import Runner
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.predictor import FusionResult

# Fusions without weights or with small ones that ours is compared with, on what the preset registered.
COMPARED = ('average', 'max', 'laplacian', 'gaf')
# Mean visible brightness below which a pair is one of the night, where pairs.json does not say.
NIGHT = 60
OURS = 'fused'


@dataclass(frozen=True)
class Scene:
    """
    A fused pair with its targets.

    thermal: registered, its own values. regions, placed: of the boxes, as they come (metrics/targets.py).
    """

    pair: ImagePair
    visible: np.ndarray
    thermal: np.ndarray
    inside: np.ndarray
    fused: np.ndarray
    regions: tuple[Region, ...]
    placed: tuple[Box | None, ...]

    @property
    def light(self) -> str:
        """'day' or 'night'."""
        mean = float(color.gray(self.visible, 'bgr').mean())
        return self.pair.light or ('night' if mean < NIGHT else 'day')


class TargetRunner:
    """
    Looks at the targets of pairs.

    runner: fuses them. detector: the YAML file of a detector that looks at the pictures, too, or None.
    Raises FileError for a detector that cannot be used.
    """

    def __init__(self, runner: Runner, detector: Path | None = None):
        self._runner = runner
        self._detector = None if detector is None else Detector(detector)
        self._compared = {name: backbones.build(name) for name in COMPARED}

    def pair(self, pair: ImagePair, boxes: Sequence[Box], presets: Sequence[str]) -> list[dict]:
        """
        Return one record for each preset.

        preset, pair, light, confidence; targets: for each box in view its index, box, and by picture
        'kept', 'contrast' (gray levels) and 'separability'; with a detector, detections: by picture the
        scores of 'people' and 'alarms' (metrics/detection.Found).
        """
        thermal, visible = datasets.read(pair, aligned=False)
        targets.check(boxes, thermal.shape, pair.name)
        records = []
        for preset in presets:
            result = self._runner.predict(preset, thermal, visible, pair.name)
            scene = _scene(pair, thermal, visible, boxes, result)
            pictures = self._pictures(scene)
            record = {
                'preset': preset,
                'pair': pair.name,
                'light': scene.light,
                'confidence': result.confidence,
                'targets': _looked_at(scene, boxes, pictures),
            }
            if self._detector is not None:
                record['detections'] = self._detected(scene, pictures)
            records.append(record)
        return records

    def _pictures(self, scene: Scene) -> dict[str, np.ndarray]:
        """Gray pictures 0 to 255, float32, by name; 'thermal' is the stretched one."""
        visible = color.gray(scene.visible, 'bgr').astype(np.float32)
        thermal = targets.stretched(scene.thermal, scene.inside).astype(np.float32)
        as_recorded = scene.thermal.astype(np.float32) if scene.thermal.dtype == np.uint8 else thermal
        pictures = {'visible': visible, 'thermal': thermal}
        for name, backbone in self._compared.items():
            pair = (torch.from_numpy(image / 255)[None, None] for image in (visible, as_recorded))
            with torch.inference_mode():
                fused = backbone(*pair)[0, 0].numpy() * 255
            pictures[name] = np.where(scene.inside, np.clip(fused, 0, 255), visible)
        pictures[OURS] = color.gray(scene.fused, 'bgr').astype(np.float32)
        return pictures

    def _detected(self, scene: Scene, pictures: dict[str, np.ndarray]) -> dict:
        drawn = np.array([box for box in scene.placed if box is not None], np.float32)
        # a detector sees colours where there are some
        shown = {
            'visible': scene.visible,
            'thermal': pictures['thermal'].astype(np.uint8),
            OURS: scene.fused,
        }
        found = {}
        for name, picture in shown.items():
            all_of_it = self._detector(picture, detection.LEAST)
            found[name] = detection.found(all_of_it.boxes, all_of_it.scores, drawn)
        found['either'] = detection.either(found['visible'], found['thermal'])
        return {
            name: {'people': each.people.tolist(), 'alarms': each.alarms.tolist()}
            for name, each in found.items()
        }


def summarise(records: Sequence[dict]) -> list[dict]:
    """
    Return how many targets are kept: one object for each preset, light (and 'all') and picture.

    preset, light, picture, targets, kept (share of all), kept_of_thermal (share of those that the thermal
    image itself keeps).
    """
    summaries = []
    for preset in dict.fromkeys(record['preset'] for record in records):
        own = [record for record in records if record['preset'] == preset]
        for light in ('all', 'day', 'night'):
            seen = [
                target for record in own if light in ('all', record['light']) for target in record['targets']
            ]
            if not seen:
                continue
            shown = [target for target in seen if target['kept']['thermal']]
            summaries += [
                {
                    'preset': preset,
                    'light': light,
                    'picture': picture,
                    'targets': len(seen),
                    'kept': _share(seen, picture),
                    'kept_of_thermal': _share(shown, picture),
                }
                for picture in seen[0]['kept']
            ]
    return summaries


def summarise_detections(records: Sequence[dict], score: float) -> list[dict]:
    """
    Return what a detector finds: one object for each preset, light (and 'all') and picture.

    preset, light, picture, people, recall and false_alarms (a picture) at the detector's own score, and
    recall_equal: recall where the score is set so that there are as many false alarms as on either source.
    """
    summaries = []
    for preset in dict.fromkeys(record['preset'] for record in records):
        own = [record for record in records if record['preset'] == preset]
        for light in ('all', 'day', 'night'):
            chosen = [record['detections'] for record in own if light in ('all', record['light'])]
            if not chosen:
                continue
            found = {
                name: [
                    detection.Found(*(np.array(each[name][key], float) for key in ('people', 'alarms')))
                    for each in chosen
                ]
                for name in chosen[0]
            }
            allowed = detection.false_alarms(found['either'], score)
            for name, pictures in found.items():
                equal = detection.score_of(pictures, allowed)
                summaries.append(
                    {
                        'preset': preset,
                        'light': light,
                        'picture': name,
                        'people': int(sum(len(each.people) for each in pictures)),
                        'recall': detection.recall(pictures, score),
                        'false_alarms': detection.false_alarms(pictures, score),
                        'recall_equal': detection.recall(pictures, equal),
                    }
                )
    return summaries


def _scene(
    pair: ImagePair, thermal: np.ndarray, visible: np.ndarray, boxes: Sequence[Box], result: FusionResult
) -> Scene:
    deformation = result.deformation
    points = warp.sampling_map(np.nan_to_num(deformation), thermal.shape)
    inside = warp.inside(warp.sampling_map(deformation, thermal.shape), thermal.shape)
    regions = tuple(targets.region(box, thermal, deformation) for box in boxes)
    placed = tuple(targets.placed(box, thermal.shape, deformation) for box in boxes)
    return Scene(pair, visible, warp.sample(thermal, points), inside, result.fused, regions, placed)


def _looked_at(scene: Scene, boxes: Sequence[Box], pictures: dict[str, np.ndarray]) -> list[dict]:
    looked_at = []
    for index, (box, region) in enumerate(zip(boxes, scene.regions, strict=True)):
        if not region.shown:
            continue
        looked_at.append(
            {
                'target': index,
                'box': list(box),
                'kept': {
                    name: targets.kept(picture, pictures['thermal'], region)
                    for name, picture in pictures.items()
                },
                'contrast': {
                    name: round(targets.contrast(picture, region), 1) for name, picture in pictures.items()
                },
                'separability': {
                    name: round(targets.separability(picture, region), 3)
                    for name, picture in pictures.items()
                },
            }
        )
    return looked_at


def _share(seen: Sequence[dict], picture: str) -> float | None:
    return float(np.mean([target['kept'][picture] for target in seen])) if seen else None
