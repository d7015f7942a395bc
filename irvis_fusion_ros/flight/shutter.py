"""
What a camera sees at what time: all of an image at once, or band by band with a rolling shutter.

A band is so low that the scene moves by a fraction of a pixel from one to the next; pictures and truth are
made of the same bands, so that the truth is exact.
"""

from dataclasses import dataclass, replace

from irvis_fusion_ros.flight.camera import Camera, Pose

# Rows of a band: even, because a renderer casts three rays over two of them (render.SAMPLES).
BAND = 16


@dataclass(frozen=True)
class View:
    """A camera, where it is, and when (seconds of flight)."""

    camera: Camera
    pose: Pose
    seconds: float


def bands(camera: Camera) -> list[tuple[Camera, float]]:
    """Return the camera cut into bands from the top, and where the middle of each lies, -0.5 to 0.5."""
    width, height = camera.size
    cx, cy = camera.principal
    cut = []
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        if cut and rows < BAND // 2:
            # a low rest belongs to the band above it
            cut.pop()
            top, rows = top - BAND, rows + BAND
        part = replace(camera, size=(width, rows), principal=(cx, cy - top))
        cut.append((part, (top + (rows - 1) / 2) / max(height - 1, 1) - 0.5))
    return cut
