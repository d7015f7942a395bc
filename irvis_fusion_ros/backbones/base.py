"""The interface of every backbone: it fuses two brightness images on one grid."""

from torch import Tensor, nn

from irvis_fusion_ros.networks import layers


class Backbone(nn.Module):
    """
    A frozen fusion network.

    fusion: a module that maps visible and thermal brightness, B x 1 x H x W each, to the fused image, of the
    same shape. It is set to evaluation mode and its parameters are frozen. multiple: the sides of its images
    must be multiples of this; other images are padded by their last row and column, and the result is
    cropped. differentiable: whether gradients reach the images. Do not make a backbone an attribute of a
    module that is trained on it, or its weights would be saved with that module's.
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
        """Stay in evaluation mode, even if a module around it is trained."""
        return super().train(False)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Fuse brightness in [0, 1], B x 1 x H x W floating point on the device of the backbone.

        Values are used as they are, without normalisation to the content of an image. Returns the same shape,
        clamped to [0, 1]. Raises ValueError for images of another layout.
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
