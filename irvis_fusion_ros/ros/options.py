"""
Every parameter of the node, with its description, default and limits.

Imports no ROS: the default YAML and the parameter table are generated from it anywhere.
"""

from dataclasses import dataclass

from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.errors import ChoiceError
from irvis_fusion_ros.geometry.plausible import LARGEST_SIDE
from irvis_fusion_ros.imaging.acceptable import SMALLEST_SIDE
from irvis_fusion_ros.imaging.depth import DepthConfig
from irvis_fusion_ros.imaging.scene_margins import roi_of
from irvis_fusion_ros.imaging.tone import ToneConfig
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig

# Seconds: one camera may stamp with the time since its start, and the other with that since 1970.
LARGEST_OFFSET = 1e10
TRANSPORTS = ('raw', 'compressed', 'h264')


@dataclass(frozen=True)
class SyncConfig:
    """How thermal and visible images are brought together."""

    policy: str = option(
        'nearest',
        'Which images are a pair: nearest (ours: the nearest stamps, survives bag loops, counts every drop), '
        'or approximate_time and exact_time of message_filters, where that is installed.',
        choices=('nearest', 'approximate_time', 'exact_time'),
    )
    tolerance: float = option(
        0.02, 'Largest difference of the stamps of a pair.', minimum=0, maximum=10, unit='s', live=True
    )
    thermal_offset: float = option(
        0.0,
        'Added to thermal stamps before they are compared: the amount by which they lag the visible ones. 0 '
        'takes that of calibration.file, where calibration.source is file and it states one '
        '(thermal_offset).',
        minimum=-LARGEST_OFFSET,
        maximum=LARGEST_OFFSET,
        unit='s',
        live=True,
    )
    timeout: float = option(
        0.5,
        'How long an image waits for its partner after its arrival; has to exceed the difference of the '
        'delays of the two cameras. In every_frame: the silence after which the last pair comes out; nothing '
        'is given up.',
        minimum=0.01,
        maximum=60,
        unit='s',
        live=True,
    )
    queue_size: int = option(
        30,
        'Images of one stream that may wait for a partner in realtime, and the queue of the message_filters '
        'policies.',
        minimum=1,
        maximum=10_000,
    )


@dataclass(frozen=True)
class CalibrationConfig:
    """A rig that is known, instead of a search."""

    source: str = option(
        'none',
        'Where the alignment comes from: none (searched in the images), file (calibration.file) or '
        'camera_info (K and R of both CameraInfo topics as a pure rotation, '
        'H = K_visible R_visible^T R_thermal K_thermal^-1: exact for far scenes, the baseline is not used; '
        'ROI, binning and lens distortion are, so that the images have to be those that are not rectified).',
        choices=('none', 'file', 'camera_info'),
    )
    file: str = option(
        '',
        'YAML file with matrix (9 numbers, row by row, thermal pixel to visible pixel, 0-based), '
        'thermal_size and visible_size ([width, height]), and what else calibrate and ~/save_calibration '
        'write. ~/save_calibration writes it, whatever the source.',
    )
    refine: bool = option(
        False,
        'Each pair is aligned around the rig: it finds distance, region by region, and what little else it '
        'differs by, smoothed over the stream. With source none the rig is measured while it flies, and used '
        'from then on. A knock of the rig is followed.',
    )


@dataclass(frozen=True)
class ThermalConfig(ToneConfig):
    """The thermal camera: how its values become brightness, and how its images travel."""

    transport: str = option(
        'raw',
        'raw subscribes to thermal/image_raw, compressed to thermal/image_raw/compressed, h264 to '
        'thermal/image_raw/h264 (CompressedVideo of foxglove_msgs; needs the extra `video`).',
        choices=TRANSPORTS,
    )
    roi: str = option(
        '',
        'The part of the thermal image that is used: x, y, width and height in pixels, as 0, 0, 640, 480; a '
        'width or height of 0 reaches to the edge, empty is all of it. Borders of one brightness, and '
        'overlays that both images carry, are found without it.',
        live=True,
    )


@dataclass(frozen=True)
class VisibleConfig(DepthConfig):
    """The visible camera: how deep its images are, and how they travel."""

    transport: str = option(
        'raw',
        'raw subscribes to visible/image_raw, compressed to visible/image_raw/compressed, h264 to '
        'visible/image_raw/h264 (CompressedVideo of foxglove_msgs; needs the extra `video`).',
        choices=TRANSPORTS,
    )
    roi: str = option(
        '',
        'The part of the visible image that is used: x, y, width and height in pixels, as 0, 0, 640, 480; a '
        'width or height of 0 reaches to the edge, empty is all of it. Borders of one brightness, and '
        'overlays that both images carry, are found without it.',
        live=True,
    )


@dataclass(frozen=True)
class LimitsConfig:
    """What is refused at the door."""

    max_pixels: int = option(
        20_000_000,
        'Images with more pixels are refused.',
        minimum=SMALLEST_SIDE**2,
        maximum=LARGEST_SIDE**2,
        unit='px',
        live=True,
    )


@dataclass(frozen=True)
class RealtimeConfig:
    """Mode realtime."""

    max_age: float = option(
        0.5,
        'Pairs whose newer image arrived longer ago than this are dropped instead of fused (steady clock).',
        minimum=0.01,
        maximum=60,
        unit='s',
        live=True,
    )


@dataclass(frozen=True)
class EveryFrameConfig:
    """Mode every_frame."""

    max_queue_bytes: int = option(
        1 << 30,
        'Bytes of images that may wait, for a partner or to be fused; beyond it images are dropped, and '
        'counted.',
        minimum=1 << 20,
        maximum=1 << 40,
        unit='B',
        live=True,
    )


