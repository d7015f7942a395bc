import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from installation import REPOSITORY
from networks import DESCRIPTION, expected, own

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.predictor import Predictor

without_onnx = pytest.mark.skipif(
    not all(find_spec(name) for name in ('onnx', 'onnxruntime')), reason='extra `onnx` is not installed'
)
SUFFIXES = ('.pt2', pytest.param('.onnx', marks=without_onnx))
COLOUR = """\
inputs:
  - {image: visible, colour: rgb, range: [0, 255]}
  - {image: thermal, range: [0, 255]}
output: {colour: rgb, range: [0, 255]}
"""
JOINED = 'inputs: [{image: thermal}, {image: visible}]\njoined: true\nmultiple: 8\n'


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 1, 45, 61, generator=generator) for _ in range(2))


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_two_images_with_a_batch_of_one(tmp_path, images, suffix):
    name = own(tmp_path, suffix, 'weighed')
    backbone = backbones.build(name)
    torch.testing.assert_close(backbone(*images), expected(*images))
    assert backbone.name == name
    assert not any(module.training for module in backbone.train().modules())


@pytest.mark.slow
def test_one_tensor_of_both_with_sides_in_multiples(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.pt2', 'joined8', JOINED))
    assert backbone.multiple == 8
    torch.testing.assert_close(backbone(*images), expected(*images))


@without_onnx
def test_one_tensor_of_both_by_onnx(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.onnx', 'joined', JOINED))
    torch.testing.assert_close(backbone(*images), expected(*images))


def test_colour_and_bytes(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.pt2', 'colour', COLOUR))
    torch.testing.assert_close(backbone(*images), expected(*images))


@pytest.mark.parametrize('gives', ['rgb', 'luminance'])
def test_the_colours_of_the_visible_image_reach_a_network_that_takes_them(tmp_path, images, gives):
    # the values of black and white of each channel differ
    text = """\
inputs:
  - {image: visible, colour: rgb, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4]}
  - {image: thermal, std: 2}
output: {colour: rgb, range: [0, 255]}
"""
    if gives == 'luminance':
        # the network takes brightness three times, so that the colours of its output are none
        text = text.replace('rgb, mean', 'repeated, mean')
    backbone = backbones.build(own(tmp_path, '.pt2', 'colour', text))
    assert (backbone.takes_rgb, backbone.gives_rgb) == (gives == 'rgb',) * 2
    luma, thermal = images
    colours = torch.cat([luma, luma**2, luma / 2], 1)
    levels = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.3, 0.4]])[..., None, None]
    mean, std = levels

    def fused(visible):
        return expected((visible - mean) / std, thermal / 2) / 255

    of_luma = fused(luma.expand(-1, 3, -1, -1))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    of_luma = (of_luma * weights).sum(1, keepdim=True).clamp(0, 1)
    torch.testing.assert_close(backbone(luma, thermal), of_luma)
    if gives == 'rgb':
        torch.testing.assert_close(backbone(colours, thermal), fused(colours).clamp(0, 1))
    else:
        with pytest.raises(ValueError, match='expected B x 1 x H x W of both'):
            backbone(colours, thermal)


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_which_of_several_outputs_is_stated(tmp_path, images, suffix):
    outputs = 4 if suffix == '.pt2' else 3
    with pytest.raises(
        FileError, match=rf'has {outputs} outputs \(0: .*\), and the YAML file states no output'
    ):
        backbones.build(own(tmp_path, suffix, 'several'))
    with pytest.raises(FileError, match=f'has {outputs} outputs .* states output.index 4'):
        backbones.build(own(tmp_path, suffix, 'several', f'{DESCRIPTION}output: {{index: 4}}'))
    backbone = backbones.build(own(tmp_path, suffix, 'several', f'{DESCRIPTION}output: {{index: 2}}'))
    torch.testing.assert_close(backbone(*images), expected(*images))


