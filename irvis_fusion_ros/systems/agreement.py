"""Agreement of a pair as it was recorded, for systems that fuse it without registration."""

from dataclasses import replace

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment, identity
from irvis_fusion_ros.classical import evidence
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.flow import structure_maps

# Pixels at which the images are compared.
PIXELS = 81920


@torch.inference_mode()
def as_recorded(thermal: np.ndarray, visible: np.ndarray, device: str) -> Alignment:
    """
    Return identity, with a confidence that the pair is aligned.

    thermal, visible: as `systems.base.System.register` takes them. The confidence, [0, 1], is that of any
    alignment (classical/evidence.py). The trust is the confidence times the forward-backward consistency of
    each place (matching.Agreement), so that no place is trusted in a frame that is not aligned.
    """
    grid = WorkingGrid(visible.shape, PIXELS)
    images = grid.visible(visible), grid.thermal(thermal, np.eye(3))
    maps = [structure_maps(layers.tensor_of(image, device)) for image in images]
    affine = maps[0][0].new_zeros(1, 2, 3)
    height, width = maps[0][-1].shape[-2:]
    found = matching.agreement(*maps, affine, affine.new_zeros(1, height, width, 2))
    as_it_is = identity()
    confidence = evidence.confidence_of(thermal, visible, as_it_is)
    trust = np.float32(confidence) * found.trust[0].cpu().numpy()
    return replace(as_it_is, confidence=confidence, trust=trust)
