"""Small flights; those over the same village at the same hour share it, for it takes seconds to build."""

import pytest

from irvis_fusion_ros.flight import Flight, FlightConfig

# odd, and of different aspects
SMALL = {'width': 161, 'height': 129, 'thermal_width': 100, 'thermal_height': 81}


@pytest.fixture(scope='session')
def small():
    """Return the options of a flight that renders fast."""
    return SMALL


@pytest.fixture(scope='session')
def fly(small):
    """Return a function that makes a small flight, with further options."""
    worlds = {}

    def make(**options):
        flight = Flight(FlightConfig(**{**small, **options}))
        key = flight.config.seed, flight.config.time, flight.config.width
        if key in worlds:
            flight.world = worlds[key]
        worlds[key] = flight.world
        return flight

    return make


@pytest.fixture(scope='session')
def flight(fly):
    return fly(seconds=4, rate=5, shutters=0)
