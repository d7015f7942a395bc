"""Small fusion networks and their files, as a user would export them."""

import io
from functools import cache

import torch
from torch import nn

DIM = torch.export.Dim
DESCRIPTION = 'inputs: [{image: thermal}, {image: visible}]\n'
VISIBLE, THERMAL = 0.75, 0.25


class Weighed(nn.Module):
    """Three parts of visible and one of thermal brightness, by a convolution."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(2, 1, 1, bias=False)
        self.register_buffer('gain', torch.ones(1))
        with torch.no_grad():
            self.mix.weight.copy_(torch.tensor([THERMAL, VISIBLE]).view(1, 2, 1, 1))

    def forward(self, thermal, visible):
        return self.mix(torch.cat([thermal, visible], 1)) * self.gain


class Joined(Weighed):
    """The same, of one tensor whose sides are multiples of `cell`, which it needs."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, pair):
        coarse = nn.functional.pixel_unshuffle(self.mix(pair), self.cell)
        with torch.no_grad():
            gain = self.gain.clamp(0, 1)
        return nn.functional.pixel_shuffle(coarse, self.cell) * gain


class Several(Weighed):
    """Lists of outputs: the fused image is the third of four."""

    def forward(self, thermal, visible):
        fused = super().forward(thermal, visible)
        return [torch.maximum(thermal, visible), (fused * 2, fused)], thermal


class Normalised(Weighed):
    """The same after batch normalisation, by its learned statistics only if it is exported for evaluation."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, thermal, visible):
        return self.norm(super().forward(thermal, visible))


class Colour(nn.Module):
    """RGB and gray in, RGB out."""

    def forward(self, visible, thermal):
        return VISIBLE * visible + THERMAL * thermal


def expected(visible, thermal):
    """What each of them fuses."""
    return VISIBLE * visible + THERMAL * thermal


@cache
def pt2(kind):
    """
    Return the bytes of an archive.

    kind: weighed, several, normalised, training, fixed (batch 1), joined8, joined16 or colour.
    """
    plain = {'weighed': Weighed, 'fixed': Weighed, 'several': Several}
    plain |= {'normalised': Normalised, 'training': Normalised}
    if kind in plain:
        network, channels, batch, cell = plain[kind](), (1, 1), 1, 1
    elif kind == 'colour':
        network, channels, batch, cell = Colour(), (3, 1), 2, 1
    else:
        cell = int(kind.removeprefix('joined'))
        network, channels, batch = Joined(cell), (2,), 2
    images = tuple(torch.rand(batch, each, 64, 96) for each in channels)
    axes = {2: DIM('h', min=2, max=1024) * cell, 3: DIM('w', min=2, max=1024) * cell}
    if cell == 1:
        axes = {2: DIM('h', min=16), 3: DIM('w', min=16)}
    if batch > 1:
        axes[0] = DIM('b')
    shapes = None if kind == 'fixed' else tuple(axes for _ in images)
    network.train(kind == 'training')
    program = torch.export.export(network, images, dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def onnx(kind):
    """Return the bytes of an ONNX file: weighed, several, half, fixed, nan (batch 1), and joined."""
    from onnx import TensorProto, checker, helper

    sides = (64, 96) if kind == 'fixed' else ('h', 'w')
    images = {'pair': 2} if kind == 'joined' else {'thermal': 1, 'visible': 1}
    batch = 'b' if kind == 'joined' else 1

    kind_of_numbers = TensorProto.FLOAT16 if kind == 'half' else TensorProto.FLOAT

    def tensor(name, channels):
        return helper.make_tensor_value_info(name, kind_of_numbers, (batch, channels, *sides))

    share = float('nan') if kind == 'nan' else THERMAL
    weights = helper.make_tensor('mix', kind_of_numbers, (1, 2, 1, 1), [share, VISIBLE])
    nodes = [helper.make_node('Conv', ['pair', 'mix'], ['fused'])]
    if kind != 'joined':
        nodes.insert(0, helper.make_node('Concat', list(images), ['pair'], axis=1))
    outputs = [tensor('fused', 1)]
    if kind == 'several':
        nodes.append(helper.make_node('Max', list(images), ['brighter']))
        outputs = [tensor('pair', 2), tensor('brighter', 1), *outputs]
    graph = helper.make_graph(
        nodes, 'fusion', [tensor(*image) for image in images.items()], outputs, [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    checker.check_model(model)
    return model.SerializeToString()


def own(folder, suffix, kind, text=DESCRIPTION):
    """Write a network and its description to a folder; returns the path of the latter, a backbone's name."""
    (folder / f'mine{suffix}').write_bytes((pt2 if suffix == '.pt2' else onnx)(kind))
    path = folder / 'mine.yaml'
    path.write_text(f'{text}\ntrusted: true\n' if suffix == '.pt2' else text)
    return str(path)
