"""Images that arrive well formed and show nothing: a covered lens, a blinded sensor, a dead one."""

import numpy as np

from irvis_fusion_ros.imaging.percentiles import percentiles

# At most about this many pixels are looked at.
SAMPLES = 10_000
# Percentiles between which an image has to differ: a few dead or hot pixels are no picture.
LOW, HIGH = 1, 99
# Difference of 8-bit values that compression or a dead sensor still makes.
LEAST = 2
# Mean difference of the channels of 8-bit images: of those with colours at least, and without at most. Of 198
# pairs of nine sets, visible images have 4.7 to 27 (the gray ones of tno 0, one of vifb 1.9) and thermal ones
# in three channels 0; palettes have 13 and more.
COLOURED, GRAY = 4.0, 2.0


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


def are_exchanged(thermal: np.ndarray, visible: np.ndarray) -> bool:
    """
    Say whether the thermal image has colours and the visible one has none, as where they are exchanged.

    Each is H x W or H x W x 3. A palette beside a gray camera looks the same.
    """
    return thermal.ndim == 3 and _chroma(thermal) >= COLOURED and _chroma(visible) <= GRAY


def _chroma(image: np.ndarray) -> float:
    """Return the mean difference between the channels of an image, of 255."""
    if image.ndim == 2:
        return 0.0
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / SAMPLES)))
    samples = image[::step, ::step].astype(np.float32)
    return float((samples.max(-1) - samples.min(-1)).mean()) * 255 / np.iinfo(image.dtype).max
