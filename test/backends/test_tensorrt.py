import importlib.util

import pytest

from irvis_fusion_ros.backends import swift_export, tensorrt
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems.registry import SystemConfig

ORIN = ('Orin (nvgpu)', '10.3.0', 'fp16')
absent = pytest.mark.skipif(importlib.util.find_spec('tensorrt') is not None, reason='TensorRT is installed')


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)


@pytest.fixture
def onnx_file(tmp_path):
    file = tmp_path / 'describe.onnx'
    file.write_bytes(b'network')
    return file


def test_an_engine_lies_beside_its_file_by_gpu_version_and_precision(onnx_file):
    kept = tensorrt.engine_file(onnx_file, *ORIN)
    assert kept.parent == onnx_file.parent
    assert kept.name.startswith('describe-') and kept.name.endswith('-orin-nvgpu-trt10.3.0-fp16.engine')
    others = [('NVIDIA H200', *ORIN[1:]), (ORIN[0], '8.6.1', ORIN[2]), (*ORIN[:2], 'fp32')]
    names = {tensorrt.engine_file(onnx_file, *other).name for other in others}
    assert len(names | {kept.name}) == 4


@pytest.mark.parametrize('changed', ['describe.onnx', 'describe.onnx.data'])
def test_other_weights_are_another_engine(onnx_file, changed):
    before = tensorrt.engine_file(onnx_file, *ORIN)
    (onnx_file.parent / changed).write_bytes(b'other weights')
    assert tensorrt.engine_file(onnx_file, *ORIN) != before


@absent
def test_without_tensorrt_it_says_what_to_install(onnx_file):
    with pytest.raises(FileError, match=r'describe\.onnx: backend tensorrt needs .* pip install '):
        tensorrt.runner(onnx_file, 'cuda:0')


def test_it_needs_a_gpu(monkeypatch):
    with pytest.raises(ValueError, match="tensorrt needs a GPU, but the device is 'cpu': ask for cuda"):
        Predictor('swift_lite', 'auto', backend='tensorrt')
    monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
    assert SystemConfig('swift_lite', 'cuda:0', backend='tensorrt').backend == 'tensorrt'


@absent
def test_it_runs_what_was_exported(gpu, monkeypatch, tmp_path):
    monkeypatch.setenv(swift_export.VARIABLE, str(tmp_path))
    assert weights.file_of('swift_lite').exists()
    with pytest.raises(FileError, match="not exported for any size; run 'irvis export swift_lite"):
        Predictor('swift_lite', 'cuda', backend='tensorrt')
    folder = swift_export.folder('swift_lite', (256, 320))
    folder.mkdir()
    (folder / 'describe.onnx').touch()
    with pytest.raises(FileError, match=r'describe\.onnx: backend tensorrt needs TensorRT'):
        Predictor('swift_lite', 'cuda', backend='tensorrt')
