"""
Exports the network of `swift` to ONNX, in three parts of fixed sizes, and runs it from such files.

The parts are `describe` (both images to their descriptions), `search` (the logits of all hypotheses) and
`steps` (from a start to affine and residual). A tracked stream does not run `search`. `irvis export` writes
the files to a cache, by preset, weights and working size.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic, weights
from irvis_fusion_ros.networks.matching import COARSEST, model_of
from irvis_fusion_ros.networks.swift import Swift, SwiftResult

PARTS = ('describe', 'search', 'steps')
# The first opset whose GridSample equals that of torch; TensorRT 8.6 and later can read it.
OPSET = 18
VARIABLE = 'IRVIS_CACHE'


def folder(preset: str, shape: tuple[int, int]) -> Path:
    """Return the folder of the parts of a preset for a working size (height, width); it need not exist."""
    base = os.environ.get(VARIABLE)
    cache = Path(base) if base else Path.home() / '.cache' / 'irvis_fusion_ros'
    digest = hashlib.sha256(weights.file_of(preset).read_bytes()).hexdigest()[:12]
    return cache / f'{preset}-{digest}-{shape[1]}x{shape[0]}'


def export(network: Swift, into: Path, shape: tuple[int, int]) -> None:
    """
    Write the parts for a working size (height, width), multiples of COARSEST.

    It needs the extra `onnx` and raises FileError without it, and if they cannot be written. Existing files
    are replaced at once, when all are written.
    """

    def write(folder: Path) -> None:
        for name, (part, inputs) in _parts(network, shape).items():
            _write(part, inputs, folder / f'{name}.onnx')

    atomic.write_folder(into, write)


class ExportedSwift:
    """
    The exported network; see `systems.matcher.MatchingNetwork`.

    network: the network that was exported. preset: its name. runner: turns the file of a part into a function
    of tensors (backends.onnx.runner, backends.tensorrt.runner). All exported sizes are opened at once. Raises
    FileError as `runner` does, and if nothing was exported; `descriptions` and `compare` raise it for a size
    not exported. precision: the number format in which the runner computes descriptions.
    """

    def __init__(
        self,
        network: Swift,
        preset: str,
        runner: Callable[[Path], Callable[..., list[Tensor]]],
        precision: str = 'float32',
    ):
        self.precision = precision
        self.pixels, self.even, self.sure = network.pixels, network.even, network.sure
        self.search = network.search.cpu()
        self._preset = preset
        any_size = folder(preset, (0, 0))
        exported = sorted(any_size.parent.glob(any_size.name.replace('0x0', '*')))
        if not exported:
            raise FileError(_missing(any_size.parent, preset, 'any size'))
        files = [each / f'{part}.onnx' for each in exported for part in PARTS]
        self._runners = {file: runner(file) for file in files}

    def to(self, device: str) -> 'ExportedSwift':
        """Do nothing: the results are always on the CPU."""
        return self

    def eval(self) -> 'ExportedSwift':
        """Do nothing: an exported network is always in evaluation mode."""
        return self

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """See `Swift.descriptions`."""
        found = self._run('describe', tuple(visible.shape[-2:]), visible, thermal)
        return _halves(found)

    def compare(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor | None = None
    ) -> SwiftResult:
        """See `Swift.compare`; the result has no steps and no measurements."""
        height, width = visible[-1].shape[-2:]
        shape = height * COARSEST, width * COARSEST
        logits = None
        if start is None:
            (logits,) = self._run('search', shape, visible[-1], thermal[-1])
            start = self.search.best(logits, model_of(visible))
        affine, residual = self._run('steps', shape, *visible, *thermal, start)
        return SwiftResult(affine, residual, logits, (), ())

    def _run(self, part: str, shape: tuple[int, int], *inputs: Tensor) -> list[Tensor]:
        file = folder(self._preset, shape) / f'{part}.onnx'
        if file not in self._runners:
            raise FileError(_missing(file, self._preset, f'images seen at {shape[1]}x{shape[0]}'))
        return self._runners[file](*inputs)


def _missing(file: Path, preset: str, what: str) -> str:
    return (
        f"{file}: preset '{preset}' is not exported for {what}; run 'irvis export {preset} --size WxH' with "
        'the size of your visible images, or set backend to torch'
    )


def _halves(descriptions: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Split descriptions into those of the visible and those of the thermal image."""
    count = len(descriptions) // 2
    return descriptions[:count], descriptions[count:]


class _Describe(nn.Module):
    def __init__(self, network: Swift):
        super().__init__()
        self.network = network

    def forward(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, ...]:
        of_visible, of_thermal = self.network.descriptions(visible, thermal)
        return (*of_visible, *of_thermal)


class _Search(nn.Module):
    def __init__(self, network: Swift):
        super().__init__()
        self.search = network.search

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        return self.search.logits(visible, thermal)


class _Steps(nn.Module):
    def __init__(self, network: Swift):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        *descriptions, start = inputs
        found = self.network.compare(*_halves(descriptions), start)
        return found.affine, found.residual


@torch.no_grad()
def _parts(network: Swift, shape: tuple[int, int]) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Return each part with example inputs of its sizes."""
    network = network.cpu().eval()
    images = torch.rand(1, 1, *shape), torch.rand(1, 1, *shape)
    visible, thermal = network.descriptions(*images)
    return {
        'describe': (_Describe(network), images),
        'search': (_Search(network), (visible[-1], thermal[-1])),
        'steps': (_Steps(network), (*visible, *thermal, torch.zeros(1, 2, 3))),
    }


@torch.no_grad()
def _write(part: nn.Module, inputs: tuple[Tensor, ...], file: Path) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise FileError(
            f"{file.name}: exporting needs onnx and onnxscript: pip install 'irvis_fusion_ros[onnx]'"
        ) from error
    program = torch.onnx.export(
        torch.export.export(part, inputs, strict=False),
        (),
        dynamo=True,
        opset_version=OPSET,
        # onnxruntime and TensorRT fold constants themselves, and faster
        optimize=False,
        verbose=False,
    )
    program.save(str(file))
