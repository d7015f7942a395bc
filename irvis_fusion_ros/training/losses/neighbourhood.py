"""
Losses of B-SR that bring edges of two cameras together without a known field (eq. 5 to 7).

The paper finds, for an edge of one image, the nearest edge of the other within a window. Here that is the
mean of the window, weighed by nearness and by strength of edge, which has a gradient; it is a quotient of
two blurs. Edges are B x 1 x h x w, on cells of 2 x 2 pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.training.losses.basic import in_float32, mean, steepness

# The window, in cells, and the squared length at which nearness has fallen to 1 / e.
RADIUS, NEAR = 5, 8.0
# Edges, relative to the strongest around them, that are effective, and what is strong anywhere.
EFFECTIVE, STRONG = 0.25, 0.02
# Cells in which an edge is compared with the strongest.
AROUND = 7
# Distances well below this, in cells, have no direction.
SOFT = 0.1
# Share of an edge that is felt where there is none.
FAINT = 1e-4


@in_float32
def edge_strength(image: Tensor, support: Tensor | None = None) -> Tensor:
    """
    Return edges of B x 1 x H x W, sides even: Sobel magnitude over the strongest around it, [0, about 1].

    support: B x 1 x H x W, 1 where the image shows something; elsewhere there are no edges. The paper takes
    the magnitude itself, above 1e-4: that is noise of any camera.
    """
    magnitude = steepness(image)
    if support is not None:
        magnitude = magnitude * support
    magnitude = F.avg_pool2d(magnitude, 2)
    # what an edge is compared with is no way to make it stronger
    strongest = layers.blur(layers.largest(magnitude.detach(), AROUND), AROUND / 2)
    return magnitude / (strongest + STRONG)


@in_float32
def dynamic_alignment(fixed: Tensor, moving: Tensor, aligned: Tensor) -> Tensor:
    """
    Return L_nda, neighbourhood dynamic alignment (eq. 5 and 6), from edges of V, T and the aligned T.

    Where T has an effective edge and V has one in the window, the aligned T must have its own as far away
    (cells) and in the same direction (L1 of unit vectors, weighed by the distance: an edge that is there
    already has no direction).
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

    `| ||E(T) - E(V)|| - ||E(T_a) - E(T)|| |`, the form of the supplement: eq. 7 as printed falls below 0
    without end. Roots of means stand for the norms, so that the value does not grow with the image.
    """
    before, after = (((a - moving) ** 2).mean((1, 2, 3)) + 1e-8 for a in (fixed, aligned))
    return (before.sqrt() - after.sqrt()).abs().mean()


def offsets(edges: Tensor) -> Tensor:
    """Return where the edges around each cell are, on the mean, B x 2 x h x w, (dx, dy) in cells."""
    at = torch.arange(-RADIUS, RADIUS + 1, device=edges.device, dtype=edges.dtype)
    near = torch.exp(-(at**2) / NEAR)
    # squared: the clear edge of a window, not the sum of its texture
    strength = edges**2 + FAINT
    rows = F.conv2d(strength, torch.stack([near, near * at])[:, None, None], padding=(0, RADIUS))
    columns = torch.stack([near, near * at])[:, None, :, None]
    weight_and_y = F.conv2d(rows[:, :1], columns, padding=(RADIUS, 0))
    x = F.conv2d(rows[:, 1:], columns[:1], padding=(RADIUS, 0))
    return torch.cat([x, weight_and_y[:, 1:]], 1) / weight_and_y[:, :1]


def _polar(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths, B x 1 x h x w, and unit vectors, which shrink to 0 where they have no length."""
    length = ((vectors**2).sum(1, keepdim=True) + SOFT**2).sqrt()
    return length, vectors / length
