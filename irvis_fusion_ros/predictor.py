"""
The door between images and systems: NumPy images in, a typed `FusionResult` out.

The predictor owns device, gain control, colour, sizes and the state of the stream, and knows nothing
of ROS.

    predictor = Predictor('classical')
    result = predictor(thermal, visible)
    cv2.imwrite('fused.png', result.fused)
"""

import time
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note, identity, of_whole
from irvis_fusion_ros.backends.device import has_failed
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color, content
from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth
from irvis_fusion_ros.imaging.scene import PairScene, Scenes
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.base import PostRegistration
from irvis_fusion_ros.systems.registry import SystemConfig

OUTPUTS = frozenset({'fused', 'registered', 'deformation', 'valid'})
SMALLEST_SIDE = 32
LARGEST_SIDE = 32766  # cv2.remap
# Trust below this is not believed: 0 in the valid mask.
BELIEVED = 0.5
# Twice the pixels over which fusion fades out at the edge of the thermal image.
RAMP = 17


@dataclass(frozen=True)
class FusionResult:
    """
    What was made of one pair. Images not asked for are None.

    fused: H x W x 3 uint8 in the colour order of the visible image, or H x W uint8 if that is gray (or gray
        was asked for). registered: the thermal image on the visible grid, its own dtype and values,
        0 outside. deformation: H x W x 2 float32 pixels, NaN outside the thermal image (geometry/warp.py).
        valid: H x W uint8, 255 = inside and believed.
    confidence: [0, 1] for the whole frame. source: where the alignment came from (alignment.SOURCES).
    transform: 3x3, backward, the affine or projective part of the deformation. cold: no earlier frame helped.
    notes: what the user should know, each with a stable code. timing: milliseconds by stage, and 'total'.
    deformation_of: what the deformation moves: 'thermal', or 'fused' where a pair is registered after fusion
        and not before (NaN outside the fused image). deformation_fused: the latter where it is registered
        before, too, else None.
    """

    fused: np.ndarray | None
    registered: np.ndarray | None
    deformation: np.ndarray | None
    valid: np.ndarray | None
    confidence: float
    source: str
    transform: np.ndarray
    cold: bool
    notes: tuple[Note, ...] = ()
    timing: dict[str, float] = field(default_factory=dict)
    deformation_of: str = 'thermal'
    deformation_fused: np.ndarray | None = None


