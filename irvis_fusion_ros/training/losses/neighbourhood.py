"""
Losses of B-SR that align edges of two cameras without a known field (eq. 5 to 7).

The paper searches, for an edge of one image, the nearest edge of the other within a window. Here a mean over
the window replaces it, weighted by nearness and by strength of the edges, because it has a gradient; it is a
quotient of two blurs. Edges are B x 1 x h x w, on cells of 2 x 2 pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.training.losses.basic import in_float32, mean, steepness

# Radius of the window, in cells, and the squared distance at which the weight has fallen to 1 / e.
RADIUS, NEAR = 5, 8.0
# Strength from which an edge is effective, relative to the strongest edge around it; noise floor of that
# strength.
EFFECTIVE, STRONG = 0.25, 0.02
# Radius, in cells, within which the strongest edge is taken.
AROUND = 7
# Distances well below this, in cells, have no direction.
SOFT = 0.1
# Strength that a cell without an edge still has, so that the mean is defined.
FAINT = 1e-4


@in_float32
def edge_strength(image: Tensor, support: Tensor | None = None) -> Tensor:
    """
    Return edges of B x 1 x H x W, sides even: Sobel magnitude relative to the strongest around it, [0, about
    1].

    support: B x 1 x H x W, 1 where the image has content; elsewhere edges are 0. The paper takes the absolute
    magnitude above 1e-4, which is below the noise of any camera.
    """
    magnitude = steepness(image)
    if support is not None:
        magnitude = magnitude * support
    magnitude = F.avg_pool2d(magnitude, 2)
    # no gradient through the reference: weakening the surroundings must not count as strengthening an edge
    strongest = layers.blur(layers.largest(magnitude.detach(), AROUND), AROUND / 2)
    return magnitude / (strongest + STRONG)


@in_float32
def dynamic_alignment(fixed: Tensor, moving: Tensor, aligned: Tensor) -> Tensor:
    """
    Return L_nda, neighbourhood dynamic alignment (eq. 5 and 6), from edges of V, T and the aligned T.

    Where T has an effective edge and V has one in the window, the edge of the aligned T must have the same
    distance (cells) and direction (L1 of unit vectors, weighted by the distance, because an edge at distance
    0 has no direction).
    """
    with torch.no_grad():
        distance, direction = _polar(offsets(fixed))
        effective = (moving > EFFECTIVE) & (layers.largest(fixed, RADIUS) > EFFECTIVE)
    found_distance, found_direction = _polar(offsets(aligned))
    turned = (direction - found_direction).abs().sum(1, keepdim=True)
    return mean((distance - found_distance).abs() + turned * distance, effective.float())


@in_float32
def edge_retention(fixed: Tensor, moving: Tensor, aligned: Tensor) -> Tensor:
    """
    Return L_epr, edge pixel retention, from the same edges as `dynamic_alignment`.

    `| ||E(T) - E(V)|| - ||E(T_a) - E(T)|| |`, the form of the supplement: eq. 7 as printed is unbounded
    below. Roots of means replace the norms, so that the value does not grow with the image.
    """
    before, after = (((a - moving) ** 2).mean((1, 2, 3)) + 1e-8 for a in (fixed, aligned))
    return (before.sqrt() - after.sqrt()).abs().mean()


def offsets(edges: Tensor) -> Tensor:
    """Return the mean offset from each cell to the edges around it, B x 2 x h x w, (dx, dy) in cells."""
    at = torch.arange(-RADIUS, RADIUS + 1, device=edges.device, dtype=edges.dtype)
    near = torch.exp(-(at**2) / NEAR)
    # squared, so that the clear edge of a window outweighs the sum of its texture
    strength = edges**2 + FAINT
    rows = F.conv2d(strength, torch.stack([near, near * at])[:, None, None], padding=(0, RADIUS))
    columns = torch.stack([near, near * at])[:, None, :, None]
    weight_and_y = F.conv2d(rows[:, :1], columns, padding=(RADIUS, 0))
    x = F.conv2d(rows[:, 1:], columns[:1], padding=(RADIUS, 0))
    return torch.cat([x, weight_and_y[:, 1:]], 1) / weight_and_y[:, :1]


def _polar(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return lengths, B x 1 x h x w, and unit vectors, which shrink to 0 where the length is 0."""
    length = ((vectors**2).sum(1, keepdim=True) + SOFT**2).sqrt()
    return length, vectors / length
