import pytest
import torch

from irvis_fusion_ros import share
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import weights

STATE = {'layer.weight': torch.linspace(-1, 1, 12).reshape(3, 4), 'steps': torch.tensor([3])}


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    return tmp_path


def save(models, name='net', system='busref', **options):
    digest = weights.save(models / f'{name}.safetensors', system, {'channels': 8}, STATE, **options)
    (models / f'{name}.md').write_text(f'# {name}\n\n- sha256: `{digest}`\n')


def test_what_is_saved_is_loaded(models):
    save(models)
    loaded = weights.load('net', 'busref')
    assert loaded.config == {'channels': 8}
    assert loaded.state.keys() == STATE.keys()
    assert all(torch.equal(loaded.state[name], tensor) for name, tensor in STATE.items())


def test_half_precision_is_loaded_as_float32_and_whole_numbers_stay(models):
    save(models, half=True)
    loaded = weights.load('net', 'busref').state
    assert loaded['layer.weight'].dtype == torch.float32
    assert torch.allclose(loaded['layer.weight'], STATE['layer.weight'], atol=1e-3)
    assert torch.equal(loaded['steps'], STATE['steps'])


def test_the_folder_without_the_variable_is_that_of_the_package(monkeypatch):
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    assert weights.folder() == share.folder() / 'models'


def damage(models):
    path = models / 'net.safetensors'
    path.write_bytes(path.read_bytes()[:-1] + b'x')


@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        (lambda models: (models / 'net.safetensors').unlink(), 'let IRVIS_MODELS name the folder'),
        (lambda models: (models / 'net.md').unlink(), 'the card of the weights cannot be read'),
        (lambda models: (models / 'net.md').write_text('# net'), "no 'sha256' with its 64 digits"),
        (damage, 'the file is damaged or another one'),
        (
            lambda models: save(models, system='swift'),
            "weights of system 'swift', wanted are those of",
        ),
    ],
)
def test_clear_errors(models, harm, message):
    save(models)
    harm(models)
    with pytest.raises(FileError, match=message):
        weights.load('net', 'busref')


def test_a_file_that_is_no_weights(models):
    save(models)
    (models / 'net.safetensors').write_bytes(b'12345678{}')
    (models / 'net.md').write_text('sha256 ' + weights.hashlib.sha256(b'12345678{}').hexdigest())
    with pytest.raises(FileError, match='not a file of weights'):
        weights.load('net', 'busref')


def test_weights_fill_a_network(models):
    network = torch.nn.Linear(4, 3)
    digest = weights.save(models / 'line.safetensors', 'busref', {}, network.state_dict())
    (models / 'line.md').write_text(f'sha256: {digest}')
    other = weights.into(torch.nn.Linear(4, 3), 'line', 'busref')
    assert torch.equal(other.weight, network.weight)


def test_weights_of_another_version_of_a_network_are_refused(models):
    save(models)
    with pytest.raises(FileError, match=r'net\.safetensors: weights of another version .* with the package'):
        weights.into(torch.nn.Linear(4, 3), 'net', 'busref')
