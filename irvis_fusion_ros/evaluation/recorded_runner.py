"""
Judges pairs as they were recorded, without a known alignment, and by masks where a user has some.

The thermal image is registered from a cold start, stretched to the visible grid and compared there.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.datasets import ImagePair
from irvis_fusion_ros.data.masks import Masks
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation.metrics import recorded
from irvis_fusion_ros.evaluation.runner import Runner, spread
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.predictor import FusionResult


class RecordedRunner:
    """
    Judges pairs as recorded.

    runner: registers and fuses them. masks: a folder of masks (data/masks.py), or None. Raises FileError for
    a folder that cannot be used.
    """

    def __init__(self, runner: Runner, masks: Path | None = None):
        self._runner = runner
        self._masks = None if masks is None else Masks(masks)

    def pair(self, pair: ImagePair, presets: Sequence[str]) -> list[dict]:
        """
        Return one record for each preset.

        preset, pair, source, confidence, milliseconds; the measures of `metrics.recorded.agreement`; with
        masks `masks`, as `metrics.recorded.overlap` returns them, and `masks_before` without registration;
        `problem`, if the masks of the pair do not fit.
        """
        thermal, visible = datasets.read(pair, aligned=False)
        masks, problem = None, None
        if self._masks is not None:
            try:
                masks = self._masks.read(pair.name, thermal.shape[:2], visible.shape[:2])
            except FileError as error:
                problem = f'{error}; its pair is judged without masks'
        records = []
        for preset in presets:
            result = self._runner.predict(preset, thermal, visible, pair.name)
            record = {
                'preset': preset,
                'pair': pair.name,
                'source': result.source,
                'confidence': result.confidence,
                'milliseconds': result.timing['total'],
                **_agreement(thermal, visible, result),
            }
            if masks is not None:
                record |= _overlap(*masks, result)
            if problem is not None:
                record['problem'] = problem
            records.append(record)
        return records


def summarise(records: Sequence[dict], data: str) -> list[dict]:
    """
    Return one object for each preset: `data`, pairs, milliseconds {median, worst}, and means of the measures.

    masked: the number of pairs with masks, whose means are under `masks` and `masks_before`.
    """
    summaries = []
    for preset in dict.fromkeys(record['preset'] for record in records):
        own = [record for record in records if record['preset'] == preset]
        masked = [record for record in own if 'masks' in record]
        summary = {
            'data': data,
            'preset': preset,
            'pairs': len(own),
            'masked': len(masked),
            'milliseconds': spread([record['milliseconds'] for record in own]),
        }
        plain = [name for name, value in own[0].items() if name != 'milliseconds' and type(value) is float]
        summary |= {name: float(np.mean([record[name] for record in own])) for name in plain}
        for name in ('masks', 'masks_before') if masked else ():
            measures = [record[name] for record in masked]
            summary[name] = {key: float(np.mean([each[key] for each in measures])) for key in measures[0]}
        summaries.append(summary)
    return summaries


def problems(records: Sequence[dict]) -> list[str]:
    """Return what is wrong with masks, one sentence for each pair."""
    return list(dict.fromkeys(record['problem'] for record in records if 'problem' in record))


def _agreement(thermal: np.ndarray, visible: np.ndarray, result: FusionResult) -> dict:
    tone = ThermalTone()
    tone.update(thermal)
    bright = tone.apply(thermal)
    deformation = result.deformation
    shown = np.isfinite(deformation).all(-1)
    # outside the thermal image the measures do not count
    registered = warp.sample(bright, warp.sampling_map(np.nan_to_num(deformation), thermal.shape))
    stretched = warp.sample(bright, warp.sampling_map(np.zeros_like(deformation), thermal.shape))
    return recorded.agreement(
        color.luminance(result.fused, 'bgr'), registered, stretched, color.luminance(visible, 'bgr'), shown
    )


def _overlap(thermal: np.ndarray, visible: np.ndarray, result: FusionResult) -> dict:
    deformation = result.deformation
    shown = np.isfinite(deformation).all(-1)
    found = {}
    for name, field in (('masks', deformation), ('masks_before', np.zeros_like(deformation))):
        points = warp.sampling_map(np.nan_to_num(field), thermal.shape)
        laid = cv2.remap(thermal.astype(np.uint8), points, None, cv2.INTER_NEAREST) > 0
        found[name] = recorded.overlap(laid, visible, shown)
    return found