@dataclass(frozen=True)
class CompressedConfig:
    """The topic fused/image/compressed."""

    format: str = option('jpeg', 'Format of fused/image/compressed.', choices=('jpeg', 'png'), live=True)
    jpeg_quality: int = option(90, 'JPEG quality, 100 is best.', minimum=1, maximum=100, live=True)
    png_level: int = option(1, 'PNG compression, 9 is smallest and slowest.', minimum=0, maximum=9, live=True)


@dataclass(frozen=True)
class DiagnosticsConfig:
    """What is told about the health of the stream."""

    period: float = option(
        1.0, 'Time between messages on /diagnostics (steady clock).', minimum=0.1, maximum=60, unit='s'
    )
    no_pair_after: float = option(
        5.0,
        'Time without a pair after which the log says why there is none.',
        minimum=0.5,
        maximum=3600,
        unit='s',
        live=True,
    )


@dataclass(frozen=True)
class NodeConfig:
    """All parameters of fusion_node."""

    mode: str = option(
        'realtime',
        'realtime fuses the newest pair and drops what it has no time for; every_frame fuses every pair '
        'once, in order.',
        choices=('realtime', 'every_frame'),
    )
    preset: str = option(
        registry.AUTO,
        'Which system registers and fuses; auto takes what measures best: swift_lite.',
        choices=registry.NAMES,
        kind='preset',
        live=True,
    )
    backbone: str = option(
        '',
        'Fusion network of a preset that lets one choose it: one of docs/backbones.md, or the path of a YAML '
        "file beside a network of your own; empty is the preset's own.",
        live=True,
    )
    registration_first: str = option(
        registry.AUTO,
        'What registers the thermal image for a preset that does not do so itself (those with a backbone): '
        'auto takes what measures best, swift_lite; none leaves it as it lies, for cameras that are aligned.',
        choices=registry.FIRST,
        kind='registration',
        live=True,
    )
    targets: str = option(
        'warm',
        'What stands out of the thermal image and is always seen in the fused one, by day and night: warm '
        'things such as people, cold ones, both, or off. Presets with a fusion of their own (busref, bsr, '
        'umf_cmgr, and those with a backbone) show what it shows.',
        choices=registry.TARGETS,
        live=True,
    )
    highlight: str = option(
        'none',
        'How targets are made conspicuous for human eyes: none, or tint, which colours warm ones orange and '
        'cold ones blue, with every preset; not with output_encoding mono8.',
        choices=registry.HIGHLIGHTS,
        live=True,
    )
    device: str = option('auto', 'Where it runs: auto, cpu, cuda or cuda:N.', live=True)
    backend: str = option(
        'auto',
        'What runs the networks of a preset: auto, torch, or, for swift and swift_lite, onnx or, on a GPU, '
        "tensorrt; both after 'irvis export'.",
        choices=registry.BACKENDS,
        kind='backend',
        live=True,
    )
    output_encoding: str = option(
        'bgr8', 'Encoding of fused/image.', choices=('bgr8', 'rgb8', 'mono8'), live=True
    )
    autostart: bool = option(
        True, 'Configure and activate at start; false leaves that to a lifecycle manager.'
    )
    on_missing: str = option(
        'drop',
        'When one camera is silent: drop waits for it, pass_through passes the images of the other one '
        'through, with a valid mask of zeros.',
        choices=('drop', 'pass_through'),
        live=True,
    )
    missing_after: float = option(
        1.0,
        'Silence after which a camera counts as missing.',
        minimum=0.05,
        maximum=60,
        unit='s',
        live=True,
    )
    sync: SyncConfig = group(SyncConfig)
    calibration: CalibrationConfig = group(CalibrationConfig)
    thermal: ThermalConfig = group(ThermalConfig)
    visible: VisibleConfig = group(VisibleConfig)
    limits: LimitsConfig = group(LimitsConfig)
    realtime: RealtimeConfig = group(RealtimeConfig)
    every_frame: EveryFrameConfig = group(EveryFrameConfig)
    compressed: CompressedConfig = group(CompressedConfig)
    diagnostics: DiagnosticsConfig = group(DiagnosticsConfig)

    def system(self) -> SystemConfig:
        """Return the system that is chosen. Raises ChoiceError for what does not go together."""
        return SystemConfig(self.preset, self.device, self.backbone, self.registration_first, self.backend)


def conflict(config: NodeConfig) -> str | None:
    """Say which values of `config` do not go together or are not to be had on this machine, or None."""
    tone, calibration = config.thermal, config.calibration
    if tone.normalisation == 'range' and not tone.range_min < tone.range_max:
        least = f"above 'thermal.range_min' ({tone.range_min:g})"
        return f"'thermal.range_max' is {tone.range_max:g}: must be {least}"
    for name, camera in (('thermal', config.thermal), ('visible', config.visible)):
        if problem := _roi_problem(name, camera.roi):
            return problem
    if calibration.source == 'file' and not calibration.file:
        return "'calibration.file' is empty: calibration.source 'file' needs the path of a YAML file"
    try:
        config.system()
    except ChoiceError as error:
        return f"'{error.option}' is {getattr(config, error.option)!r}: {error}"
    return None


def _roi_problem(camera: str, roi: str) -> str | None:
    try:
        roi_of(roi)
    except ValueError as error:
        return f"'{camera}.roi' is {roi!r}: {error}"
    return None
