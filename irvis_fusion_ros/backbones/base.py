"""The interface of every backbone: it fuses a visible and a thermal image on one grid."""

from torch import Tensor, nn

from irvis_fusion_ros.networks import layers

# Rec. 601, as in imaging/color.py: brightness of red, green and blue.
LUMA = (0.299, 0.587, 0.114)


class Backbone(nn.Module):
    """
    A frozen fusion network.

    fusion: a module that maps visible and thermal brightness, B x 1 x H x W each, to the fused image, of the
    same shape. It is set to evaluation mode and its parameters are frozen. multiple: the sides of its images
    must be multiples of this; other images are padded by their last row and column, and the result is
    cropped. differentiable: whether gradients reach the images. takes_rgb: whether the visible image may be
    B x 3 x H x W, red, green and blue. gives_rgb: whether the fused image then is, too. Do not make a
    backbone an attribute of a module that is trained on it, or its weights would be saved with that module's.
    """

    def __init__(
        self,
        name: str,
        fusion: nn.Module,
        multiple: int = 1,
        differentiable: bool = True,
        takes_rgb: bool = False,
        gives_rgb: bool = False,
    ):
        super().__init__()
        self.name = name
        self.fusion = fusion
        self.multiple = multiple
        self.differentiable = differentiable
        self.takes_rgb = takes_rgb
        self.gives_rgb = gives_rgb
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> 'Backbone':
        """Stay in evaluation mode, even if a module around it is trained."""
        return super().train(False)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Fuse brightness in [0, 1], B x 1 x H x W floating point on the device of the backbone.

        Values are used as they are, without normalisation to the content of an image. Where the backbone
        takes colours, the visible image may be B x 3 x H x W. Returns B x 1 x H x W, or B x 3 x H x W of
        colours where it gives them, clamped to [0, 1]. Raises ValueError for images of another layout.
        """
        channels = (1, 3) if self.takes_rgb else (1,)
        same = visible.ndim == 4 and thermal.shape == (len(visible), 1, *visible.shape[2:])
        if not same or visible.shape[1] not in channels:
            raise ValueError(
                f'backbone {self.name}: visible {tuple(visible.shape)} and thermal {tuple(thermal.shape)}; '
                'expected B x 1 x H x W of both' + ', or B x 3 x H x W of the visible one' * self.takes_rgb
            )
        height, width = visible.shape[-2:]
        if self.multiple > 1:
            visible, thermal = (layers.padded(image, self.multiple) for image in (visible, thermal))
        return self.fusion(visible, thermal)[..., :height, :width].clamp(0, 1)


def brightness(image: Tensor) -> Tensor:
    """Return the brightness, B x 1 x H x W, of an image that is that already or B x 3 x H x W of colours."""
    if image.shape[1] == 1:
        return image
    return sum(weight * plane for weight, plane in zip(LUMA, image.split(1, 1), strict=True))