class Predictor:
    """
    Registers and fuses pairs of one rig.

    preset, device, backbone, registration_first, backend: see SystemConfig; one of these in the place of the
    preset stands for all five. thermal_roi, visible_roi: x, y, width and height of the part of each image
    that is used (imaging/scene.py); empty is all of it. temporal: use earlier frames (video); False makes
    every pair cold, on its own and deterministic. calibration: a fixed transform, which switches the search
    off. gray: fused output without colour. Raises ChoiceError, saying what is valid, for names that do not go
    together, and FileError for weights that are missing or damaged.
    """

    def __init__(
        self,
        preset: str | SystemConfig = 'classical',
        device: str = 'auto',
        *,
        temporal: bool = True,
        calibration: Calibration | None = None,
        tone: ToneConfig = ToneConfig(),
        depth: DepthConfig = DepthConfig(),
        gray: bool = False,
        backbone: str = '',
        registration_first: str = 'none',
        backend: str = 'auto',
        thermal_roi: tuple[int, ...] = (),
        visible_roi: tuple[int, ...] = (),
    ):
        if isinstance(preset, SystemConfig):
            self.config = preset
        else:
            self.config = SystemConfig(preset, device, backbone, registration_first, backend)
        self.temporal = temporal
        self.calibration = calibration
        self.gray = gray
        self._build()
        self._fallen: tuple[Note, ...] = ()
        self._tone = ThermalTone(tone)
        self._depth = VisibleDepth(depth)
        self._scenes = Scenes(thermal_roi, visible_roi)
        self._scene: PairScene | None = None
        self._fixed: tuple[tuple, Alignment] | None = None  # of the calibration, and what it is for
        self._last: tuple[Alignment, tuple[int, int]] | None = None

    @property
    def preset(self) -> str:
        """The name of the preset."""
        return self.config.preset

    @property
    def device(self) -> str:
        """Where it runs, 'cpu' or 'cuda:N': another one after a GPU has failed."""
        return self.config.device

    @property
    def backbone(self) -> str | None:
        """The fusion network, None where there is none to choose."""
        return self.config.backbone

    @property
    def backend(self) -> str:
        """What runs the networks."""
        return self.config.backend

    @property
    def network(self):
        """The torch.nn.Module that the preset runs, or None."""
        return getattr(self._system, 'network', None)

    @property
    def deformation_of(self) -> str:
        """What the deformations of the results move: 'thermal' or 'fused'."""
        alone = self._first is None and self.calibration is None
        return 'fused' if alone and isinstance(self._system, PostRegistration) else 'thermal'

    def set_tone(self, tone: ToneConfig) -> None:
        """Change the gain control while running."""
        self._tone = ThermalTone(tone)

    def set_depth(self, depth: DepthConfig) -> None:
        """Change the depth of the visible image while running."""
        self._depth = VisibleDepth(depth)

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change what is scene while running; as in the constructor."""
        self._scenes = Scenes(thermal, visible)

    def reset(self) -> None:
        """Forget the stream: the next pair is a cold one."""
        self._reset_registration()
        self._tone.reset()
        self._depth.reset()
        self._scenes.reset()
        self._scene = None
        self._last = None

    def warm_up(
        self, thermal_shape: tuple[int, int] = (512, 640), visible_shape: tuple[int, int] = (512, 640)
    ):
        """Run once on noise, so that the first real pair does not pay for lazy initialisation."""
        rng = np.random.default_rng(0)
        noise = [rng.integers(0, 255, shape, np.uint8) for shape in (thermal_shape, visible_shape)]
        # a region of interest is of the real images, whose sizes these need not have
        scenes, self._scenes = self._scenes, Scenes()
        self(*noise)
        self._scenes = scenes
        self.reset()

    def __call__(
        self,
        thermal: np.ndarray | None,
        visible: np.ndarray | None,
        *,
        visible_order: str = 'bgr',
        thermal_order: str = 'bgr',
        outputs: frozenset[str] = OUTPUTS,
    ) -> FusionResult:
        """
        Fuse one pair.

        thermal: H x W of integers (all but unsigned ones of 32 bits) or floats of 32 or 64 bits (NaN = no
        value), or H x W x 3 uint8 pseudo-colour. visible: H x W or H x W x 3, uint8 or uint16, of which it
        may use fewer bits (DepthConfig). The two may differ in size and aspect.
        Either may be None: the other one is passed through, with a valid mask of zeros; without a visible
        image the thermal one is laid on the last known visible grid.
        outputs: names out of OUTPUTS; the rest is not computed.
        Raises ImageError for an image that cannot be used. A GPU that fails is given up: this pair and all
        that follow are done on the CPU, with a note.
        """
        for name, image in (('thermal', thermal), ('visible', visible)):
            if image is not None:
                _check(name, image)
        try:
            result = self._predict(thermal, visible, thermal_order, visible_order, outputs)
        except RuntimeError as error:
            if not has_failed(self.device, error):
                raise
            self._fall_back(error)
            result = self._predict(thermal, visible, thermal_order, visible_order, outputs)
        return replace(result, notes=(*result.notes, *self._fallen)) if self._fallen else result

    def _build(self) -> None:
        self._system = registry.build(self.config, self.temporal)
        first = self.config.first
        self._first = None if first is None else registry.build(first, self.temporal)

    def _fall_back(self, error: RuntimeError) -> None:
        """Go on without the device that failed."""
        reason = str(error).splitlines()[0][:200]
        text = f'{self.device} failed and is not used any more: {reason}; configure anew to try it again'
        self.config = self.config.on_cpu()
        self._build()
        self._fallen = (Note('gpu_failed', text),)

    def _predict(
        self,
        thermal: np.ndarray | None,
        visible: np.ndarray | None,
        thermal_order: str,
        visible_order: str,
        outputs: frozenset[str],
    ) -> FusionResult:
        clock = _Clock()
        if not self.temporal:
            self.reset()
        notes: tuple[Note, ...] = ()
        if visible is not None:
            visible, notes = self._depth.adjust(visible)
        if thermal is None or visible is None:
            return self._pass_through(thermal, visible, thermal_order, visible_order, outputs, clock)

        thermal_gray = color.gray(thermal, thermal_order)
        visible_gray = color.gray(visible, visible_order)
        visible_luma = color.luminance(visible_gray, visible_order)
        scenes = self._borders(thermal_gray, visible_gray)
        clock.lap('scene')
        blank = _blank(scenes.thermal.margins.inner(thermal), scenes.visible.margins.inner(visible))
        # what a blank frame would teach the gain control is wrong for the next one
        learns = not any(note.code.startswith('thermal') for note in blank)
        bright, scenes = self._brightened(
            thermal_gray,
            visible_gray if visible_gray.dtype == np.uint8 else visible_luma,
            scenes,
            learns,
        )
        clock.lap('tone')

        alignment = self._align(bright, visible_luma, scenes, blank)
        self._last = (alignment, visible.shape[:2])
        clock.lap('register')

        deformation = alignment.deformation(visible.shape[:2])
        points = warp.sampling_map(deformation, thermal.shape)
        inside = warp.inside(points, thermal.shape)
        trust = alignment.trust_map(visible.shape[:2])
        registered = fused = valid = moved = None
        after_fusion = self.deformation_of == 'fused'
        needs_fusion = 'fused' in outputs or ('deformation' in outputs and after_fusion)
        if needs_fusion or 'registered' in outputs:
            registered = warp.sample(thermal, points)
        clock.lap('warp')

        shown = inside if scenes.whole else inside & scenes.seen(points)
        if needs_fusion:
            fading = _fading_out(shown)
            if trust is not None:
                fading *= trust
            if scenes.whole:
                # beyond its edge the thermal image goes on with its edge values: black would be a new edge
                gray = color.gray(registered, thermal_order)
                luma, moved = self._fuse(visible_luma, self._tone.apply(gray), fading)
            else:
                luma, moved = self._fuse_scene(visible_luma, bright, points, fading, scenes)
            clock.lap('fuse')
            fused = self._paint(visible, visible_luma, luma)
            clock.lap('colour')
        if 'valid' in outputs:
            believed = shown if trust is None else shown & (trust >= BELIEVED)
            valid = believed.astype(np.uint8) * np.uint8(255)
        if 'deformation' in outputs:
            if after_fusion:
                deformation = moved
            else:
                deformation[~inside] = np.nan
        if 'registered' in outputs:
            registered[~inside] = 0
        clock.lap('outputs')
        return FusionResult(
            fused=fused if 'fused' in outputs else None,
            registered=registered if 'registered' in outputs else None,
            deformation=deformation if 'deformation' in outputs else None,
            valid=valid,
            confidence=alignment.confidence,
            source=alignment.source,
            transform=alignment.transform,
            cold=alignment.cold,
            notes=(*alignment.notes, *notes),
            timing=clock.done(),
            deformation_of=self.deformation_of,
            deformation_fused=None if after_fusion else moved,
        )

    def _fuse(
        self, visible: np.ndarray, thermal: np.ndarray, fading: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Fuse brightness; returns it, and how it was moved for it, if it was."""
        if not isinstance(self._system, PostRegistration):
            return self._system.fuse(visible, thermal, fading), None
        luma, moved = self._system.correct(visible, thermal, fading)
        return luma, warp.mark_outside(moved, moved.shape)

    def _fuse_scene(
        self,
        visible: np.ndarray,
        thermal: np.ndarray,
        points: np.ndarray,
        fading: np.ndarray,
        scenes: PairScene,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """
        Fuse brightness where both images show the scene; the visible image stays elsewhere.

        thermal: brightness, as it was recorded. points: where it is sampled. Returns what `_fuse` does.
        """
        inner, margins = scenes.visible.margins.inner, scenes.visible.margins
        sampled = scenes.thermal.sampled(thermal, inner(points))
        scene = scenes.visible.smooth(visible)
        part, part_moved = self._fuse(scene, sampled, np.ascontiguousarray(inner(fading)))
        luma = visible.copy()
        inner(luma)[:] = part
        if scenes.visible.overlay is not None:
            np.copyto(luma, visible, where=scenes.visible.overlay > 0)
        if part_moved is None or not margins:
            return luma, part_moved
        moved = np.zeros((*visible.shape, 2), np.float32)
        inner(moved)[:] = part_moved
        return luma, moved

    def _borders(self, thermal: np.ndarray, visible: np.ndarray) -> PairScene:
        """Return the scene of a pair, which does not know of overlays yet."""
        scenes = self._scenes.find(thermal, visible)
        last = self._scene
        if last is not None and scenes.cuts != last.cuts:
            self._reset_registration()
        return scenes

    def _brightened(
        self, thermal: np.ndarray, visible: np.ndarray, scenes: PairScene, learns: bool
    ) -> tuple[np.ndarray, PairScene]:
        """Return the brightness of the thermal image after gain control, and the scene without overlays."""
        first = not self._tone.ready
        if learns or first:
            # what is overlaid is only known of the frame before
            self._tone.update(thermal, scenes.overlaid_as(self._scene).thermal.counted())
        bright = self._tone.apply(thermal)
        scenes = self._scenes.without_overlays(scenes, bright, visible)
        if first and scenes.thermal.overlay is not None:
            self._tone.reset()
            self._tone.update(thermal, scenes.thermal.counted())
            bright = self._tone.apply(thermal)
        self._scene = scenes
        return bright, scenes

    def _align(
        self, bright: np.ndarray, visible_luma: np.ndarray, scenes: PairScene, blank: tuple[Note, ...]
    ) -> Alignment:
        if self.calibration is not None:
            return replace(self._fixed_alignment(bright.shape, visible_luma.shape), notes=blank)
        if blank:
            last, shape = self._last or (identity(), None)
            if shape != visible_luma.shape or last.source == 'identity':
                return identity(0.0, blank)
            return replace(last, source='held', confidence=0.0, cold=False, notes=blank)
        registration = self._first or self._system
        if scenes.whole:
            return registration.register(bright, visible_luma)
        found = registration.register(scenes.thermal.shown(bright), scenes.visible.shown(visible_luma))
        return of_whole(found, scenes)

    def _reset_registration(self) -> None:
        self._system.reset()
        if self._first is not None:
            self._first.reset()

    def _fixed_alignment(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> Alignment:
        key = (self.calibration, thermal_shape, visible_shape)
        if self._fixed is None or self._fixed[0][0] is not key[0] or self._fixed[0][1:] != key[1:]:
            self._fixed = key, self.calibration.alignment(thermal_shape, visible_shape)
        return self._fixed[1]

    def _paint(self, visible: np.ndarray, old_luma: np.ndarray, new_luma: np.ndarray) -> np.ndarray:
        if visible.ndim == 2 or self.gray:
            return color.to_byte(new_luma)
        return color.with_luminance(_as_byte(visible), old_luma, new_luma)

    def _pass_through(self, thermal, visible, thermal_order, visible_order, outputs, clock) -> FusionResult:
        """One camera is missing: show the other, and say in mask and source that nothing was fused."""
        if thermal is None and visible is None:
            raise ValueError('Predictor: neither a thermal nor a visible image was given')
        registered = deformation = None
        matrix = np.eye(3)
        if visible is not None:
            shape = visible.shape[:2]
            fused = _as_byte(visible)
            if self.gray:
                fused = color.gray(fused, visible_order)
            deformation = np.full((*shape, 2), np.nan, np.float32)
        else:
            alignment, shape = self._last or (identity(), thermal.shape[:2])
            matrix = alignment.transform
            deformation = warp.mark_outside(alignment.deformation(shape), thermal.shape)
            registered = warp.warp(thermal, deformation)
            gray = color.gray(registered, thermal_order)
            self._tone.update(gray)
            fused = color.to_byte(self._tone.apply(gray))
            if not self.gray:
                fused = cv2.cvtColor(fused, cv2.COLOR_GRAY2BGR)
        clock.lap('pass_through')
        missing = 'thermal' if thermal is None else 'visible'
        return FusionResult(
            fused=fused if 'fused' in outputs else None,
            registered=registered if 'registered' in outputs else None,
            deformation=deformation if 'deformation' in outputs else None,
            valid=np.zeros(shape, np.uint8) if 'valid' in outputs else None,
            confidence=0.0,
            source='pass_through',
            transform=matrix,
            cold=False,
            notes=(Note(f'{missing}_missing', f'no {missing} image: the other camera is passed through'),),
            timing=clock.done(),
            deformation_of=self.deformation_of,
        )


class _Clock:
    """Milliseconds by stage."""

    def __init__(self):
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = (now - self._last) * 1e3
        self._last = now

    def done(self) -> dict[str, float]:
        return {**self._laps, 'total': (time.perf_counter() - self._start) * 1e3}


def _fading_out(inside: np.ndarray) -> np.ndarray:
    """Return 1 inside, 0 outside, with a ramp just inside the edge, H x W float32."""
    mask = inside.astype(np.float32)
    if inside.all():
        return mask
    ramp = np.clip(2 * cv2.blur(mask, (RAMP, RAMP), borderType=cv2.BORDER_REPLICATE) - 1, 0, 1)
    return ramp * mask  # where the edge meets that of the picture the ramp reaches out of it


def _blank(thermal: np.ndarray, visible: np.ndarray) -> tuple[Note, ...]:
    """Return a note for each image that shows nothing, such as 'thermal_black'."""
    return tuple(
        Note(f'{name}_{why}', f'{name} image is {why}: it is fused with the last alignment; check the camera')
        for name, image in (('thermal', thermal), ('visible', visible))
        if (why := content.absent(image))
    )


def _as_byte(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=255 / 65535)


_DTYPES = {
    'thermal': ('uint8', 'uint16', 'int8', 'int16', 'int32', 'float32', 'float64'),
    'visible': ('uint8', 'uint16'),
}


def _check(name: str, image: np.ndarray) -> None:
    cause, problem = _problem(name, image)
    if problem:
        raise ImageError(cause, f'{name} image {problem}', name)


def _problem(name: str, image: np.ndarray) -> tuple[str, str]:
    """Return cause and text of what is wrong with an image; both are empty where nothing is."""
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        return 'layout', f'has shape {image.shape}; expected H x W or H x W x 3'
    if image.dtype.name not in _DTYPES[name]:
        return 'layout', f'is {image.dtype}; expected one of {", ".join(_DTYPES[name])}'
    if name == 'thermal' and image.ndim == 3 and image.dtype != np.uint8:
        return 'layout', f'is {image.dtype}; a colour thermal image must be uint8'
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        return 'too_small', f'is {width}x{height}; at least {SMALLEST_SIDE} a side'
    if max(height, width) > LARGEST_SIDE:
        return 'too_large', f'is {width}x{height}; at most {LARGEST_SIDE} a side'
    return '', ''