def test_a_network_exported_for_training_is_refused(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.pt2', 'normalised'))
    torch.testing.assert_close(backbone(*images), expected(*images), atol=1e-4, rtol=0)
    with pytest.raises(FileError, match=r'mine.pt2: the network was exported in training mode: .* call eval'):
        backbones.build(own(tmp_path, '.pt2', 'training'))


@without_onnx
def test_a_network_in_half_precision_by_onnx(tmp_path, images):
    fused = backbones.build(own(tmp_path, '.onnx', 'half'))(*images)
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, expected(*images), atol=1e-3, rtol=0)


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_a_colour_network_paints_the_fused_image(tmp_path, order):
    name = own(tmp_path, '.pt2', 'colour', COLOUR)
    predictor = Predictor('unregistered', 'cpu', temporal=False, backbone=name, registration_first='none')
    rng = np.random.default_rng(0)
    thermal = rng.integers(0, 200, (96, 128), np.uint8)
    visible = rng.integers(0, 200, (96, 128, 3), np.uint8)
    result = predictor(thermal, visible, visible_order=order)
    assert not result.notes
    assert np.abs(result.fused - expected(visible.astype(float), thermal[..., None])).max() <= 1
    gray = Predictor(
        'unregistered', 'cpu', temporal=False, backbone=name, registration_first='none', gray=True
    )
    luma = color.gray(visible, order).astype(float)
    fused = gray(thermal, visible, visible_order=order).fused
    assert np.abs(fused - expected(luma, thermal)).max() <= 2


