"""
The door between images and systems: NumPy images in, a typed `FusionResult` out.

The predictor owns device, gain control, colour, sizes and the state of the stream, and knows nothing
of ROS.

    predictor = Predictor('classical')
    result = predictor(thermal, visible)
    cv2.imwrite('fused.png', result.fused)
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from irvis_fusion_ros import lazy
from irvis_fusion_ros.alignment import Alignment, Note, identity
from irvis_fusion_ros.backends.device import has_failed
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.config import unknown
from irvis_fusion_ros.errors import ChoiceError
from irvis_fusion_ros.fusion_result import OF_CORRECTION, OUTPUTS, FusionResult, Stopwatch
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import acceptable, color, content
from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth
from irvis_fusion_ros.imaging.scene import PairScene, Scenes, of_whole
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig
from irvis_fusion_ros.rig.refiner import Refiner
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.base import Correction, PostRegistration
from irvis_fusion_ros.systems.registry import SystemConfig

# Trust below this is not believed: 0 in the valid mask.
BELIEVED = 0.5
# Twice the pixels over which fusion fades out at the edge of the thermal image.
RAMP = 17
# Colours of highlighted targets by their sign, red, green and blue; how much of it they take.
TINTS = {1: (1.0, 0.45, 0.05), -1: (0.1, 0.55, 1.0)}
TINTED = 0.8
# Said where a network that fuses colours gets none.
GRAY = (
    'backbone {} takes the colours of the visible image, but that is gray: its brightness is used for all '
    'three; have the camera send colours, or name a backbone that takes brightness'
)
# They bring torch, which takes nearly 200 MB and is not everywhere.
_TARGETS = 'irvis_fusion_ros.systems.targets:Targets'
_WHERE_TARGETS = 'irvis_fusion_ros.systems.where_targets:WhereTargets'
# How the thermal image is stretched for the search for targets.
CONTRAST = ToneConfig(normalisation='percentile')


class Predictor:
    """
    Registers and fuses pairs of one rig.

    preset, device, backbone, registration_first, backend: see SystemConfig; one of these in the place of the
    preset stands for all five. thermal_roi, visible_roi: x, y, width and height of the part of each image
    that is used (imaging/scene.py); empty is all of it. temporal: use earlier frames (video); False makes
    every pair cold, on its own and deterministic. calibration: a fixed transform, which switches the search
    off; with `refine` each pair is fitted around it, as far as the rig allows (rig/refiner.py). gray: fused
    output without colour. targets: which things that stand out of the thermal image are shown
    (registry.TARGETS), by presets without a fusion of their own. highlight: 'tint' colours them where the
    fused image has colours (registry.HIGHLIGHTS). Raises ChoiceError, saying what is valid, for names that do
    not go together, and FileError for weights that are missing or damaged.
    """

    def __init__(
        self,
        preset: str | SystemConfig = 'classical',
        device: str = 'auto',
        *,
        temporal: bool = True,
        calibration: Calibration | None = None,
        refine: bool = False,
        tone: ToneConfig = ToneConfig(),
        depth: DepthConfig = DepthConfig(),
        gray: bool = False,
        backbone: str = '',
        registration_first: str = 'auto',
        backend: str = 'auto',
        thermal_roi: tuple[int, ...] = (),
        visible_roi: tuple[int, ...] = (),
        targets: str = 'warm',
        highlight: str = 'none',
    ):
        if isinstance(preset, SystemConfig):
            self.config = preset
        else:
            self.config = SystemConfig(preset, device, backbone, registration_first, backend)
        self.temporal = temporal
        self._refine = refine
        self.gray = gray
        self._build()
        self._fallen: tuple[Note, ...] = ()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix='targets')
        self._tone = ThermalTone(tone)
        self._depth = VisibleDepth(depth)
        self._scenes = Scenes(thermal_roi, visible_roi)
        self._scene: PairScene | None = None
        self.set_targets(targets, highlight)
        self.calibration = calibration
        self._last: tuple[Alignment, tuple[int, int]] | None = None

    @property
    def calibration(self) -> Calibration | None:
        """The fixed transform in use, or None; another one may be set while running."""
        return self._calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._calibration = calibration
        self._fixed: tuple[Calibration, tuple, Alignment] | None = None  # what one gives, for which shapes
        self._refiner: Refiner | None = None
        if self._refine and calibration is not None:
            where = lazy.load(_WHERE_TARGETS)(self.device) if self._targets is not None else None
            self._refiner = Refiner(calibration, self.temporal, where)

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
    def running(self) -> dict[str, str]:
        """What runs where, in words for people."""
        first = self.config.first
        return {
            'preset': self.preset,
            'backbone': self.backbone or 'its own',
            'registration first': 'none' if first is None else f'{first.preset} on {first.device}',
            'backend': self.backend,
            'device': self.device,
            'precision': self._system.precision,
        }

    @property
    def network(self):
        """The torch.nn.Module that the preset runs, or None."""
        return getattr(self._system, 'network', None)

    def set_tone(self, tone: ToneConfig) -> None:
        """Change the gain control while running."""
        self._tone = ThermalTone(tone)

    def set_depth(self, depth: DepthConfig) -> None:
        """Change the depth of the visible image while running."""
        self._depth = VisibleDepth(depth)

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change what is scene while running; as in the constructor."""
        self._scenes = Scenes(thermal, visible)

    def set_targets(self, targets: str, highlight: str) -> None:
        """Change which targets are shown, and how, while running; raises ChoiceError for unknown names."""
        for name, value, valid in (
            ('targets', targets, registry.TARGETS),
            ('highlight', highlight, registry.HIGHLIGHTS),
        ):
            if value not in valid:
                raise ChoiceError(name, unknown(name, value, valid))
        self._emphasised = self.config.entry.targets
        self._highlight = highlight == 'tint'
        wanted = targets != 'off' and (self._emphasised or self._highlight)
        self._targets = lazy.load(_TARGETS)(targets, self.temporal, device=self.device) if wanted else None
        self._chosen = targets, highlight
        # targets are sought in the stretched image whatever the gain that is fused
        self._contrast = ThermalTone(CONTRAST)

    def reset(self) -> None:
        """Forget the stream: the next pair is a cold one."""
        self._reset_registration()
        self._tone.reset()
        self._contrast.reset()
        if self._targets is not None:
            self._targets.reset()
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
                acceptable.check(name, image)
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
        self.set_targets(*self._chosen)
        self.calibration = self.calibration  # what refines it looks for targets there, too
        self._fallen = (Note('gpu_failed', text),)

    def _predict(
        self,
        thermal: np.ndarray | None,
        visible: np.ndarray | None,
        thermal_order: str,
        visible_order: str,
        outputs: frozenset[str],
    ) -> FusionResult:
        clock = Stopwatch()
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
        registered = fused = valid = corrected = None
        corrects = isinstance(self._system, PostRegistration)
        needs_fusion = 'fused' in outputs or (corrects and bool(OF_CORRECTION & outputs))
        if needs_fusion or 'registered' in outputs:
            registered = warp.sample(thermal, points)
        clock.lap('warp')

        shown = inside if scenes.whole else inside & scenes.seen(points)
        if needs_fusion:
            fading = _fading_out(shown)
            # what nothing registers is fused whole: who asks for that knows the cameras
            if trust is not None and alignment.source != 'identity':
                fading *= trust
            picture, more = self._picture(visible, visible_luma, visible_order)
            notes = (*notes, *more)
            # a blank image teaches nothing and shows no target
            shows = self._targets is not None and learns
            seek = functools.partial(self._seek_targets, (thermal_gray, registered), points, fading, scenes)
            # a GPU is not shared by two threads: one may record what it runs
            seeking = self._beside.submit(seek) if shows and self.device == 'cpu' else None
            try:
                if scenes.whole:
                    # beyond its edge the thermal image goes on with its edge values: black were a new edge
                    gray = color.gray(registered, thermal_order)
                    luma, corrected = self._fuse(picture, self._tone.apply(gray), fading)
                else:
                    luma, corrected = self._fuse_scene(picture, visible_luma, bright, points, fading, scenes)
            finally:
                sought = seeking.result() if seeking else None
            clock.lap('fuse')
            where = {}
            if shows:
                luma, where = self._show_targets(luma, sought or seek(), scenes)
            clock.lap('targets')
            fused = self._paint(visible, visible_luma, luma, visible_order)
            if self._highlight and fused.ndim == 3:
                for sign, share in where.items():
                    fused = color.tinted(fused, share * TINTED, TINTS[sign], visible_order)
            clock.lap('colour')
        if 'valid' in outputs:
            believed = shown if trust is None else shown & (trust >= BELIEVED)
            valid = believed.astype(np.uint8) * np.uint8(255)
        if 'deformation' in outputs:
            warp.put_outside(deformation, inside, np.nan)
        if 'registered' in outputs:
            warp.put_outside(registered, inside, 0)
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
            **_of_correction(corrected, outputs),
        )

    def _picture(
        self, visible: np.ndarray, luma: np.ndarray, order: str
    ) -> tuple[np.ndarray, tuple[Note, ...]]:
        """Return what the system fuses of the visible image: its brightness `luma`, or its colours."""
        if not getattr(self._system, 'takes_rgb', False):
            return luma, ()
        if visible.ndim == 2:
            return luma, (Note('visible_gray', GRAY.format(self.backbone)),)
        return color.rgb(visible, order), ()

    def _fuse(
        self, visible: np.ndarray, thermal: np.ndarray, fading: np.ndarray
    ) -> tuple[np.ndarray, Correction | None]:
        """Fuse brightness or colours; returns the result, and how it was corrected, if it was."""
        if not isinstance(self._system, PostRegistration):
            return self._system.fuse(visible, thermal, fading), None
        corrected = self._system.correct(visible, thermal, fading)
        return corrected.fused, corrected

    def _fuse_scene(
        self,
        visible: np.ndarray,
        luma: np.ndarray,
        thermal: np.ndarray,
        points: np.ndarray,
        fading: np.ndarray,
        scenes: PairScene,
    ) -> tuple[np.ndarray, Correction | None]:
        """
        Fuse brightness or colours where both images show the scene; the visible image stays elsewhere.

        luma: the brightness of the visible image. thermal: brightness, as it was recorded. points: where it
        is sampled. Returns what `_fuse` does.
        """
        inner, margins = scenes.visible.margins.inner, scenes.visible.margins
        sampled = scenes.thermal.sampled(thermal, inner(points))
        scene = scenes.visible.smooth(visible)
        part, corrected = self._fuse(scene, sampled, np.ascontiguousarray(inner(fading)))
        unfused = visible if part.ndim == visible.ndim else luma
        fused = unfused.copy()
        inner(fused)[:] = part
        if scenes.visible.overlay is not None:
            kept = scenes.visible.overlay > 0
            fused[kept] = unfused[kept]
        if corrected is None or not margins:
            return fused, corrected
        moved = np.zeros((*luma.shape, 2), np.float32)
        misregistration = np.zeros(luma.shape, np.float32)
        inner(moved)[:] = corrected.moved
        inner(misregistration)[:] = corrected.misregistration
        return fused, Correction(fused, moved, misregistration)

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

    def _seek_targets(
        self,
        thermals: tuple[np.ndarray, np.ndarray],
        points: np.ndarray,
        fading: np.ndarray,
        scenes: PairScene,
    ) -> tuple:
        """
        Find targets where both images show the scene; it runs beside fusion.

        thermals: the values of the thermal image, as it was recorded and registered. points: where it is
        sampled. Returns what `Targets.show` takes after the picture.
        """
        inner = scenes.visible.margins.inner
        thermal, registered = thermals
        self._contrast.update(thermal, scenes.thermal.counted())
        if scenes.whole and registered.ndim == 2:
            warmth = self._contrast.stretch(registered)
        else:
            warmth = scenes.thermal.sampled(self._contrast.stretch(thermal), inner(points))
        trust = np.ascontiguousarray(inner(fading))
        return warmth, trust, self._targets.find(warmth, trust)

    def _show_targets(
        self, luma: np.ndarray, sought: tuple, scenes: PairScene
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """
        Show targets in fused brightness, where both images show the scene.

        sought: from `_seek_targets`. Returns the brightness, and for `highlight` by sign where targets are,
        H x W float32 [0, 1].
        """
        inner = scenes.visible.margins.inner
        where = {} if self._highlight else None
        part = np.array(inner(color.brightness(luma)))
        self._targets.show(part, *sought, where)
        if self._emphasised and luma.ndim == 2:
            luma = part if part.shape == luma.shape else luma.copy()
            inner(luma)[:] = part
        if where is None:
            return luma, {}
        if scenes.visible.margins:
            for sign, share in where.items():
                where[sign] = np.zeros(luma.shape[:2], np.float32)
                inner(where[sign])[:] = share
        return luma, where

    def _align(
        self, bright: np.ndarray, visible_luma: np.ndarray, scenes: PairScene, blank: tuple[Note, ...]
    ) -> Alignment:
        if self.calibration is not None:
            notes = blank
            if problem := self.calibration.mismatch(bright.shape, visible_luma.shape):
                notes = (*notes, Note('other_field_of_view', problem))
            found = self._by_rig(bright, visible_luma, scenes, refined=not blank)
            return replace(found, notes=(*found.notes, *notes))
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

    def _by_rig(
        self, bright: np.ndarray, visible_luma: np.ndarray, scenes: PairScene, refined: bool
    ) -> Alignment:
        """Align as the calibration says, refined where that is wanted."""
        if self._refiner is None:
            return self._fixed_alignment(self.calibration, bright.shape, visible_luma.shape)
        if not refined:
            at = self._refiner.place.calibration
            return self._fixed_alignment(at, bright.shape, visible_luma.shape)
        if scenes.whole:
            return self._refiner.register(bright, visible_luma)
        images = scenes.thermal.shown(bright), scenes.visible.shown(visible_luma)
        return of_whole(self._refiner.register(*images, scenes.cuts), scenes)

    def _reset_registration(self) -> None:
        self._system.reset()
        if self._refiner is not None:
            self._refiner.reset()
        if self._first is not None:
            self._first.reset()

    def _fixed_alignment(
        self, rig: Calibration, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]
    ) -> Alignment:
        shapes = thermal_shape, visible_shape
        if self._fixed is None or self._fixed[0] is not rig or self._fixed[1] != shapes:
            self._fixed = rig, shapes, rig.alignment(*shapes)
        return self._fixed[2]

    def _paint(
        self, visible: np.ndarray, old_luma: np.ndarray, new_luma: np.ndarray, order: str
    ) -> np.ndarray:
        """Return the fused image, uint8, of its brightness or its colours."""
        if visible.ndim == 2 or self.gray:
            return color.to_byte(color.brightness(new_luma))
        if new_luma.ndim == 3:
            colours = color.to_byte(new_luma)
            return colours if order == 'rgb' else cv2.cvtColor(colours, cv2.COLOR_RGB2BGR)
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
            gray = color.gray(thermal, thermal_order)
            self._tone.update(gray, self._scenes.of_thermal(gray, self._scene).counted())
            fused = color.to_byte(self._tone.apply(color.gray(registered, thermal_order)))
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
        )


