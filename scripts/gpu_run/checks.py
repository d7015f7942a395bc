"""
Checks of every preset with a path to the GPU: the device against the CPU, in single and in half precision,
CUDA graphs at changing sizes, memory over many frames, and some steps of training of every system.

Deformations may differ by FIELD pixels and fused pictures by GREY levels: in single precision 99.9 % of the
pixels, in half precision deformations on the mean and pictures at 99.9 % of the pixels. With and without
graphs the largest difference counts.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import internals
import numpy as np
import torch
from pairs import Pair, resized
from report import Outcome, Report

from irvis_fusion_ros.predictor import FusionResult, Predictor
from irvis_fusion_ros.systems.registry import PRESETS

FIELD, GREY = 0.05, 2.0
# With and without graphs the same is computed, perhaps by other algorithms.
SAME_FIELD, SAME_GREY = 1e-3, 1.0
# Bytes that may be allocated more after some hundred frames.
GROWTH = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """
    size: of the pairs. changing: sizes one after the other, `frames` of each. steady: frames over which
    memory is watched.
    """

    size: tuple[int, int] = (640, 512)
    changing: tuple[tuple[int, int], ...] = (
        (640, 512), (480, 360), (641, 511), (320, 256), (800, 600), (512, 512), (640, 512),
    )  # fmt: skip
    frames: int = 2
    steady: int = 300


QUICK = Sizes((160, 128), ((160, 128), (120, 96), (161, 127), (160, 128)), 1, 6)


@dataclass(frozen=True)
class Case:
    """A preset and what it is combined with."""

    preset: str
    options: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return how it is called in the report."""
        return '+'.join((self.preset, *(value for value in self.options.values() if value != 'none')))

    def predictor(self, device: str, temporal: bool = False) -> Predictor:
        """Make it."""
        return Predictor(self.preset, device, temporal=temporal, **self.options)


def cases(chosen: list[str]) -> list[Case]:
    """Return what is checked: every preset that can run on a GPU, or those named."""
    # what fuses is seen by itself: another case has what registers before it
    alone = {'registration_first': 'none'}
    found = [
        Case(name, alone if preset.backbone else {})
        for name, preset in PRESETS.items()
        if 'cuda' in preset.devices
    ]
    found += [Case('unregistered', {'backbone': name, **alone}) for name in ('laplacian', 'gaf', 'cnn')]
    found.append(Case('fusion_register', {'registration_first': 'swift_lite'}))
    found.append(Case('fusion_register', {'backbone': 'gaf', **alone}))
    return [case for case in found if not chosen or case.name in chosen]


def run(report: Report, chosen: list[Case], pairs: list[Pair], device: str, sizes: Sizes) -> None:
    """Run all checks of presets."""
    for case in chosen:
        reference = Reference(case, pairs)
        for name, work in (
            ('single', lambda case=case, reference=reference: _single(case, pairs, device, reference)),
            ('half', lambda case=case, reference=reference: _half(case, pairs, device, reference)),
            ('graphs', lambda case=case: _graphs(case, pairs, device, sizes)),
            ('memory', lambda case=case: _memory(case, pairs, device, sizes)),
        ):
            report.check(f'{case.name} {name}', work)


class Reference:
    """What the CPU makes of the pairs in single precision, computed when it is first needed."""

    def __init__(self, case: Case, pairs: list[Pair]):
        self._case, self._pairs = case, pairs
        self._found: list[FusionResult] | None = None

    def __call__(self) -> list[FusionResult]:
        """Return the results."""
        if self._found is None:
            with internals.single_precision():
                self._found = _predicted(self._case.predictor('cpu'), self._pairs)
        return self._found


@dataclass(frozen=True)
class Difference:
    """
    Of deformations in pixels and of pictures in grey levels: mean, 99.9 percentile and maximum.

    registered: how many were, and wrong: how many the two took from different sources.
    """

    field: tuple[float, float, float]
    grey: tuple[float, float, float]
    registered: int
    wrong: int

    def __str__(self) -> str:
        """Return the figures of a line."""
        shown = ('/'.join(f'{value:.4g}' for value in values) for values in (self.field, self.grey))
        return 'field {} px, fused {} levels (mean/99.9 %/max), registered {}'.format(*shown, self.registered)


