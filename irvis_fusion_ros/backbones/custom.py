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
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.backbones.description import Description
from irvis_fusion_ros.backbones.table import NETWORKS
from irvis_fusion_ros.errors import FileError

# Sizes of the synthetic images, rounded up to multiples that the network needs.
PROBES = ((64, 96), (120, 72))
# Rec. 601, as in imaging/color.py.
LUMA = (0.299, 0.587, 0.114)
REMEDY = 'correct the YAML file, or export the network again (docs/backbones.md)'


class FileNetwork(Protocol):
    """
    A module that runs a file: it takes a B x C x H x W float32 tensor per input, and returns one tensor.

    shapes: of each input, a number where the file fixes the size of an axis, and None where any size is
    allowed. differentiable: whether gradients reach the inputs.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    differentiable: bool

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Run the network."""


class AdaptedNetwork(nn.Module):
    """Converts brightness to the inputs that a description states, and the output back to brightness."""

    def __init__(self, network: FileNetwork, described: Description):
        super().__init__()
        self.network = network
        self.described = described
        self.register_buffer('luma', torch.tensor(LUMA)[:, None, None], persistent=False)
        self._one_by_one = any(shape[0] == 1 for shape in network.shapes)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness in [0, 1], B x 1 x H x W; the result has the same layout."""
        raw, output = self.raw(visible.float(), thermal.float()), self.described.output
        black, white = output.range
        if output.colour == 'rgb':
            raw = (raw * self.luma).sum(1, keepdim=True)
        return ((raw - black) / (white - black)).to(visible.dtype)

    def raw(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the unconverted output of the network, float32, for brightness B x 1 x H x W."""
        images = {'visible': visible, 'thermal': thermal}
        inputs = []
        for name, layout in zip(self.described.order, self.described.inputs, strict=True):
            black, white = layout.range
            inputs.append((images[name] * (white - black) + black).expand(-1, layout.channels, -1, -1))
        if self.described.joined:
            inputs = [torch.cat(inputs, 1)]
        return self._run([each.contiguous() for each in inputs])

    def _run(self, inputs: list[Tensor]) -> Tensor:
        if not self._one_by_one or len(inputs[0]) == 1:
            return self.network(*inputs)
        pairs = zip(*(tensor.split(1) for tensor in inputs), strict=True)
        return torch.cat([self.network(*pair) for pair in pairs])


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
    return Backbone(str(path), fusion, described.multiple, network.differentiable)


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
