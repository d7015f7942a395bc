"""The world: contrasts of the two cameras are those of nature, not copies of one another."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.flight import light, village, world
from irvis_fusion_ros.flight.materials import MATERIALS
from irvis_fusion_ros.flight.terrain import Map


@pytest.fixture(scope='module')
def worlds(fly):
    return {time: fly(time=time).world for time in ('day', 'night')}


def around(of_day, layer, point, metres=2.0):
    """Mean of the ground near a point: 'colour' (brightness) or 'warmth'."""
    grid = of_day.grid if layer == 'colour' else Map(of_day.grid.texel * 2)
    x, y = grid.pixels(np.array(point)).round().astype(int)
    reach = max(1, round(metres / 2 / grid.texel))
    part = getattr(of_day, layer)[0][y - reach : y + reach + 1, x - reach : x + reach + 1]
    return part[..., :3].mean() if layer == 'colour' else part.mean()


def test_water_is_the_coolest_ground_by_day_and_the_warmest_by_night(worlds):
    pond, court = village.POND[0], village.COURT[0]
    assert around(worlds['day'], 'warmth', pond) < around(worlds['day'], 'warmth', court) - 5
    assert around(worlds['night'], 'warmth', pond) > around(worlds['night'], 'warmth', court) + 3
    assert around(worlds['day'], 'colour', pond) < around(worlds['day'], 'colour', court)


def test_white_paint_is_bright_and_cool_in_the_sun(worlds):
    of_day = worlds['day']
    bay = village.parking_bays()[20][0]
    line = (bay[0] + 1.3, bay[1])
    assert around(of_day, 'colour', line, 0.3) > around(of_day, 'colour', bay, 0.3) + 20
    assert around(of_day, 'warmth', line, 0.3) < around(of_day, 'warmth', bay, 0.3) - 0.5


def test_shadows_are_dark_and_cool_but_softer_in_the_infrared(worlds):
    of_day = worlds['day']
    centre, half, heading = village.MARKET
    behind = village.place(centre, heading, 0, half[1] + 1.2)
    lit = village.place(centre, heading, 0, -half[1] - 1.2)
    sun = light.of('day').sun
    shaded, bright = (behind, lit) if sun[1] < 0 else (lit, behind)
    assert around(of_day, 'colour', shaded) < 0.75 * around(of_day, 'colour', bright)
    assert around(of_day, 'warmth', shaded) < around(of_day, 'warmth', bright) - 4


def test_lamps_light_the_ground_by_night_only(worlds):
    lamp = worlds['night'].lamps[3]
    dark = (-95.0, -95.0)
    assert around(worlds['night'], 'colour', lamp) > 2 * around(worlds['night'], 'colour', dark)
    assert not worlds['day'].lamp_light(worlds['day'].lamps).any()
    assert worlds['night'].lamp_light(worlds['night'].lamps[3:4]).min() > 0.3


def test_people_stand_out_by_night():
    for warm in ('skin', 'cloth'):
        for ground in ('asphalt', 'meadow', 'pavement', 'gravel'):
            assert MATERIALS[warm].night[0] > MATERIALS[ground].night[0] + 5
    # by day the road in the sun is warmer than they are
    assert MATERIALS['cloth'].day[0] < sum(MATERIALS['asphalt'].day)


def test_it_is_the_same_village_at_every_hour(worlds):
    day, night = worlds['day'], worlds['night']
    np.testing.assert_array_equal(day.fixed.corners, night.fixed.corners)
    np.testing.assert_array_equal(day.traffic.at(3.3).corners, night.traffic.at(3.3).corners)
    brightness = [cv2.resize(w.colour[0][..., :3].mean(2), (300, 300)).ravel() for w in (day, night)]
    assert brightness[0].mean() > 2 * brightness[1].mean()


def test_another_seed_is_another_village():
    plans = [village.plan(seed) for seed in (0, 0, 1)]
    places = [[h.at for h in plan.houses] for plan in plans]
    assert places[0] == places[1] != places[2]


@pytest.mark.parametrize('seed', range(5))
def test_houses_stand_beside_roads_and_apart(seed):
    plan = village.plan(seed)
    assert len(plan.houses) >= 12
    assert len(plan.trees) > 80
    for house in plan.houses:
        corners = village.rectangle(house.at, (house.size[0] / 2, house.size[1] / 2), house.heading)
        assert min(village.distance_to_roads(plan, tuple(c)) for c in corners) > 1.5
        for spot in (village.MARKET, village.LOT, village.FLATS, village.COURT, village.POND, village.BARN):
            assert not any(village.reach(spot, tuple(c)) for c in corners)
    centres = np.array([h.at for h in plan.houses])
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 100 * np.eye(len(centres))
    assert gaps.min() > 13


def test_a_stored_world_is_the_same(worlds, tmp_path):
    worlds['day'].save(tmp_path)
    again = world.World.load(tmp_path)
    for level, other in zip(worlds['day'].colour, again.colour, strict=True):
        np.testing.assert_array_equal(level, other)
    np.testing.assert_array_equal(worlds['day'].fixed_light, again.fixed_light)
    np.testing.assert_array_equal(worlds['day'].traffic.at(2).corners, again.traffic.at(2).corners)
