"""When the cameras of a flight expose, what they stamp, and which thermal images are missing."""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.flight.config import EPOCH, FlightConfig

# From exposure to the recorder, beyond what the stamp already includes.
TRANSPORT_SECONDS = 0.006
# A calibration begins this far into its share of the flight.
SHUTTER_PLACE = 0.6


@dataclass(frozen=True)
class Exposure:
    """
    One image: of which camera, when it was truly taken (seconds of flight), and its two times in nanoseconds.

    since_shutter: seconds since the last calibration ended (thermal). repeats: index of the exposure whose
    image is sent again because the shutter is closed, or None.
    """

    camera: str
    index: int
    seconds: float
    stamp: int
    recorded: int
    since_shutter: float = 0.0
    repeats: int | None = None


@dataclass(frozen=True)
class Schedule:
    """
    All exposures of a flight. partners: for each visible exposure the thermal one taken nearest to it.

    A visible image has no partner where the thermal camera was calibrating (or has not begun).
    """

    visible: tuple[Exposure, ...]
    thermal: tuple[Exposure, ...]
    partners: tuple[Exposure | None, ...]
    truths: frozenset[int]
    knock: float

    def recorded(self) -> list[Exposure]:
        """Return every exposure in the order in which a recorder sees them."""
        return sorted((*self.visible, *self.thermal), key=lambda e: (e.recorded, e.camera))


def plan(config: FlightConfig) -> Schedule:
    """Plan the exposures of a flight."""
    rng = np.random.default_rng([config.seed, 2])
    free_running = config.thermal_rate > 0
    thermal_rate = config.thermal_rate or config.rate
    times = np.arange(0, config.seconds - 1e-9, 1 / config.rate)
    phase = rng.uniform(0, 1 / thermal_rate) if free_running else 0.0
    thermal_times = np.arange(phase, config.seconds - 1e-9, 1 / thermal_rate)
    gaps = _gaps(config)

    visible = tuple(
        Exposure('visible', i, float(t), *_times(config, t, config.rate, rng)) for i, t in enumerate(times)
    )
    thermal: list[Exposure] = []
    for t in thermal_times:
        ahead = config.clock + 1e-6 * config.drift * t
        stamp, recorded = _times(config, t, thermal_rate, rng, config.thermal_latency, ahead)
        closed = any(start <= t < stop for start, stop in gaps)
        opened = max((stop for _, stop in gaps if stop <= t), default=0.0)
        if not closed:
            thermal.append(Exposure('thermal', len(thermal), float(t), stamp, recorded, float(t - opened)))
        elif config.freeze and thermal:
            last = thermal[-1]
            source = last.index if last.repeats is None else last.repeats
            thermal.append(
                Exposure('thermal', len(thermal), float(t), stamp, recorded, last.since_shutter, source)
            )
    partners = tuple(_nearest(e, thermal, 0.5 / thermal_rate) for e in visible)
    knock = config.knock_at or config.seconds / 2
    return Schedule(visible, tuple(thermal), partners, _truths(config, visible), knock)


def _gaps(config: FlightConfig) -> list[tuple[float, float]]:
    share = config.seconds / max(config.shutters, 1)
    starts = [(i + SHUTTER_PLACE) * share for i in range(config.shutters)]
    return [(start, start + config.shutter_seconds) for start in starts]


def _times(
    config: FlightConfig,
    seconds: float,
    rate: float,
    rng: np.random.Generator,
    latency: float = 0.0,
    ahead: float = 0.0,
) -> tuple[int, int]:
    # bounded, so that stamps of one camera never change their order
    jitter = np.clip(config.jitter * rng.standard_normal(), -0.4 / rate, 0.4 / rate)
    arrival = seconds + max(latency, 0.0) + abs(jitter) + TRANSPORT_SECONDS
    stamp = seconds + latency + jitter + ahead
    return EPOCH + round(stamp * 1e9), EPOCH + round(arrival * 1e9)


def _nearest(visible: Exposure, thermal: list[Exposure], reach: float) -> Exposure | None:
    real = [e for e in thermal if e.repeats is None and abs(e.seconds - visible.seconds) <= reach + 1e-9]
    return min(real, key=lambda e: abs(e.seconds - visible.seconds), default=None)


def _truths(config: FlightConfig, visible: tuple[Exposure, ...]) -> frozenset[int]:
    if config.truth_rate == 0:
        return frozenset()
    ticks = [int(e.seconds * config.truth_rate + 1e-6) for e in visible]
    return frozenset(i for i, tick in enumerate(ticks) if i == 0 or tick > ticks[i - 1])
