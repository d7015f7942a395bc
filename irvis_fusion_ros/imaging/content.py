"""Images that arrive well formed and show nothing: a covered lens, a blinded sensor, a dead one."""

import numpy as np

from irvis_fusion_ros.imaging.percentiles import percentiles

# At most about this many pixels are looked at.
SAMPLES = 10_000
# Percentiles between which an image has to differ: a few dead or hot pixels are no picture.
LOW, HIGH = 1, 99
# Difference of 8-bit values that compression or a dead sensor still makes.
LEAST = 2


def absent(image: np.ndarray) -> str | None:
    """
    Return why an image shows nothing, None if it shows something.

    image: H x W, or H x W x 3, of integers or floats (only finite values count). 'black': all at the low
    end; 'saturated': all at the high end; 'flat': all the same; 'empty': no finite value. Values of 16 bits
    and more are radiometric and fill little of their range: they are flat if all but equal.
    """
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / SAMPLES)))
    values = image[::step, ::step].ravel()
    if values.dtype.kind == 'f':
        values = values[np.isfinite(values)]
    if values.size == 0:
        return 'empty'
    low, high = percentiles(values, LOW, HIGH)
    if image.dtype == np.uint8:
        least, top = LEAST, 255.0
    else:
        least, top = 1e-6 * max(abs(low), abs(high)), _top(image.dtype)
    if high - low > least:
        return None
    if abs(low) <= least:
        return 'black'
    return 'saturated' if high >= top - least else 'flat'


def _top(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in 'ui' else np.inf
