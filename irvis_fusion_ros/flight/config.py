"""What a synthetic flight is made of: its length, its cameras, its light and the faults of its sensors."""

from dataclasses import dataclass

from irvis_fusion_ros.config import check, option

TIMES = ('day', 'dusk', 'night')
DEPTHS = (8, 16)
POLARITIES = ('white_hot', 'black_hot')
GAINS = ('linear', 'histogram')
# Stamps of a flight count from here, so that a flight is the same file whenever it is made.
EPOCH = 1_767_225_600_000_000_000


# The options that describe the rig, and those of how the thermal camera renders.
RIG = (
    'baseline',
    'visible_focal',
    'thermal_focal',
    'visible_k1',
    'visible_k2',
    'thermal_k1',
    'thermal_k2',
    'pitch',
    'yaw',
    'roll',
    'clock',
    'drift',
    'readout',
    'zoom',
    'knock',
    'knock_at',
)
THERMAL = ('thermal_blur', 'thermal_noise', 'thermal_pattern', 'thermal_gain', 'thermal_polarity')


@dataclass(frozen=True)
class FlightConfig:
    """A flight; everything that is drawn at random depends on `seed` alone."""

    seconds: float = option(20.0, 'Length of the flight.', minimum=0.1, maximum=3600, unit='s')
    rate: float = option(10.0, 'Visible images per second.', minimum=0.1, maximum=120, unit='Hz')
    thermal_rate: float = option(
        0.0,
        'Thermal images per second; 0: exposed together with the visible images.',
        minimum=0,
        maximum=120,
        unit='Hz',
    )
    width: int = option(640, 'Width of the visible images.', minimum=32, maximum=8192, unit='px')
    height: int = option(512, 'Height of the visible images.', minimum=32, maximum=8192, unit='px')
    thermal_width: int = option(320, 'Width of the thermal images.', minimum=32, maximum=4096, unit='px')
    thermal_height: int = option(256, 'Height of the thermal images.', minimum=32, maximum=4096, unit='px')
    thermal_depth: int = option(
        16, 'Bits of a thermal pixel: 16 is radiometric (0.01 K), 8 is gain-controlled.', choices=DEPTHS
    )
    time: str = option('day', 'Time of day.', choices=TIMES)
    seed: int = option(0, 'Draws the village, the traffic, the path and all noise.', minimum=0)
    altitude: float = option(30.0, 'Mean height above ground.', minimum=5, maximum=120, unit='m')
    altitude_to: float = option(
        0.0,
        'The drone sinks to `altitude` and rises to this, over what stands there; 0: it keeps its height.',
        minimum=0,
        maximum=120,
        unit='m',
    )
    speed: float = option(5.5, 'Speed over ground; 0 hovers.', minimum=0, maximum=20, unit='m/s')
    baseline: float = option(0.25, 'Distance between the two cameras.', minimum=0, maximum=5, unit='m')
    visible_focal: float = option(
        0.90, 'Focal length of the visible camera, in image widths.', minimum=0.3, maximum=5
    )
    thermal_focal: float = option(
        1.00, 'Focal length of the thermal camera, in image widths.', minimum=0.3, maximum=5
    )
    visible_k1: float = option(-0.020, 'Radial distortion of the visible lens.', minimum=-0.5, maximum=0.5)
    visible_k2: float = option(0.004, 'Its next coefficient.', minimum=-0.5, maximum=0.5)
    thermal_k1: float = option(-0.036, 'Radial distortion of the thermal lens.', minimum=-0.5, maximum=0.5)
    thermal_k2: float = option(0.006, 'Its next coefficient.', minimum=-0.5, maximum=0.5)
    pitch: float = option(
        0.9, 'How far the thermal camera is turned about x.', minimum=-20, maximum=20, unit='degrees'
    )
    yaw: float = option(
        -0.7, 'How far the thermal camera is turned about y.', minimum=-20, maximum=20, unit='degrees'
    )
    roll: float = option(
        1.8, 'How far the thermal camera is turned about z.', minimum=-20, maximum=20, unit='degrees'
    )
    clock: float = option(
        0.0, 'How far the clock of the thermal camera is ahead.', minimum=-10, maximum=10, unit='s'
    )
    drift: float = option(
        0.0, 'How much too fast that clock runs.', minimum=-10_000, maximum=10_000, unit='us/s'
    )
    readout: float = option(
        0.0,
        'Rolling shutter: from the first to the last row of a visible image; stamps are of the middle row.',
        minimum=0,
        maximum=0.2,
        unit='s',
    )
    zoom: str = option(
        '', "Steps of the visible zoom, as SECONDS:FACTOR, such as '5:1.5 12:1'; before them it is 1."
    )
    knock: float = option(
        0.0,
        'By how much a knock turns the thermal camera, as the middle of the deformation moves; 0: none.',
        minimum=0,
        maximum=500,
        unit='px',
    )
    knock_at: float = option(0.0, 'When the knock comes; 0: at half time.', minimum=0, maximum=3600, unit='s')
    thermal_latency: float = option(
        0.0,
        'How late the stamps of thermal images are, as by a driver that stamps on arrival.',
        minimum=-10,
        maximum=10,
        unit='s',
    )
    jitter: float = option(
        0.001, 'Standard deviation of all stamps about the true times.', minimum=0, maximum=0.1, unit='s'
    )
    shutters: int = option(1, 'Calibrations of the thermal camera during the flight.', minimum=0, maximum=100)
    shutter_seconds: float = option(
        1.0, 'How long one calibration takes.', minimum=0.05, maximum=60, unit='s'
    )
    freeze: bool = option(
        False, 'Repeat the last thermal image during a calibration, instead of sending none.'
    )
    jump: bool = option(False, 'Knock the thermal camera out of its mount by some degrees at half time.')
    thermal_blur: float = option(
        0.55, 'Blur of the thermal lens and detector (standard deviation).', minimum=0, maximum=5, unit='px'
    )
    thermal_noise: float = option(
        0.05, 'Noise of a thermal pixel, the NETD of data sheets.', minimum=0, maximum=5, unit='K'
    )
    thermal_pattern: float = option(
        0.22, 'Fixed pattern that grows after a calibration.', minimum=0, maximum=5, unit='K'
    )
    thermal_gain: str = option(
        'linear', 'Gain control of 8-bit images: by the range, or by the histogram.', choices=GAINS
    )
    thermal_polarity: str = option(
        'white_hot', 'Whether warm is bright or dark in 8-bit images.', choices=POLARITIES
    )
    truth_rate: float = option(2.0, 'Ground-truth deformations per second; 0: none.', minimum=0, unit='Hz')

    def __post_init__(self):
        check(self)
        if 0 < self.altitude_to < self.altitude:
            raise ValueError(f"'altitude_to' is {self.altitude_to:g}: must be at least 'altitude'")
        if self.thermal_depth == 16 and (self.thermal_gain, self.thermal_polarity) != (
            GAINS[0],
            POLARITIES[0],
        ):
            raise ValueError(
                "'thermal_gain' and 'thermal_polarity' are of 8-bit images: set 'thermal_depth' 8"
            )
        self.zooms()

    def zooms(self) -> tuple[tuple[float, float], ...]:
        """Return the steps of the zoom as (seconds, factor), in order of time."""
        try:
            steps = [tuple(map(float, step.split(':'))) for step in self.zoom.split()]
            if all(len(step) == 2 and step[0] >= 0 and 0.2 <= step[1] <= 10 for step in steps):
                return tuple(sorted(steps))
        except ValueError:
            pass
        raise ValueError(f"'zoom' is {self.zoom!r}: must be SECONDS:FACTOR (0.2 to 10) with spaces between")
