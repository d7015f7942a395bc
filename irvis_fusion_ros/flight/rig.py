"""The rig: a visible and a thermal camera side by side on a drone, as badly aligned as a real pair."""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.io.bags import Intrinsics

VISIBLE_FRAME, THERMAL_FRAME = 'visible_optical_frame', 'thermal_optical_frame'
# Focal lengths in image widths: fields of view of 58 and 53 degrees.
VISIBLE_FOCAL, THERMAL_FOCAL = 0.90, 1.00
VISIBLE_DISTORTION = (-0.020, 0.004, 0.0002, -0.0003, 0.0)
THERMAL_DISTORTION = (-0.036, 0.006, -0.0004, 0.0003, 0.0)
# How the thermal camera is turned against the visible one about x, y and z, and how far the knock of
# `jump` turns it further (degrees).
MOUNT = (0.9, -0.7, 1.8)
KNOCK = (-1.1, 1.6, -2.6)


@dataclass(frozen=True)
class Rig:
    """Two cameras, and the pose of the thermal one in the axes of the visible one (before any knock)."""

    visible: Camera
    thermal: Camera
    mount: Pose
    knocked: Pose

    def thermal_pose(self, visible_pose: Pose, knocked: bool = False) -> Pose:
        """Return where the thermal camera is when the visible one is at `visible_pose`."""
        mount = self.knocked if knocked else self.mount
        return Pose(visible_pose.rotation @ mount.rotation, visible_pose.to_world(mount.centre))

    def intrinsics(self) -> tuple[Intrinsics, Intrinsics]:
        """
        Return the calibration of the visible and the thermal camera, as their CameraInfo states it.

        Both are rectified onto the axes of the visible camera, as in a stereo pair: P of the thermal camera
        carries the baseline. The calibration is that of the workshop: a knock is not in it.
        """
        visible_k, thermal_k = self.visible.matrix, self.thermal.matrix
        visible_p = np.hstack([visible_k, np.zeros((3, 1))])
        thermal_p = thermal_k @ np.hstack([np.eye(3), -self.mount.centre[:, None]])
        return (
            Intrinsics(self.visible.size, visible_k, np.array(self.visible.distortion), np.eye(3), visible_p),
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
    mount = Pose(_turned(MOUNT), centre)
    return Rig(
        visible=_camera(visible_size, VISIBLE_FOCAL, VISIBLE_DISTORTION, (0.004, -0.003)),
        thermal=_camera(thermal_size, THERMAL_FOCAL, THERMAL_DISTORTION, (-0.006, 0.008)),
        mount=mount,
        knocked=Pose(_turned(KNOCK) @ mount.rotation, centre),
    )


def _camera(
    size: tuple[int, int], focal: float, distortion: tuple[float, ...], off_centre: tuple[float, float]
) -> Camera:
    width, height = size
    principal = ((width - 1) / 2 + off_centre[0] * width, (height - 1) / 2 + off_centre[1] * height)
    # by the diagonal a portrait or a wide sensor keeps the field of view of the 5:4 one
    across = np.hypot(width, height) / np.hypot(1, 0.8)
    return Camera(size, focal * across, principal, distortion)


def _turned(degrees: tuple[float, float, float]) -> np.ndarray:
    return cv2.Rodrigues(np.deg2rad(np.array(degrees, float)))[0]
