"""
Measures how well FusionRegister localises misregistration, with its evidence and without it.

    python -m irvis_fusion_ros.evaluation.localisation DATA... --split val --protocol fr [--weights FILE]

prints one line per backbone, with and without evidence. With --json it writes the records of all pairs:
`before` and `after`, the PSNR of a fused moved pair against the same backbone's fusion of the aligned pair,
before and after FusionRegister; `field`, the mean length of the effective field (2M - 1) phi, `error`, its
mean distance from the target field, and `displaced`, the mean length of that, in pixels where the moved image
is defined; `auc`, the area under the ROC curve of M for pixels whose sources are more than DISPLACED pixels
apart. The line has medians over pairs, except that `M: AUC` is computed over all pixels of all pairs
together, and M is its median over displaced and over other pixels.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from irvis_fusion_ros import cli
from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.backends.device import resolve_device
from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.data.displaced import DISPLACED, area_under_curve
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import runner
from irvis_fusion_ros.evaluation.metrics import similarity
from irvis_fusion_ros.evaluation.runner import Case
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers, misregistration
from irvis_fusion_ros.networks.fusion_register import FusionRegister, NetworkConfig

# Every n-th pixel along both axes enters the ROC curve over all pixels.
SAMPLE_STEP = 4
TITLES = (
    'backbone',
    'evidence',
    'pairs',
    'PSNR before',
    'after',
    'gain',
    'worst gain',
    'M: AUC',
    'of a pair',
)
TITLES += ('M displaced', 'M aligned', 'field px', 'wanted px', 'error px')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('localisation', lambda: _run(options))


@torch.inference_mode()
def measure(network: FusionRegister, backbone: Backbone, case: Case, device: str, alone: bool) -> dict:
    """Return the record of one moved pair, with a sample of M (`mask`) and of displaced pixels (`apart`)."""
    visible = layers.tensor_of(color.luminance(case.visible, 'bgr'), device)
    thermal, still = (layers.tensor_of(_apply_tone(image), device) for image in (case.thermal, case.still))
    fused, target = (backbone(visible, image) for image in (thermal, still))
    height, width = fused.shape[-2:]
    images = [layers.padded(image, network.multiple) for image in (fused, visible, thermal)]
    found = network(*images, alone=alone)
    truth = torch.from_numpy(case.known.truth()[0])[None].to(fused)
    wanted, _ = misregistration.content_displacement(fused, visible, thermal, truth)
    shown = torch.from_numpy(case.shown).to(fused.device)
    field = found.effective[0, :height, :width][shown]
    sampled = torch.zeros_like(shown)
    sampled[::SAMPLE_STEP, ::SAMPLE_STEP] = True
    sampled &= shown
    mask = found.mask[0, 0, :height, :width][sampled]
    apart = truth[0].norm(dim=-1)[sampled] > DISPLACED
    before, after, aligned = (
        image[0, 0, :height, :width].clamp(0, 1).cpu().numpy() for image in (fused, found.fused, target)
    )
    return {
        'before': similarity.psnr(before, aligned),
        'after': similarity.psnr(after, aligned),
        'field': float(field.norm(dim=-1).mean()),
        'displaced': float(wanted[0][shown].norm(dim=-1).mean()),
        'error': float((field - wanted[0][shown]).norm(dim=-1).mean()),
        'auc': area_under_curve(mask, apart),
        'mask': mask.cpu(),
        'apart': apart.cpu(),
    }


def summarise(records: Sequence[dict]) -> list[str]:
    """Return the cells of a table row for the records of one backbone, starting with the number of pairs."""
    mask, apart = (torch.cat([record[name] for record in records]) for name in ('mask', 'apart'))
    gains = [record['after'] - record['before'] for record in records]
    medians = {
        name: float(np.median([record[name] for record in records]))
        for name in ('before', 'after', 'auc', 'field', 'displaced', 'error')
    }
    of_either = [float(mask[kind].median()) if kind.any() else float('nan') for kind in (apart, ~apart)]
    return [
        str(len(records)),
        f'{medians["before"]:.1f}',
        f'{medians["after"]:.1f}',
        f'{np.median(gains):+.2f}',
        f'{min(gains):+.2f}',
        f'{area_under_curve(mask, apart):.3f}',
        f'{medians["auc"]:.3f}',
        *(f'{value:.3f}' for value in of_either),
        *(f'{medians[name]:.2f}' for name in ('field', 'displaced', 'error')),
    ]


def network_of(path: Path | None) -> FusionRegister:
    """Return the trained network of a file, or of the package. Raises FileError for wrong weights."""
    if path is None:
        return weights.built(_untrained, 'fusion_register', 'fusion_register')
    saved = weights.read(path, 'fusion_register')
    try:
        network = _untrained(saved.config)
        network.load_state_dict(saved.state)
    except (RuntimeError, KeyError, TypeError) as error:
        raise FileError(f'{path}: weights of another version of this network ({error})') from error
    return network


def _untrained(config: dict) -> FusionRegister:
    return FusionRegister(NetworkConfig(**config['network']))


def _apply_tone(thermal: np.ndarray) -> np.ndarray:
    tone = ThermalTone()
    tone.update(thermal)
    return tone.apply(thermal)


def _run(options: argparse.Namespace) -> int:
    network = network_of(options.weights).to(options.device, memory_format=torch.channels_last).eval()
    pairs = [
        pair
        for folder in options.data
        for pair in datasets.select(datasets.aligned(folder), options.split, options.limit)
    ]
    cases = [
        case
        for pair in pairs
        for case in _cases(pair, options)
        if not np.array_equal(case.thermal, case.still)
    ]
    if not cases:
        raise FileError(f"protocol '{options.protocol}' moves no pair: nothing is displaced there")
    ways = (True, False) if network.config.evidence else (True,)
    rows, kept = [], []
    for name in options.backbone:
        backbone = backbones.build(name, options.device)
        for alone in ways:
            records = [
                measure(network, backbone, case, options.device, alone)
                for case in cli.progress(cases, desc=f'{name}, {"alone" if alone else "told"}')
            ]
            rows.append([name, 'withheld' if alone else 'given', *summarise(records)])
            for case, record in zip(cases, records, strict=True):
                about = {'pair': case.pair.name, 'backbone': name, 'alone': alone}
                kept.append(about | {key: record[key] for key in record if key not in ('mask', 'apart')})
    print(_table([list(TITLES), *rows]))
    if options.json:
        cli.write_json(options.json, {'protocol': options.protocol, 'seed': options.seed, 'records': kept})
    return 0


def _cases(pair: datasets.ImagePair, options: argparse.Namespace) -> list[Case]:
    return list(runner.cases(pair, options.protocol, options.seed))


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='localisation',
        description='Measure what FusionRegister finds by itself, with and without its evidence.',
    )
    parser.add_argument('data', nargs='+', type=Path, metavar='DATA', help='aligned data sets (ir, vi)')
    parser.add_argument('--weights', type=Path, metavar='FILE', help='of a run (default: of the package)')
    parser.add_argument('--backbone', nargs='+', default=['average'], metavar='B', help='default: average')
    parser.add_argument('--protocol', default='fr', choices=[n for n in protocols.NAMES if n != 'natural'])
    parser.add_argument('--split', choices=datasets.PARTS, default='val', help='default: val')
    parser.add_argument('--limit', type=cli.positive, metavar='N', help='at most N pairs of each data set')
    parser.add_argument('--seed', type=int, default=0, help='another draw of the warps (default: 0)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--json', type=cli.new_file, metavar='F', help='write the records here')
    options = parser.parse_args(argv)
    try:
        options.device = resolve_device(options.device, ('cuda', 'cpu'))
        for name in options.backbone:
            backbones.check(name)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())
