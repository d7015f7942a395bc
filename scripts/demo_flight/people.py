"""
Draw people of a flight as the cameras see them, and fused without and with `targets`.

    irvis make_flight day --altitude 14 --seconds 12
    irvis make_flight night --altitude 14 --seconds 12 --time night
    .venv/bin/python scripts/demo_flight/people.py day night docs/images/people.jpg
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pictures

from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros import topics

# Width and height of what is shown of a frame, pixels, and by how much it is enlarged.
CUT = (200, 130)
ENLARGED = 1.5
# Frames of a flight that are looked at.
FRAMES = 12
QUALITY = 85


def main() -> int:
    """Draw a row for each flight; the last argument is the target."""
    *flights, target = map(Path, sys.argv[1:])
    if not flights:
        print(__doc__, file=sys.stderr)
        return 2
    sheet = cv2.resize(np.vstack([row(flight) for flight in flights]), None, fx=ENLARGED, fy=ENLARGED)
    cv2.imwrite(str(target), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return 0


def row(flight: Path) -> np.ndarray:
    """Return the place of a flight where `targets` changes most: visible, thermal, fused without and with."""
    stamps, thermals = pictures.thermal_images(flight)
    with BagReader(flight) as bag:
        visibles = list(bag.images(topics.image_of('visible')))
    fuse = {kind: Predictor('swift_lite', 'cpu', temporal=False, targets=kind) for kind in ('off', 'warm')}
    best, shown = -1.0, None
    for each in visibles[:: max(1, len(visibles) // FRAMES)]:
        thermal = thermals[np.abs(stamps - each.stamp).argmin()]
        results = {kind: predictor(thermal, each.image) for kind, predictor in fuse.items()}
        without, with_targets = (results[kind].fused for kind in ('off', 'warm'))
        change = cv2.boxFilter(cv2.absdiff(without, with_targets).max(2).astype(np.float32), -1, CUT)
        left, top = CUT[0] // 2, CUT[1] // 2
        inner = change[top : change.shape[0] - top, left : change.shape[1] - left]
        y, x = np.unravel_index(inner.argmax(), inner.shape)
        if inner[y, x] > best:
            best = float(inner[y, x])
            gray = color.to_byte(color.gray(results['warm'].registered, 'bgr') / np.float32(255))
            images = each.image, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), without, with_targets
            shown = np.hstack([image[y : y + CUT[1], x : x + CUT[0]] for image in images])
    return shown


if __name__ == '__main__':
    sys.exit(main())
