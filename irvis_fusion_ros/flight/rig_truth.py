"""The numbers of a rig as a JSON file beside a flight: what a calibration of the rig has to find."""

from typing import Any

import numpy as np

from irvis_fusion_ros.flight.flight import Flight

NAME = 'rig.json'


def describe(flight: Flight) -> dict[str, Any]:
    """
    Return the true rig of a flight.

    clock, drift: stamps of thermal images are late by clock + drift t seconds (thermal_latency included).
    readout: seconds from the first to the last row of a visible image, whose stamp is that of its middle.
    before and after (the knock, `knock_at` seconds of flight; None without one) each hold the rotation
    (3 x 3) and the centre (m) of the thermal camera in the axes of the visible one, and between the pixels
    of pinhole cameras without distortion `at_infinity`, the 3 x 3 from thermal to visible pixels of what is
    far away, and `epipole`, the 3 numbers that are added to it for each 1/m of inverse distance:
    `p_visible ~ at_infinity p_thermal + epipole / z`, z being the depth in the thermal camera where p_thermal
    is (x, y, 1). zooms: (seconds, factor of visible_k's focal length) in order of time.
    """
    config, rig = flight.config, flight.rig
    seconds = flight.schedule.knock
    knocked = bool(config.jump or config.knock)
    return {
        'clock': config.clock + config.thermal_latency,
        'drift': 1e-6 * config.drift,
        'readout': config.readout,
        'visible_size': list(rig.visible.size),
        'thermal_size': list(rig.thermal.size),
        'visible_k': rig.visible.matrix.tolist(),
        'thermal_k': rig.thermal.matrix.tolist(),
        'visible_distortion': list(rig.visible.distortion),
        'thermal_distortion': list(rig.thermal.distortion),
        'zooms': [list(step) for step in rig.zooms],
        'knock_at': seconds if knocked else None,
        'before': _between(rig, rig.mount),
        'after': _between(rig, rig.knocked) if knocked else None,
    }


def _between(rig, mount) -> dict[str, Any]:
    at_infinity = rig.visible.matrix @ mount.rotation @ np.linalg.inv(rig.thermal.matrix)
    return {
        'rotation': mount.rotation.tolist(),
        'centre': mount.centre.tolist(),
        'at_infinity': at_infinity.tolist(),
        'epipole': (rig.visible.matrix @ mount.centre).tolist(),
    }