def _of_correction(corrected: Correction | None, outputs: frozenset[str]) -> dict[str, np.ndarray]:
    """Return the outputs that tell of a correction, by name."""
    if corrected is None:
        return {}
    moved = corrected.moved
    made = {
        'deformation_fused': warp.mark_outside(moved, moved.shape),
        'misregistration': corrected.misregistration,
    }
    return {name: made[name] for name in OF_CORRECTION & outputs}


def _fading_out(inside: np.ndarray) -> np.ndarray:
    """Return 1 inside, 0 outside, with a ramp just inside the edge, H x W float32."""
    mask = inside.astype(np.float32)
    if inside.all():
        return mask
    ramp = cv2.blur(mask, (RAMP, RAMP), borderType=cv2.BORDER_REPLICATE)
    ramp *= 2
    ramp -= 1
    np.clip(ramp, 0, 1, out=ramp)
    ramp *= mask  # where the edge meets that of the picture the ramp reaches out of it
    return ramp


def _blank(thermal: np.ndarray, visible: np.ndarray) -> tuple[Note, ...]:
    """Return a note for each image that shows nothing, such as 'thermal_black'."""
    return tuple(
        Note(f'{name}_{why}', f'{name} image is {why}: it is fused with the last alignment; check the camera')
        for name, image in (('thermal', thermal), ('visible', visible))
        if (why := content.absent(image))
    )


def _as_byte(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=255 / 65535)
