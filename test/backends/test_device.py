import os
import subprocess
import sys

import pytest
import torch

from irvis_fusion_ros.backends.device import (
    HALF,
    MOST_GRAPHS,
    Recorded,
    channels_last,
    half_of,
    has_failed,
    resolve_device,
)
from irvis_fusion_ros.networks.busref import BusReF


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count):
        monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: count)

    return pretend


@pytest.mark.parametrize(
    ('requested', 'supported', 'count', 'expected'),
    [
        ('auto', ('cuda', 'cpu'), 2, 'cuda:0'),
        ('auto', ('cuda', 'cpu'), 0, 'cpu'),
        ('auto', ('cpu', 'cuda'), 1, 'cpu'),  # the preset runs better on the CPU
        ('auto', ('cpu',), 1, 'cpu'),
        ('cpu', ('cuda', 'cpu'), 1, 'cpu'),
        ('cuda', ('cpu', 'cuda'), 1, 'cuda:0'),
        ('cuda:1', ('cuda', 'cpu'), 2, 'cuda:1'),
        ('cuda', ('cpu',), 1, 'cpu'),  # no CUDA path: the caller tells the user
    ],
)
def test_choice(gpus, requested, supported, count, expected):
    gpus(count)
    assert resolve_device(requested, supported) == expected


@pytest.mark.parametrize(('requested', 'count'), [('cuda', 0), ('cuda:1', 1)])
def test_a_device_that_is_not_there(gpus, requested, count):
    gpus(count)
    with pytest.raises(ValueError, match=f"device '{requested}' is not available: .*use device auto or cpu"):
        resolve_device(requested, ('cuda', 'cpu'))


@pytest.mark.parametrize('requested', ['gpu', 'cuda:', 'cuda:x', 'CPU', '', 'cuda:-1'])
def test_malformed_requests(requested):
    with pytest.raises(ValueError, match='valid: auto, cpu, cuda, cuda:N'):
        resolve_device(requested, ('cpu',))


def test_this_machine_can_be_asked():
    assert resolve_device('auto', ('cuda', 'cpu')) in ('cpu', 'cuda:0')


@pytest.mark.parametrize(
    'text',
    [
        'CUDA error: an illegal memory access was encountered',
        'cuDNN error: CUDNN_STATUS_EXECUTION_FAILED',
        'CUDA out of memory. Tried to allocate 2.00 GiB',
    ],
)
def test_errors_of_a_gpu_are_known(text):
    assert has_failed('cuda:0', RuntimeError(text))
    assert not has_failed('cpu', RuntimeError(text))


def test_errors_of_a_network_are_its_own():
    assert not has_failed('cuda:0', RuntimeError('mat1 and mat2 shapes cannot be multiplied'))


@pytest.mark.parametrize(('device', 'half'), [('cpu', torch.bfloat16), ('cuda:1', torch.float16)])
def test_half_precision_can_be_turned_off(device, half, monkeypatch):
    monkeypatch.setattr('irvis_fusion_ros.backends.device._multiplies_bfloat16', lambda: True)
    monkeypatch.delenv(HALF, raising=False)
    assert half_of(device) is half
    monkeypatch.setenv(HALF, 'no')
    assert half_of(device) is None


@pytest.mark.slow
def test_a_processor_that_torch_does_not_use_half_precision_on():
    # oneDNN is told when it is loaded
    program = "from irvis_fusion_ros.backends.device import half_of; print(half_of('cpu'))"
    command = [sys.executable, '-c', program]
    limited = {**os.environ, 'ONEDNN_MAX_CPU_ISA': 'AVX2'}
    done = subprocess.run(command, env=limited, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'None'


class TestRecorded:
    """The bookkeeping of graphs, with a recorder that needs no GPU: its replay calls the function again."""

    @pytest.fixture
    def recordings(self, monkeypatch):
        made = []

        def record(function, inputs, device):
            made.append([inputs[0][0].shape, device])
            results = function(*inputs)

            def replay():
                made[-1].append('replayed')
                for own, new in zip(results[:-1], function(*inputs)[:-1], strict=True):
                    own.copy_(new)

            return replay, results

        monkeypatch.setattr('irvis_fusion_ros.backends.device._record', record)
        return made

    @staticmethod
    def function(pair, factor):
        return pair[0] * factor, pair[1] + factor, None

    def call(self, recorded, size, value=2.0):
        return recorded([torch.full((size,), value), torch.zeros(size)], torch.tensor(3.0))

    def test_results_are_those_of_the_function_and_stay(self, recordings):
        recorded = Recorded(self.function, 'cuda:1')
        first = self.call(recorded, 4)
        second = self.call(recorded, 4, 5.0)
        assert first[0].tolist() == [6.0] * 4 and second[0].tolist() == [15.0] * 4
        assert first[1].tolist() == [3.0] * 4 and first[2] is None
        assert recordings == [[(4,), 'cuda:1', 'replayed', 'replayed']]

    def test_a_size_is_recorded_once_until_too_many_others_come(self, recordings):
        recorded = Recorded(self.function, 'cuda:0')
        sizes = range(1, MOST_GRAPHS + 1)
        for size in (*sizes, 1):
            self.call(recorded, size)
        assert len(recordings) == MOST_GRAPHS
        self.call(recorded, 100)
        self.call(recorded, 1)  # used last but one: kept
        assert len(recordings) == MOST_GRAPHS + 1
        self.call(recorded, 2)
        assert len(recordings) == MOST_GRAPHS + 2

    def test_on_a_cpu_the_function_is_called(self, recordings):
        assert self.call(Recorded(self.function, 'cpu'), 4)[0].tolist() == [6.0] * 4
        assert recordings == []


@pytest.mark.parametrize(
    'text',
    [
        'CUDA error: operation not permitted when stream is capturing',
        'Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned.',
        'Offset increment outside graph capture encountered unexpectedly.',
    ],
)
def test_what_cannot_be_recorded_is_a_failure_of_the_gpu(text):
    assert has_failed('cuda:0', RuntimeError(text))


def test_a_network_with_kernels_of_five_axes_is_laid_out_too():
    network = channels_last(BusReF())
    kernels = [each for each in network.parameters() if each.ndim == 4 and each.shape[1] > 1]
    assert any(each.ndim == 5 for each in network.parameters())
    assert kernels and all(each.is_contiguous(memory_format=torch.channels_last) for each in kernels)
