"""
A network of the user's own: NAME.yaml (description.py) beside NAME.onnx or NAME.pt2.

Loading checks the file before the first image arrives: by its declared inputs, and by runs on two synthetic
images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from irvis_fusion_ros.backbones import description
from irvis_fusion_ros.backbones.base import Backbone, brightness
from irvis_fusion_ros.backbones.description import Description
from irvis_fusion_ros.backbones.table import NETWORKS
from irvis_fusion_ros.errors import FileError

# Sizes of the synthetic images, rounded up to multiples that the network needs.
PROBES = ((64, 96), (120, 72))
REMEDY = 'correct the YAML file, or export the network again (docs/backbones.md)'


class FileNetwork(Protocol):
    """
    A module that runs a file: it takes a B x C x H x W float32 tensor per input, and returns its outputs.

    shapes: of each input, a number where the file fixes the size of an axis, and None where any size is
    allowed. differentiable: whether gradients reach the inputs.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    differentiable: bool

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Run the network; outputs that are lists of tensors are one after the other, all float32."""


class _UnknownOutputError(ValueError):
    """The network has several outputs, and the description does not say which one is the fused image."""


class AdaptedNetwork(nn.Module):
    """Converts images to the inputs that a description states, and the output back."""

    def __init__(self, network: FileNetwork, described: Description):
        super().__init__()
        self.network = network
        self.described = described
        for index, layout in enumerate((*described.inputs, described.output)):
            # 2 x C x 1 x 1, black and white
            levels = torch.tensor(layout.levels).T[..., None, None]
            self.register_buffer(f'levels_{index}', levels, persistent=False)
        self._one_by_one = any(shape[0] == 1 for shape in network.shapes)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Fuse images in [0, 1]: brightness, B x 1 x H x W, or B x 3 x H x W of colours of the visible one.

        Returns colours where the network gives them and the visible image has them, brightness otherwise.
        """
        black, white = self.levels_2
        fused = (self.raw(visible.float(), thermal.float()) - black) / (white - black)
        if not (self.described.gives_rgb and visible.shape[1] == 3):
            fused = brightness(fused)
        return fused.to(visible.dtype)

    def raw(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the unconverted output of the network, float32, for images as `forward` takes them."""
        images = {'visible': visible, 'thermal': thermal}
        inputs = []
        for name, layout, levels in zip(
            self.described.order, self.described.inputs, (self.levels_0, self.levels_1), strict=True
        ):
            black, white = levels
            image = images[name] if layout.colour == 'rgb' else brightness(images[name])
            inputs.append((image * (white - black) + black).expand(-1, layout.channels, -1, -1))
        if self.described.joined:
            inputs = [torch.cat(inputs, 1)]
        return self._run([each.contiguous() for each in inputs])

    def _run(self, inputs: list[Tensor]) -> Tensor:
        if not self._one_by_one or len(inputs[0]) == 1:
            return self._chosen(self.network(*inputs))
        pairs = zip(*(tensor.split(1) for tensor in inputs), strict=True)
        return torch.cat([self._chosen(self.network(*pair)) for pair in pairs])

    def _chosen(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the output that is the fused image; raises _UnknownOutputError if that is not stated."""
        index, count = self.described.index, len(outputs)
        if index is None and count == 1:
            return outputs[0]
        if index is None or index >= count:
            shapes = ', '.join(f'{number}: {_text(each.shape)}' for number, each in enumerate(outputs))
            said = 'no output.index' if index is None else f'output.index {index}'
            raise _UnknownOutputError(
                f'the network has {count} outputs ({shapes}), and the YAML file states {said}'
            )
        return outputs[index]


def load(path: Path, device: str) -> Backbone:
    """
    Return the network that a YAML file describes, on a device.

    Raises FileError, with the expected and the found value, if YAML and network do not match.
    """
    described = description.read(path)
    file = _network_file(path)
    if file.suffix == '.onnx':
        from irvis_fusion_ros.backbones import onnx

        network = onnx.OnnxNetwork(file, device)
    else:
        from irvis_fusion_ros.backbones import exported

        if not described.trusted:
            raise FileError(
                f'{file}: loading a .pt2 may run any code of its maker; export the network as ONNX '
                f"or, if you made the file or trust who did, state 'trusted: true' in {path.name}"
            )
        network = exported.ExportedNetwork(file, device)
    _check_inputs(network, described, file)
    fusion = AdaptedNetwork(network, described).to(device)
    multiple = described.multiple
    for shape in PROBES:
        _probe(fusion, file, tuple(-(-side // multiple) * multiple for side in shape), device)
    colours = described.takes_rgb, described.gives_rgb
    return Backbone(str(path), fusion, described.multiple, network.differentiable, *colours)


def _network_file(path: Path) -> Path:
    found = [path.with_suffix(suffix) for suffix in NETWORKS if path.with_suffix(suffix).is_file()]
    if len(found) != 1:
        names = ' and '.join(file.name for file in found) or 'neither'
        raise FileError(
            f'{path}: expected {" or ".join(path.stem + suffix for suffix in NETWORKS)} beside it, '
            f'found {names} (TorchScript and pickled checkpoints are not loaded)'
        )
    return found[0]


def _check_inputs(network: FileNetwork, described: Description, file: Path) -> None:
    expected = ', '.join(f'B x {channels} x H x W' for channels in described.channels)
    found = ', '.join(map(_text, network.shapes))
    problem = len(network.shapes) != len(described.channels)
    for shape, channels in zip(network.shapes, described.channels, strict=False):
        problem = problem or len(shape) != 4 or shape[1] not in (None, channels)
    if problem:
        raise FileError(f'{file}: expected inputs {expected}, found {found or "none"}; {REMEDY}')
    for shape in network.shapes:
        if shape[2:] != (None, None):
            raise FileError(
                f'{file}: expected any height and width, found {found}; export it with dynamic axes'
            )
        if shape[0] not in (None, 1):
            raise FileError(f'{file}: expected any batch or 1, found {shape[0]}; export it with batch 1')


@torch.inference_mode()
def _probe(fusion: AdaptedNetwork, file: Path, shape: tuple[int, int], device: str) -> None:
    ramp = torch.linspace(0, 1, shape[0] * shape[1], device=device).view(1, 1, *shape)
    expected = (1, fusion.described.output.channels, *shape)
    try:
        found = fusion.raw(ramp, 1 - ramp)
    except _UnknownOutputError as error:
        raise FileError(f'{file}: {error}; {REMEDY}') from error
    except Exception as error:  # the runtime of the file can raise anything
        reason = ' '.join(str(error).split())[:300]
        raise FileError(
            f'{file}: fails on a {shape[1]}x{shape[0]} image ({reason}); is its multiple stated? {REMEDY}'
        ) from error
    if tuple(found.shape) != expected:
        raise FileError(
            f'{file}: expected an output of {_text(expected)}, found {_text(found.shape)}; {REMEDY}'
        )
    if not found.isfinite().all():
        raise FileError(f'{file}: expected finite numbers on a {shape[1]}x{shape[0]} image, found others')


def _text(shape: Sequence[int | None]) -> str:
    return ' x '.join(name if size is None else str(size) for name, size in zip('BCHW', shape, strict=False))
