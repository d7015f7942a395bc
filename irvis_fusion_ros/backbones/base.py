"""What every backbone answers: two brightness images on one grid, fused."""

from torch import Tensor, nn

from irvis_fusion_ros.networks import layers


class Backbone(nn.Module):
    """
    A frozen fusion network.

    fusion: a module that maps visible and thermal brightness, B x 1 x H x W each, to what is fused, of the
    same shape. It is set to evaluation, and none of its parameters learns. multiple: what the sides of its
    images must be multiples of; others are padded by their last row and column, and the result is cut.
    differentiable: whether gradients reach the images. Kept as an attribute of another module its weights
    would be saved with that one's: hold it beside, not inside, what is trained on it.
    """

    def __init__(self, name: str, fusion: nn.Module, multiple: int = 1, differentiable: bool = True):
        super().__init__()
        self.name = name
        self.fusion = fusion
        self.multiple = multiple
        self.differentiable = differentiable
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> 'Backbone':
        """Stay in evaluation, also where the system around it is trained."""
        return super().train(False)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Fuse brightness in [0, 1], B x 1 x H x W floating point on the device of the backbone.

        Values are taken as they are: nothing is stretched by the content of an image. Returns the same
        shape, clamped to [0, 1]. Raises ValueError for images of another layout.
        """
        if visible.shape != thermal.shape or visible.ndim != 4 or visible.shape[1] != 1:
            raise ValueError(
                f'backbone {self.name}: visible {tuple(visible.shape)} and thermal {tuple(thermal.shape)}; '
                'expected B x 1 x H x W of both'
            )
        height, width = visible.shape[-2:]
        if self.multiple > 1:
            visible, thermal = (layers.padded(image, self.multiple) for image in (visible, thermal))
        return self.fusion(visible, thermal)[..., :height, :width].clamp(0, 1)
