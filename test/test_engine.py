import pytest

from irvis_fusion_ros import engine


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count):
        monkeypatch.setattr(engine, '_cuda_devices', lambda: count)

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
    assert engine.resolve_device(requested, supported) == expected


@pytest.mark.parametrize(('requested', 'count'), [('cuda', 0), ('cuda:1', 1)])
def test_a_device_that_is_not_there(gpus, requested, count):
    gpus(count)
    with pytest.raises(ValueError, match=f"device '{requested}' is not available: .*use device auto or cpu"):
        engine.resolve_device(requested, ('cuda', 'cpu'))


@pytest.mark.parametrize('requested', ['gpu', 'cuda:', 'cuda:x', 'CPU', '', 'cuda:-1'])
def test_malformed_requests(requested):
    with pytest.raises(ValueError, match='valid: auto, cpu, cuda, cuda:N'):
        engine.resolve_device(requested, ('cpu',))


def test_this_machine_can_be_asked():
    assert engine.resolve_device('auto', ('cuda', 'cpu')) in ('cpu', 'cuda:0')


@pytest.mark.parametrize(
    'text',
    [
        'CUDA error: an illegal memory access was encountered',
        'cuDNN error: CUDNN_STATUS_EXECUTION_FAILED',
        'CUDA out of memory. Tried to allocate 2.00 GiB',
    ],
)
def test_errors_of_a_gpu_are_known(text):
    assert engine.has_failed('cuda:0', RuntimeError(text))
    assert not engine.has_failed('cpu', RuntimeError(text))


def test_errors_of_a_network_are_its_own():
    assert not engine.has_failed('cuda:0', RuntimeError('mat1 and mat2 shapes cannot be multiplied'))
