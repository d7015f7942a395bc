"""Pictures that show how well a thermal image lies on a visible one."""

import base64

import cv2
import numpy as np

from irvis_fusion_ros.geometry import warp

# Wide enough to see a pixel, small enough that a report with a dozen of them can be sent by mail.
LARGEST = 720
QUALITY = 82
# BGR of the outlines of the thermal image, and how many of its pixels are outline.
OUTLINE, SHARE = (30, 110, 255), 0.06


def outlined(thermal: np.ndarray, visible: np.ndarray, deformation: np.ndarray) -> np.ndarray:
    """
    Return the visible image, gray, with the outlines of the thermal image on it, H x W x 3 uint8 BGR.

    thermal, visible: H x W uint8. deformation: on the visible grid (geometry/warp.py).
    """
    registered = warp.sample(thermal, warp.sampling_map(deformation, thermal.shape)).astype(np.float32)
    inside = warp.inside(warp.sampling_map(deformation, thermal.shape), thermal.shape)
    smooth = cv2.GaussianBlur(registered, (0, 0), 1.2)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # against the contrast around: a vehicle in the sun would otherwise take all outlines
    slope /= cv2.GaussianBlur(slope, (0, 0), 0.03 * max(visible.shape)) + 2.0
    # what is sampled beyond the edge of the thermal image is made up
    slope[cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) == 0] = 0
    strong = slope > max(float(np.quantile(slope, 1 - SHARE)), 1e-6)
    picture = cv2.cvtColor((0.75 * visible).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    picture[strong] = OUTLINE
    return picture


def data_uri(picture: np.ndarray) -> str:
    """Return a picture, H x W x 3 uint8 BGR, as the address of an image that needs no other file."""
    scale = min(1.0, LARGEST / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return 'data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode()
