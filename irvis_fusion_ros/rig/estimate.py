"""
Finds a rig from many pairs: evidence is summed before a peak is taken, so that weak frames add up.

The pairs that are kept are small and few, so that the node can gather them while it flies.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.calibration import Calibration, Parallax
from irvis_fusion_ros.classical.registration import FLAT, confidence_of
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.geometry.margins import NONE
from irvis_fusion_ros.imaging.scene import PairScene
from irvis_fusion_ros.rig import changes, clock, exposure, fitted, lensed, parallax
from irvis_fusion_ros.rig.clock import ClockConfig, ClockCurve
from irvis_fusion_ros.rig.fitted import Fitted
from irvis_fusion_ros.rig.motion import Motion
from irvis_fusion_ros.rig.refine import Refined
from irvis_fusion_ros.rig.views import View, common_cuts, matrix_of, view

# Confidence from which a rig is believed.
SURE = 0.5
# Pairs without which nothing is said of a rig.
LEAST = 5


@dataclass(frozen=True)
class Residuals:
    """
    What one frame differs from the rig by, after its nearness and shift are taken out.

    name: of the pair. stamp: seconds. at: K x 2, visible pixels. residual: K x 2, visible pixels. weight: K,
    [0, 1], how much was seen there. nearness: of the frame, along the parallax, visible pixels. shift: x and
    y, of the frame. confidence: [0, 1], that the frame is right. agrees: whether it shows this rig.
    """

    name: str
    stamp: float
    at: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    nearness: float
    shift: tuple[float, float]
    confidence: float
    agrees: bool = True


@dataclass(frozen=True)
class Estimate:
    """
    What is known of a rig by now.

    calibration: None as long as nothing was found. confidence: [0, 1], that it is right. uncertainty: the
    standard error of where the matrix puts a point, mean over the visible image, visible pixels.
    seen: pairs offered. used: pairs whose evidence agrees with it. residuals: of the frames kept.
    clock: None where no stamps were given. notes: what is wrong, and what could be had nevertheless.
    tolerance: recommended sync.tolerance, seconds, or None.
    """

    calibration: Calibration | None
    confidence: float
    uncertainty: float
    seen: int
    used: int
    residuals: tuple[Residuals, ...]
    clock: ClockCurve | None
    notes: tuple[Note, ...]
    tolerance: float | None = None


class Gathering:
    """
    Gathers what many frames tell of a rig, in bounded memory: offline, or while the node flies.

    most: how many pairs are kept; of more, those kept are spread evenly over the flight.
    """

    def __init__(self, most: int = 60):
        self.most = most
        self._pool = ThreadPoolExecutor(2, thread_name_prefix='rig')
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._views: list[View] = []
        self._known: np.ndarray | None = None
        self._cuts = NONE, NONE
        self._every, self._seen = 1, 0
        self._shapes: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._motion = {'thermal': Motion(), 'visible': Motion()}
        self._other_sizes = 0
        self._flat = 0

    def move(self, camera: str, image: np.ndarray, stamp: float) -> None:
        """
        Take any image of a camera ('thermal' or 'visible') for the clocks, paired or not.

        image: H x W float32 brightness [0, 1]. stamp: seconds of its own clock.
        """
        self._motion[camera].add(image, stamp)

    def pair(
        self,
        thermal: np.ndarray,
        visible: np.ndarray,
        stamp: float,
        name: str = '',
        gap: float | None = None,
        scenes: PairScene | None = None,
    ) -> None:
        """
        Take a pair, H x W float32 brightness [0, 1], and the stamp of the visible image in seconds.

        gap: seconds by which the stamp of the thermal image is later, each by its own clock, if known.
        scenes: what of both images counts, None is all of it.
        """
        shapes = thermal.shape, visible.shape
        if self._shapes is None:
            self._shapes = shapes
        if shapes != self._shapes:
            self._other_sizes += 1
            return
        self._seen += 1
        if (self._seen - 1) % self._every:
            return
        if min(float(thermal.std()), float(visible.std())) < FLAT:
            self._flat += 1
            return
        self._views.append(view(thermal, visible, stamp, name, gap, scenes))
        if len(self._views) > 2 * self.most:
            self._views = self._views[::2]
            self._every *= 2

    @property
    def views(self) -> tuple[View, ...]:
        """The pairs that are kept."""
        return tuple(self._views)

    def clock(self) -> ClockCurve | None:
        """Return how the clocks differ by now, None where no images were given for them."""
        if not any(len(motion.steps) for motion in self._motion.values()):
            return None
        return clock.compare(self._motion['thermal'], self._motion['visible'])

    def estimate(self) -> Estimate:
        """Return what is known by now; takes seconds."""
        notes = list(self._complaints())
        curve = self.clock()
        if curve is not None and curve.offset is None:
            notes.append(Note('no_clock', curve.reason))
        chosen = self._views
        if len(chosen) > self.most:
            chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, self.most).round().astype(int)]
        if len(chosen) < LEAST:
            return Estimate(None, 0.0, np.inf, self._seen, 0, (), curve, tuple(notes))
        return self._of(chosen, curve, notes)

    def _complaints(self) -> Iterator[Note]:
        if self._other_sizes:
            thermal, visible = (f'{width}x{height}' for height, width in self._shapes)
            text = f'{self._other_sizes} pairs are not of {thermal} and {visible}: they are left out'
            yield Note('other_sizes', text)
        if self._flat:
            yield Note(
                'no_texture', f'{self._flat} pairs have an image that shows nothing: they are left out'
            )
        if len(self._views) < LEAST:
            text = f'{len(self._views)} pairs can be used, at least {LEAST} are needed'
            yield Note('too_few_frames', text)

    def _of(self, views: list[View], curve: ClockCurve | None, notes: list[Note]) -> Estimate:
        scale = self._shapes[1][1] / views[0].visible.shape[1]
        cuts = common_cuts(views)
        if cuts != self._cuts:
            self._cuts, self._known = cuts, None
        views = [each.cut(*cuts) for each in views]
        found = fitted.fit(views, self._pool, self._known)
        if found.confidence < SURE and self._known is not None:
            found = fitted.fit(views, self._pool)
        if found.confidence < SURE:
            self._known = None
            text = 'thermal and visible images have too little in common, in all pairs together'
            notes.append(Note('no_texture', text))
            return Estimate(None, found.confidence, np.inf, self._seen, 0, (), curve, tuple(notes))
        self._known = found.backward
        notes += changes.find(views, found, self._pool)
        if int(found.agree.sum()) < LEAST:
            text = f'only {found.agree.sum()} of {len(views)} pairs agree with the rig'
            notes.append(Note('few_agree', text))
        found, lens = lensed.fit(views, found, self._pool)
        rig = self._calibration(views[0], found, lens)
        if curve is not None and curve.offset is not None:
            used = np.flatnonzero(found.agree)
            sharper = exposure.sharpened(
                curve.offset,
                [views[i] for i in used],
                [found.pairs[i] for i in used],
                self._motion['visible'],
                rig.parallax,
            )
            if sharper.error <= ClockConfig().worst:
                rig, curve = replace(rig, clock=sharper), replace(curve, offset=sharper)
            else:
                curve = replace(curve, offset=None, reason=clock.inexact(sharper))
                notes.append(Note('no_clock', curve.reason))
        corner = np.array([cuts[1].left, cuts[1].top])
        return Estimate(
            rig,
            found.confidence,
            scale * found.uncertainty(views[0].visible.shape),
            self._seen,
            int(found.agree.sum()),
            tuple(
                _residuals(kept, pair, bool(agrees), rig.parallax, scale, corner)
                for kept, pair, agrees in zip(views, found.pairs, found.agree, strict=True)
            ),
            curve,
            tuple(notes),
            tolerance=self.tolerance,
        )

    def _calibration(self, kept: View, found: Fitted, lens: Lens | None) -> Calibration:
        """Return the rig for the images as they came."""
        used = [found.pairs[i] for i in np.flatnonzero(found.agree)]
        along, shifts = parallax.find(used, kept.visible.shape[1])
        left = np.hstack([shifts, np.array([pair.numbers[2:4] for pair in used])])
        # single frames may be far off: a clock that slipped, a fast turn
        spread = *(1.48 * np.median(np.abs(left), 0)), parallax.regions(used)
        shapes = kept.thermal.shape, kept.visible.shape
        small = Calibration(
            matrix_of(found.backward, kept, *shapes),
            *shapes,
            thermal_lens=lens,
            parallax=along,
            spread=tuple(float(sigma) for sigma in spread),
            frames=len(used),
        )
        rig = small.cut(*(-cut for cut in self._cuts)).resized(*self._shapes)
        return replace(rig, matrix=transform.normalised(rig.matrix))

    @property
    def tolerance(self) -> float | None:
        """Half the interval between images of the faster camera and a little more, seconds, if known."""
        intervals = [
            float(np.median(steps[:, 1] - steps[:, 0]))
            for steps in (motion.steps for motion in self._motion.values())
            if len(steps)
        ]
        return round(0.6 * min(intervals), 4) if intervals else None


def _residuals(
    kept: View,
    pair: Refined,
    agrees: bool,
    along: Parallax | None,
    scale: float,
    corner: np.ndarray,
) -> Residuals:
    shift = scale * pair.numbers[:2]
    direction = np.array(along.direction if along else (0.0, 0.0))
    nearness = float(shift @ direction)
    left = shift - nearness * direction
    return Residuals(
        kept.name,
        kept.stamp,
        scale * (pair.at + corner + 0.5) - 0.5,
        scale * pair.regional,
        np.clip(pair.seen / max(float(pair.seen.max()), 1e-9), 0, 1),
        nearness,
        (float(left[0]), float(left[1])),
        confidence_of(pair.evidence),
        agrees,
    )
