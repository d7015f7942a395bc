"""
Draw the picture of the README from the results of two demos.

    scripts/demo --out demo_out/day
    scripts/demo --out demo_out/night --flight --time night
    .venv/bin/python scripts/demo_flight/readme.py demo_out/day demo_out/night docs/images/flight.jpg
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pictures

WIDTH = 1200
QUALITY = 85


def main() -> int:
    """Draw a row for each demo; the last argument is the target."""
    *demos, target = map(Path, sys.argv[1:])
    if not demos:
        print(__doc__, file=sys.stderr)
        return 2
    rows = [_row(demo) for demo in demos]
    sheet = np.vstack(rows)
    height = round(sheet.shape[0] * WIDTH / sheet.shape[1])
    sheet = cv2.resize(sheet, (WIDTH, height), interpolation=cv2.INTER_AREA)
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return 0


def _row(demo: Path) -> np.ndarray:
    moments = [m for m in pictures.shown(demo / 'flight', demo / 'outputs', demo.name) if m.field is not None]
    moment = moments[len(moments) // 3]
    return np.hstack([moment.visible, moment.thermal, moment.overlay, moment.fused])


if __name__ == '__main__':
    sys.exit(main())