def compared(ones: list[FusionResult], others: list[FusionResult]) -> Difference:
    """Compare results pixel by pixel."""
    fields, greys = [], []
    wrong = 0
    for one, other in zip(ones, others, strict=True):
        for a, b in ((one.deformation, other.deformation), (one.deformation_fused, other.deformation_fused)):
            if a is not None and b is not None:
                distance = np.linalg.norm(a - b, axis=-1)
                # what is inside differs along the edge by a pixel where fields differ by a hair
                fields.append(distance[np.isfinite(distance)])
        greys.append(np.abs(one.fused.astype(int) - other.fused.astype(int)).ravel())
        wrong += one.source != other.source
    registered = sum(result.source not in ('identity', 'held') for result in others)
    return Difference(_figures(fields), _figures(greys), registered, wrong)


def _figures(parts: list[np.ndarray]) -> tuple[float, float, float]:
    values = np.concatenate(parts) if parts else np.zeros(1)
    if not values.size:
        return float('nan'), float('nan'), float('nan')
    return float(values.mean()), float(np.percentile(values, 99.9)), float(values.max())


def _predicted(predictor: Predictor, pairs: list[Pair]) -> list[FusionResult]:
    with internals.unforgiving():
        return [predictor(pair.thermal, pair.visible) for pair in pairs]


def _single(case: Case, pairs: list[Pair], device: str, reference: Reference) -> Outcome:
    with internals.single_precision():
        found = _predicted(case.predictor(device), pairs)
    difference = compared(reference(), found)
    passed = difference.field[1] <= FIELD and difference.grey[1] <= GREY and not difference.wrong
    return passed, _text(difference)


def _half(case: Case, pairs: list[Pair], device: str, reference: Reference) -> Outcome:
    kind = internals.half_of(device)
    if kind is None:
        return None, f'{device} has no half precision that is faster'
    found = _predicted(case.predictor(device), pairs)
    difference = compared(reference(), found)
    passed = difference.field[0] <= FIELD and difference.grey[1] <= GREY and not difference.wrong
    return passed, f'{str(kind).removeprefix("torch.")}: {_text(difference)}'


def _text(difference: Difference) -> str:
    return f'{difference}' + (f', {difference.wrong} of another source' if difference.wrong else '')


def _graphs(case: Case, pairs: list[Pair], device: str, sizes: Sizes) -> Outcome:
    """Run a stream whose size changes with and without graphs, cold and tracked."""
    with internals.counted_recordings() as made:
        ones = _stream(case, pairs, device, sizes)
    if not made and device != 'cpu':
        return None, 'records nothing'
    others = _stream(case, pairs, device, sizes, internals.unrecorded)
    difference = compared(others, ones)
    passed = difference.field[2] <= SAME_FIELD and difference.grey[2] <= SAME_GREY and not difference.wrong
    return passed, f'{len(made)} graphs: {_text(difference)}'


def _stream(
    case: Case, pairs: list[Pair], device: str, sizes: Sizes, context: Callable | None = None
) -> list[FusionResult]:
    found = []
    with ExitStack() as stack:
        stack.enter_context(internals.single_precision())
        stack.enter_context(internals.unforgiving())
        if context is not None:
            stack.enter_context(context())
        for temporal in (False, True):
            predictor = case.predictor(device, temporal)
            for size in sizes.changing:
                found += [predictor(*resized(pair, size)) for pair in pairs[: sizes.frames]]
    return found


def _memory(case: Case, pairs: list[Pair], device: str, sizes: Sizes) -> Outcome:
    """Watch what is allocated over a stream of one size, and over rounds through all sizes."""
    if device == 'cpu':
        return None, 'memory of a GPU'
    predictor = case.predictor(device, temporal=True)
    with internals.unforgiving():
        for index in range(10):
            predictor(pairs[index % len(pairs)].thermal, pairs[index % len(pairs)].visible)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        for index in range(sizes.steady):
            predictor(pairs[index % len(pairs)].thermal, pairs[index % len(pairs)].visible)
        after = torch.cuda.memory_allocated(device)
        peak = torch.cuda.max_memory_allocated(device)
        rounds = []
        for _ in range(3):
            for size in sizes.changing:
                predictor(*resized(pairs[0], size))
            rounds.append(torch.cuda.memory_allocated(device))
    figures = (
        f'{before / 2**20:.1f} MiB, after {sizes.steady} frames {after / 2**20:.1f}, '
        f'peak {peak / 2**20:.1f}; '
        f'rounds of sizes {", ".join(f"{each / 2**20:.1f}" for each in rounds)}, '
        f'reserved {torch.cuda.memory_reserved(device) / 2**20:.0f}'
    )
    return after - before <= GROWTH and rounds[2] - rounds[1] <= GROWTH, figures
