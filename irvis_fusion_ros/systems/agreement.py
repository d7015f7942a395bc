"""Agreement of a pair as it was recorded, for systems that fuse it without registration."""

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.flow import EVEN, structure_maps
from irvis_fusion_ros.systems.tracking import confidence_of

# Pixels at which the images are compared; EVEN was measured at the same number.
PIXELS = 81920


@torch.inference_mode()
def as_recorded(thermal: np.ndarray, visible: np.ndarray, device: str) -> Alignment:
    """
    Return identity, with a confidence that the pair is aligned.

    thermal, visible: as `systems.base.System.register` takes them. The confidence, [0, 1], is the probability
    that both images are aligned, from the correlation of their structure maps over the whole frame. For pairs
    of five data sets its median is 0.99 or more as they are, 0.3 to 0.99 where the thermal image is displaced
    by 10 pixels, and 0.1 to 0.7 by 20 pixels. It is low where the images have little structure in common,
    whether they are aligned or not. The trust is the confidence times the forward-backward consistency of
    each place (matching.Agreement), so that no place is trusted in a frame that is not.
    """
    grid = WorkingGrid(visible.shape, PIXELS)
    images = grid.visible(visible), grid.thermal(thermal, np.eye(3))
    maps = [structure_maps(layers.tensor_of(image, device)) for image in images]
    affine = maps[0][0].new_zeros(1, 2, 3)
    height, width = maps[0][-1].shape[-2:]
    found = matching.agreement(*maps, affine, affine.new_zeros(1, height, width, 2))
    confidence = confidence_of(float(found.correlation), EVEN)
    trust = np.float32(confidence) * found.trust[0].cpu().numpy()
    return Alignment(np.eye(3), confidence, 'identity', trust=trust)
