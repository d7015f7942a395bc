"""
The door between images and systems: NumPy images in, a typed `FusionResult` out.

The predictor owns device, gain control, colour, sizes and the state of the stream, and knows nothing
of ROS.

    predictor = Predictor('classical')
    result = predictor(thermal, visible)
    cv2.imwrite('fused.png', result.fused)
"""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.backends.device import has_failed
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.fusion_result import OF_CORRECTION, OUTPUTS, FusionResult, Stopwatch, result_of
from irvis_fusion_ros.imaging import acceptable
from irvis_fusion_ros.imaging.brightness import Brightness, BrightPair
from irvis_fusion_ros.imaging.depth import DepthConfig
from irvis_fusion_ros.imaging.tone import ToneConfig
from irvis_fusion_ros.steps.fuse import fuse, painted
from irvis_fusion_ros.steps.pass_through import passed_through
from irvis_fusion_ros.steps.place import Placed, place
from irvis_fusion_ros.steps.register import Registration
from irvis_fusion_ros.steps.target_layer import TargetLayer
from irvis_fusion_ros.systems.base import PostRegistration
from irvis_fusion_ros.systems.registry import SystemConfig


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

    STREAM = ('_registration', '_brightness', '_targets')

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
        self.gray = gray
        self._refine = refine
        self._fallen: tuple[Note, ...] = ()
        self._registration = Registration(self.config, temporal)
        self._brightness = Brightness(tone, depth, thermal_roi, visible_roi)
        self.set_targets(targets, highlight)
        self.calibration = calibration

    @property
    def calibration(self) -> Calibration | None:
        """The fixed transform in use, or None; another one may be set while running."""
        return self._registration.calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        device = self.device if self._targets.wanted else None
        self._registration.use_rig(calibration, self._refine, device)

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
            'precision': self._registration.system.precision,
        }

    @property
    def network(self):
        """The torch.nn.Module that the preset runs, or None."""
        return getattr(self._registration.system, 'network', None)

    def set_tone(self, tone: ToneConfig) -> None:
        """Change the gain control while running."""
        self._brightness.set_tone(tone)

    def set_depth(self, depth: DepthConfig) -> None:
        """Change the depth of the visible image while running."""
        self._brightness.set_depth(depth)

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change what is scene while running; as in the constructor."""
        self._brightness.set_rois(thermal, visible)

    def set_targets(self, targets: str, highlight: str) -> None:
        """Change which targets are shown, and how, while running; raises ChoiceError for unknown names."""
        emphasised = self.config.entry.targets
        self._targets = TargetLayer(targets, highlight, emphasised, self.temporal, self.device)

    def reset(self) -> None:
        """Forget the stream: the next pair is a cold one."""
        for part in (self._registration, self._brightness, self._targets):
            part.reset()

    def warm_up(
        self, thermal_shape: tuple[int, int] = (512, 640), visible_shape: tuple[int, int] = (512, 640)
    ):
        """Run once on noise, so that the first real pair does not pay for lazy initialisation."""
        rng = np.random.default_rng(0)
        noise = [rng.integers(0, 255, shape, np.uint8) for shape in (thermal_shape, visible_shape)]
        # a region of interest is of the real images, whose sizes these need not have
        rois = self._brightness.rois
        self.set_rois((), ())
        self(*noise)
        self.set_rois(*rois)
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
        given = thermal, visible, (thermal_order, visible_order), outputs
        try:
            result = self._predict(*given)
        except RuntimeError as error:
            if not has_failed(self.device, error):
                raise
            self._fall_back(error)
            result = self._predict(*given)
        return replace(result, notes=(*result.notes, *self._fallen)) if self._fallen else result

    def _fall_back(self, error: RuntimeError) -> None:
        """Go on without the device that failed."""
        reason = str(error).splitlines()[0][:200]
        text = f'{self.device} failed and is not used any more: {reason}; configure anew to try it again'
        self.config = self.config.on_cpu()
        self._registration.build(self.config)
        self.set_targets(*self._targets.chosen)
        self.calibration = self.calibration  # what refines it looks for targets there, too
        self._fallen = (Note('gpu_failed', text),)

    def _predict(
        self,
        thermal: np.ndarray | None,
        visible: np.ndarray | None,
        orders: tuple[str, str],
        outputs: frozenset[str],
    ) -> FusionResult:
        clock = Stopwatch()
        if not self.temporal:
            self.reset()
        if thermal is None or visible is None:
            last = self._registration.last
            alignment, made = passed_through(thermal, visible, orders, self.gray, self._brightness, last)
            clock.lap('pass_through')
            return result_of(alignment, made, outputs, clock)
        pair = self._brightness.pair(thermal, visible, *orders, lap=clock.lap)
        alignment = self._registration.align(pair)
        clock.lap('register')
        corrects = isinstance(self._registration.system, PostRegistration)
        fuses = 'fused' in outputs or (corrects and bool(OF_CORRECTION & outputs))
        placed = place(alignment, thermal, pair.scenes, sampled=fuses or 'registered' in outputs)
        clock.lap('warp')
        made, notes = self._fuse(pair, placed, orders, clock) if fuses else ({}, ())
        made |= placed.outputs(outputs)
        clock.lap('outputs')
        return result_of(alignment, made, outputs, clock, (*pair.notes, *notes))

    def _fuse(
        self, pair: BrightPair, placed: Placed, orders: tuple[str, str], clock: Stopwatch
    ) -> tuple[dict[str, np.ndarray], tuple[Note, ...]]:
        """Return the fused picture and what tells of its correction, by name of output, and notes."""
        system, fading, brightness_of = self._registration.system, placed.fading(), self._brightness.apply
        with self._targets.sought(pair, placed, fading) as sought:
            fused = fuse(system, pair, placed, fading, orders, brightness_of, self.backbone)
        clock.lap('fuse')
        shown = self._targets.show(fused.luma, sought, pair.scenes)
        clock.lap('targets')
        picture = shown.tinted(painted(pair, shown.luma, orders[1], self.gray), orders[1])
        clock.lap('colour')
        return {'fused': picture, **fused.of_correction()}, fused.notes
