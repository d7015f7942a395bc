"""
Draw people of a flight as the cameras see them, and fused without and with `targets`.

Each flight is named with the number of a visible image and the left and upper end of what is shown of it:

    irvis make_flight day --altitude 14 --seconds 6 --rate 5
    irvis make_flight night --altitude 14 --seconds 6 --rate 5 --time night
    .venv/bin/python scripts/demo_flight/people.py day:14:20:100 night:14:20:100 docs/images/people.jpg
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

# Width and height of what is shown, pixels, and by how much it is enlarged.
CUT = (250, 160)
ENLARGED = 1.2
QUALITY = 85


def main() -> int:
    """Draw a row for each flight; the last argument is the target."""
    *places, target = sys.argv[1:]
    if not places:
        print(__doc__, file=sys.stderr)
        return 2
    sheet = np.vstack([row(place) for place in places])
    sheet = cv2.resize(sheet, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(target, sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return 0


def row(place: str) -> np.ndarray:
    """Return a place of a flight: visible, thermal, fused without and with `targets`."""
    flight, *numbers = place.rsplit(':', 3)
    number, x, y = map(int, numbers)
    stamps, thermals = pictures.thermal_images(Path(flight))
    with BagReader(Path(flight)) as bag:
        visible = list(bag.images(topics.image_of('visible')))[number]
    thermal = thermals[np.abs(stamps - visible.stamp).argmin()]
    without, shown = (
        Predictor('swift_lite', 'cpu', temporal=False, targets=kind)(thermal, visible.image)
        for kind in ('off', 'warm')
    )
    registered = cv2.cvtColor(color.gray(shown.registered, 'bgr'), cv2.COLOR_GRAY2BGR)
    images = visible.image, registered, without.fused, shown.fused
    return np.hstack([image[y : y + CUT[1], x : x + CUT[0]] for image in images])


if __name__ == '__main__':
    sys.exit(main())
