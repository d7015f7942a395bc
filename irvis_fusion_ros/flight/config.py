"""What a synthetic flight is made of: its length, its cameras, its light and the faults of its sensors."""

from dataclasses import dataclass

from irvis_fusion_ros.config import check, option

TIMES = ('day', 'dusk', 'night')
DEPTHS = (8, 16)
# Stamps of a flight count from here, so that a flight is the same file whenever it is made.
EPOCH = 1_767_225_600_000_000_000


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
    altitude: float = option(30.0, 'Mean height above ground.', minimum=15, maximum=120, unit='m')
    baseline: float = option(0.25, 'Distance between the two cameras.', minimum=0, maximum=5, unit='m')
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
    truth_rate: float = option(2.0, 'Ground-truth deformations per second; 0: none.', minimum=0, unit='Hz')

    def __post_init__(self):
        check(self)
