import functools

import numpy as np
import pytest
import torch

from irvis_fusion_ros.backends import onnx, swift_export
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import field_fit
from irvis_fusion_ros.networks.swift import PROPOSED_PIXELS, Swift, SwiftConfig
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems import factories
from irvis_fusion_ros.tools import export

pytestmark = pytest.mark.slow  # they share one export

SHAPE = (128, 160)
# what proposes sees fewer pixels: as many as SHAPE has
CONFIG = {'width': 8, 'described': 12, 'match': 8, 'pixels': round(128 * 160 / PROPOSED_PIXELS)}


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A small network that is exported by the command line, with fewer steps of its solver."""
    for module in ('onnxruntime', 'onnxscript'):
        pytest.importorskip(module, reason=f'{module} is not installed (extra `onnx`)')
    folder = tmp_path_factory.mktemp('models')
    torch.manual_seed(0)
    network = Swift(SwiftConfig(**CONFIG))
    for match in (*network.affine, *network.dense):
        torch.nn.init.normal_(match.head.weight, 0, 0.05)
    sha = weights.save(folder / 'swift_lite.safetensors', 'swift', {'network': CONFIG}, network.state_dict())
    (folder / 'swift_lite.md').write_text(f'sha256: {sha}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(weights.VARIABLE, str(folder))
        patch.setenv(swift_export.VARIABLE, str(folder / 'cache'))
        patch.setattr(field_fit, 'ITERATIONS', 3)
        assert export.main(['swift_lite', '--size', '160x128']) == 0
        yield folder


def test_the_parts_lie_in_the_cache_by_weights_and_size(exported):
    (folder,) = (exported / 'cache').iterdir()
    assert folder.name.startswith('swift_lite-') and folder.name.endswith('-160x128')
    assert {path.stem for path in folder.iterdir()} == set(swift_export.PARTS)


@pytest.mark.parametrize('start', [None, torch.tensor([[[1.0, 0.5, 4.0], [-0.5, 2.0, -3.0]]])])
def test_it_finds_what_torch_finds(exported, start):
    rig = synthetic.Rig(SHAPE, SHAPE)
    thermal, visible = rig.frame(0)
    images = [
        torch.from_numpy(image.astype(np.float32) / 255)[None, None]
        for image in (visible if visible.ndim == 2 else visible[..., 1], thermal)
    ]
    network = factories.swift_network('swift_lite').eval()
    runner = functools.partial(onnx.runner, device='cpu')
    other = swift_export.ExportedSwift(network, 'swift_lite', runner)
    with torch.inference_mode():
        ours, theirs = network.descriptions(*images), other.descriptions(*images)
        for mine, its in zip((*ours[0], *ours[1]), (*theirs[0], *theirs[1]), strict=True):
            assert torch.allclose(mine, its, atol=1e-4)
        mine, its = network.compare(*ours, start=start), other.compare(*theirs, start=start)
    assert torch.allclose(mine.affine, its.affine, atol=5e-3)
    assert torch.allclose(mine.residual, its.residual, atol=5e-3)


def test_the_predictor_runs_it_and_says_so(exported):
    rig = synthetic.Rig(SHAPE, SHAPE)
    by_torch, by_onnx = (Predictor('swift_lite', 'cpu', backend=backend) for backend in ('torch', 'onnx'))
    assert by_onnx.backend == 'onnx'
    for index in range(2):
        mine, its = (predictor(*rig.frame(index)) for predictor in (by_torch, by_onnx))
        assert mine.source == its.source
        assert np.nanmax(np.abs(mine.deformation - its.deformation)) < 0.05
        assert np.abs(mine.fused.astype(int) - its.fused).max() <= 2


def test_a_size_that_is_not_exported_is_refused_with_the_remedy(exported):
    predictor = Predictor('swift_lite', 'cpu', backend='onnx')
    seen = WorkingGrid((96, 160), 128 * 160).shape
    with pytest.raises(
        FileError, match=rf"seen at {seen[1]}x{seen[0]}; run 'irvis export swift_lite --size WxH'"
    ):
        predictor(*synthetic.pair((96, 160)))


def test_without_anything_exported_it_says_so_at_once(exported, monkeypatch, tmp_path):
    monkeypatch.setenv(swift_export.VARIABLE, str(tmp_path))
    with pytest.raises(
        FileError, match="not exported for any size; run 'irvis export swift_lite --size WxH'"
    ):
        Predictor('swift_lite', 'cpu', backend='onnx')


def test_a_preset_without_exported_parts_says_what_it_runs_by():
    with pytest.raises(ValueError, match="preset 'classical' does not run by onnx; valid: auto, torch"):
        Predictor('classical', 'cpu', backend='onnx')
    with pytest.raises(ValueError, match="unknown backend 'tvm'; valid: auto, torch, onnx, tensorrt"):
        Predictor('swift', 'cpu', backend='tvm')