def test_a_gray_camera_is_fused_by_a_colour_network_and_that_is_said(tmp_path):
    name = own(tmp_path, '.pt2', 'colour', COLOUR)
    predictor = Predictor('unregistered', 'cpu', temporal=False, backbone=name, registration_first='none')
    thermal, tinted = synthetic.pair((96, 128), 3)
    visible = tinted[..., 1]
    result = predictor(thermal // 4, visible)
    (note,) = result.notes
    assert note.code == 'visible_gray' and name in note.text
    assert np.abs(result.fused - expected(visible.astype(float), thermal // 4)).max() <= 1


def test_colours_within_a_border_are_fused_and_the_border_stays(tmp_path):
    name = own(tmp_path, '.pt2', 'colour', COLOUR)
    predictor = Predictor('unregistered', 'cpu', temporal=False, backbone=name, registration_first='none')
    thermal, visible = synthetic.pair((160, 200), 3)
    thermal, visible = thermal.copy(), np.maximum(visible, 1)
    thermal[:20], visible[:20] = 0, 0
    fused = predictor(thermal, visible).fused
    inner = np.s_[60:]
    assert not fused[:18].any()
    assert np.abs(fused - expected(visible.astype(float), thermal[..., None]))[inner].mean() < 1


def test_images_are_fused_by_it_as_they_are(tmp_path):
    name = own(tmp_path, '.pt2', 'weighed')
    thermal, tinted = synthetic.pair((120, 161), 3)
    dim, visible = thermal // 4, tinted[..., 1] // 4
    predictor = Predictor('unregistered', 'cpu', temporal=False, backbone=name, registration_first='none')
    fused = predictor(dim, visible).fused
    assert predictor.backbone == name
    assert np.abs(fused - expected(visible.astype(float), dim)).max() <= 1


def test_gradients_pass_an_exported_network_and_leave_it_as_it_is(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.pt2', 'weighed'))
    assert backbone.differentiable
    visible, thermal = (image.requires_grad_() for image in images)
    backbone(visible, thermal).sum().backward()
    assert float(visible.grad.mean()) == pytest.approx(0.75)
    assert float(thermal.grad.mean()) == pytest.approx(0.25)
    assert len(list(backbone.parameters())) == 1
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@without_onnx
def test_gradients_do_not_pass_onnx_and_that_is_said(tmp_path, images):
    backbone = backbones.build(own(tmp_path, '.onnx', 'weighed'))
    assert not backbone.differentiable
    assert not backbone(*(image.requires_grad_() for image in images)).requires_grad


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (JOINED, 'expected inputs B x 2 x H x W, found 1 x 1 x H x W, 1 x 1 x H x W'),
        (COLOUR, 'expected inputs B x 3 x H x W, B x 1 x H x W, found 1 x 1 x H x W'),
        (
            f'{DESCRIPTION}output: {{colour: rgb}}',
            'expected an output of 1 x 3 x 64 x 96, found 1 x 1 x 64 x 96',
        ),
    ],
)
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_description_of_another_network_is_refused(tmp_path, suffix, text, words):
    with pytest.raises(FileError, match=words):
        backbones.build(own(tmp_path, suffix, 'weighed', text))


@pytest.mark.slow
def test_sides_that_the_network_cannot_take_are_found_before_an_image_comes(tmp_path):
    with pytest.raises(FileError, match='fails on a 72x120 image'):
        backbones.build(own(tmp_path, '.pt2', 'joined16', JOINED))


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_fixed_size_is_refused(tmp_path, suffix):
    with pytest.raises(FileError, match=r'any height and width, found 1 x 1 x 64 x 96.* dynamic'):
        backbones.build(own(tmp_path, suffix, 'fixed'))


@without_onnx
def test_numbers_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileError, match='expected finite numbers'):
        backbones.build(own(tmp_path, '.onnx', 'nan'))


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_damaged_file_is_refused(tmp_path, suffix):
    name = own(tmp_path, suffix, 'weighed')
    file = tmp_path / f'mine{suffix}'
    whole = file.read_bytes()
    for data in (b'nothing', b'', whole[: len(whole) // 2]):
        file.write_bytes(data)
        with pytest.raises(FileError, match=rf'mine\{suffix}: expected an'):
            backbones.build(name)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    (tmp_path / 'mine.yaml').write_text(DESCRIPTION)
    (tmp_path / 'mine.onnx').write_bytes(b'')
    with pytest.raises(FileError, match=r"pip install 'irvis_fusion_ros\[onnx\]'"):
        backbones.build(str(tmp_path / 'mine.yaml'))


def test_a_pt2_is_loaded_only_where_its_maker_is_trusted(tmp_path):
    name = own(tmp_path, '.pt2', 'weighed')
    path = tmp_path / 'mine.yaml'
    for text in (DESCRIPTION, DESCRIPTION + 'trusted: false\n'):
        path.write_text(text)
        with pytest.raises(FileError, match=r"mine\.pt2: .* run any code .* 'trusted: true' in mine\.yaml"):
            backbones.build(name)
    path.write_text(DESCRIPTION + 'trusted: true\n')
    (tmp_path / 'mine.pt2').write_bytes(b'no archive')
    with pytest.raises(FileError, match='no archive'):
        backbones.build(name)


def test_the_network_lies_beside_its_description(tmp_path):
    name = str(tmp_path / 'mine.yaml')
    (tmp_path / 'mine.yaml').write_text(DESCRIPTION)
    with pytest.raises(FileError, match=r'expected mine.onnx or mine.pt2 beside it, found neither'):
        backbones.build(name)
    for suffix in ('.pt2', '.onnx'):
        (tmp_path / f'mine{suffix}').write_bytes(b'')
    with pytest.raises(FileError, match=r'found mine.onnx and mine.pt2'):
        backbones.build(name)
    with pytest.raises(ValueError, match=r'name the YAML file beside it'):
        backbones.check(str(tmp_path / 'mine.onnx'))


@pytest.mark.slow
@pytest.mark.parametrize(
    'suffix',
    [
        '.pt2',
        pytest.param(
            '.onnx',
            marks=pytest.mark.skipif(not find_spec('onnxscript'), reason='onnxscript is not installed'),
        ),
    ],
)
def test_the_example_of_the_documentation(tmp_path, monkeypatch, images, suffix):
    page = (REPOSITORY / 'docs' / 'backbones.md').read_text()
    (code,) = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    (description,) = re.findall(r'```yaml\n(.*?)```', page, re.DOTALL)
    (pt2,) = re.findall(r'# or: (torch.export.save\(.*\)),', code)
    (onnx,) = re.findall(r'(torch.onnx.export\(.*\))  #', code)
    monkeypatch.chdir(tmp_path)
    scope = {}
    # what is documented is what is tested
    exec(code.replace(onnx, pt2) if suffix == '.pt2' else code, scope)
    trusted = description.replace('trusted: false', 'trusted: true')
    (tmp_path / 'mine.yaml').write_text(trusted if suffix == '.pt2' else description)
    visible, thermal = images
    with torch.no_grad():
        exact = scope['network'](thermal, visible)
    torch.testing.assert_close(backbones.build('mine.yaml')(visible, thermal), exact)
    assert (tmp_path / f'mine{suffix}').exists()
