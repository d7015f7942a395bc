"""Traffic: vehicles keep apart, people walk."""

import numpy as np

from irvis_fusion_ros.flight import traffic, village
from irvis_fusion_ros.flight.traffic import Route


def test_a_route_is_followed_at_its_speed_and_comes_back():
    line = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    there = Route(line, 2.0, 0.0, returning=True)
    np.testing.assert_allclose(there.at(2.0)[:3], (4, 0, 0), atol=1e-9)
    np.testing.assert_allclose(there.at(7.5)[:3], (10, 5, np.pi / 2), atol=1e-9)
    np.testing.assert_allclose(there.at(12.5)[:2], (10, 5), atol=1e-9)
    assert np.cos(there.at(12.5)[2] + np.pi / 2) > 0.999
    anew = Route(line, 2.0, 0.0, returning=False)
    np.testing.assert_allclose(anew.at(11.0)[:2], (2, 0), atol=1e-9)


def test_many_times_at_once_are_each_time_by_itself():
    route = Route(np.array([[0.0, 0.0], [30.0, 5.0]]), 3.0, 2.0, returning=True)
    times = np.linspace(0, 30, 7)
    np.testing.assert_allclose(route.at(times), [route.at(t) for t in times])


def test_vehicles_never_touch():
    plan = village.plan(0)
    routes = traffic.drives(plan, 14, np.random.default_rng(0))
    assert len(routes) > 8
    tracks = np.array([r.at(np.arange(0, 60, 0.1))[:, :2] for r in routes])
    for one in range(len(routes)):
        for other in range(one):
            assert np.linalg.norm(tracks[one] - tracks[other], axis=1).min() > 4


def test_vehicles_keep_to_the_right_half_of_the_road():
    plan = village.plan(0)
    for route in traffic.drives(plan, 10, np.random.default_rng(0)):
        x, y, heading, _ = route.at(3.0)
        road = min(plan.roads, key=lambda r: np.linalg.norm(r.line - (x, y), axis=1).min())
        nearest = road.line[np.linalg.norm(road.line - (x, y), axis=1).argmin()]
        left_of_vehicle = np.array([-np.sin(heading), np.cos(heading)])
        assert (nearest - (x, y)) @ left_of_vehicle > 0.5


def test_legs_swing_while_feet_stay_on_the_ground(flight):
    moving = flight.world.traffic
    for seconds in (0.0, 0.4, 1.3):
        solids = moving.at(seconds)
        legs = solids.part >= moving.vehicles
        heights = solids.corners[legs][..., 2]
        assert abs(heights.min()) < 1e-9
    linear = np.array([moving.places(t)[0] for t in np.linspace(0, 2, 9)])
    swing = linear[:, moving.vehicles + 1] - linear[:, moving.vehicles]
    assert np.ptp(np.linalg.norm(swing, axis=(1, 2))) > 0.2
