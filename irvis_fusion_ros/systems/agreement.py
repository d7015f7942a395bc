"""How well a pair agrees as it was recorded, for systems that fuse it without registering it."""

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.flow import EVEN, structure_maps
from irvis_fusion_ros.systems.tracking import belief_in

# Pixels of the images that are compared: those that EVEN was measured at.
PIXELS = 81920


@torch.inference_mode()
def as_recorded(thermal: np.ndarray, visible: np.ndarray, device: str) -> Alignment:
    """
    Return the alignment that moves nothing, with how far the pair can be taken to be aligned.

    thermal, visible: as `systems.base.System.register` takes them. The confidence, [0, 1], is how likely both
    images lie on each other, by the correlation of their structure maps over the whole frame. For pairs of
    five data sets its median is 0.99 or more as they are, 0.3 to 0.99 where the thermal image is displaced by
    10 pixels, and 0.1 to 0.7 by 20 pixels. Where both have little structure in common it is low, whether they
    are aligned or not. The trust is the confidence times how far the edges of a place stay where they are
    when they are followed from one image to the other and back (matching.Agreement): no place is believed in
    a frame that is not.
    """
    grid = WorkingGrid(visible.shape, PIXELS)
    drawn = grid.visible(visible), grid.thermal(thermal, np.eye(3))
    maps = [structure_maps(layers.tensor_of(image, device)) for image in drawn]
    affine = maps[0][0].new_zeros(1, 2, 3)
    height, width = maps[0][-1].shape[-2:]
    found = matching.agreement(*maps, affine, affine.new_zeros(1, height, width, 2))
    confidence = belief_in(float(found.correlation), EVEN)
    trust = np.float32(confidence) * found.trust[0].cpu().numpy()
    return Alignment(np.eye(3), confidence, 'identity', trust=trust)
