"""The rig: a visible and a thermal camera side by side on a drone, as badly aligned as a real pair."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.io.bags import Intrinsics

VISIBLE_FRAME, THERMAL_FRAME = 'visible_optical_frame', 'thermal_optical_frame'
# How a lens is mounted: tangential distortion, and the principal point off the middle in image widths.
VISIBLE_MOUNT = (0.0002, -0.0003), (0.004, -0.003)
THERMAL_MOUNT = (-0.0004, 0.0003), (-0.006, 0.008)
# How far the knock of `jump` turns the thermal camera about x, y and z (degrees), and about what axis that
# of `knock` does.
KNOCK = (-1.1, 1.6, -2.6)
KNOCK_AXIS = (-0.6, 0.8, 0.0)


@dataclass(frozen=True)
class Rig:
    """
    Two cameras, and the pose of the thermal one in the axes of the visible one, before and after the knock.

    zooms: the steps of the visible zoom, as (seconds, factor of the focal length) in order of time.
    """

    visible: Camera
    thermal: Camera
    mount: Pose
    knocked: Pose
    zooms: tuple[tuple[float, float], ...] = ()

    def visible_at(self, seconds: float) -> Camera:
        """Return the visible camera as it is zoomed at a time."""
        factor = next((factor for start, factor in reversed(self.zooms) if start <= seconds), 1.0)
        return self.visible if factor == 1 else replace(self.visible, focal=factor * self.visible.focal)

    def thermal_pose(self, visible_pose: Pose, knocked: bool = False) -> Pose:
        """Return where the thermal camera is when the visible one is at `visible_pose`."""
        mount = self.knocked if knocked else self.mount
        return Pose(visible_pose.rotation @ mount.rotation, visible_pose.to_world(mount.centre))

    def intrinsics(self, seconds: float = 0.0) -> tuple[Intrinsics, Intrinsics]:
        """
        Return the calibration of the visible and the thermal camera, as their CameraInfo states it at a time.

        Both are rectified onto the axes of the visible camera, as in a stereo pair: P of the thermal camera
        carries the baseline. The calibration is that of the workshop: a knock is not in it, but the zoom is.
        """
        visible = self.visible_at(seconds)
        visible_k, thermal_k = visible.matrix, self.thermal.matrix
        visible_p = np.hstack([visible_k, np.zeros((3, 1))])
        thermal_p = thermal_k @ np.hstack([np.eye(3), -self.mount.centre[:, None]])
        return (
            Intrinsics(visible.size, visible_k, np.array(visible.distortion), np.eye(3), visible_p),
            Intrinsics(
                self.thermal.size,
                thermal_k,
                np.array(self.thermal.distortion),
                self.mount.rotation,
                thermal_p,
            ),
        )


def build(config: FlightConfig) -> Rig:
    """Build the rig of a flight."""
    visible_size = (config.width, config.height)
    thermal_size = (config.thermal_width, config.thermal_height)
    centre = np.array([config.baseline, 0.12 * config.baseline, 0.0])
    mount = Pose(_turned((config.pitch, config.yaw, config.roll)), centre)
    visible = _camera(
        visible_size, config.visible_focal, (config.visible_k1, config.visible_k2), *VISIBLE_MOUNT
    )
    thermal = _camera(
        thermal_size, config.thermal_focal, (config.thermal_k1, config.thermal_k2), *THERMAL_MOUNT
    )
    knock = np.array(KNOCK)
    if config.knock:
        knock = np.rad2deg(
            np.arctan(config.knock / config.width * config.thermal_width / thermal.focal)
        ) * np.array(KNOCK_AXIS)
    return Rig(
        visible=visible,
        thermal=thermal,
        mount=mount,
        knocked=Pose(_turned(knock) @ mount.rotation, centre),
        zooms=config.zooms(),
    )


def _camera(
    size: tuple[int, int],
    focal: float,
    radial: tuple[float, float],
    tangential: tuple[float, float],
    off_centre: tuple[float, float],
) -> Camera:
    width, height = size
    principal = ((width - 1) / 2 + off_centre[0] * width, (height - 1) / 2 + off_centre[1] * height)
    # by the diagonal a portrait or a wide sensor keeps the field of view of the 5:4 one
    across = np.hypot(width, height) / np.hypot(1, 0.8)
    return Camera(size, focal * across, principal, (*radial, *tangential, 0.0))


def _turned(degrees) -> np.ndarray:
    return cv2.Rodrigues(np.deg2rad(np.array(degrees, float)))[0]
