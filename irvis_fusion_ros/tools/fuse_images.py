"""
`fuse_images THERMAL_DIR VISIBLE_DIR OUT`: fuse the images of two folders, or of one, or of two videos.

Writes OUT/fused/STEM.png, OUT/registered/STEM.png (the thermal image on the visible grid, depth kept),
OUT/deformation/STEM.npy (of the thermal image, H x W x 2 float32 pixels, NaN outside), OUT/valid/STEM.png
(255 = inside and believed) and OUT/summary.json. A system that corrects the fused image adds
OUT/deformation_fused/STEM.npy (how it was moved, as above) and OUT/misregistration/STEM.npy (H x W float32
[0, 1], where it was found to be misaligned).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from irvis_fusion_ros import calibration, cli
from irvis_fusion_ros.data import folders
from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.imaging.scene_margins import roi_of
from irvis_fusion_ros.io import images
from irvis_fusion_ros.predictor import OF_CORRECTION, FusionResult, Predictor
from irvis_fusion_ros.systems import registry

NAMES_SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 1 if any image could not be fused."""
    options = _parse(argv)
    return cli.guarded('fuse_images', lambda: _run(options))


@dataclass
class Outcome:
    """
    What became of some pairs.

    fused: the summary of each pair (name, milliseconds, confidence, cold). skipped: by name why a pair was
    skipped, for a file that cannot be read or an image that cannot be used. noted: by code what the predictor
    said, and of which pairs.
    """

    fused: list[dict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    noted: dict[str, tuple[str, list[str]]] = field(default_factory=dict)


def fuse_folder(
    pairs: dict[str, tuple[folders.Source, folders.Source]], out: Path, predictor: Predictor
) -> Outcome:
    """Fuse pairs of files, by name, into `out`."""
    for name in ('fused', 'registered', 'deformation', 'valid'):
        (out / name).mkdir(parents=True, exist_ok=True)
    done = Outcome()
    for name, (thermal_file, visible_file) in cli.progress(pairs.items(), unit='pair', desc='fuse'):
        try:
            thermal, visible = folders.read(thermal_file), folders.read(visible_file)
            if not done.fused:
                predictor.warm_up(thermal.shape[:2], visible.shape[:2])
            result = predictor(thermal, visible)
        except ImageError as error:
            done.skipped[name] = f'{thermal_file}, {visible_file}: {error}'
            continue
        except FileError as error:
            done.skipped[name] = str(error)
            continue
        _write(result, name, out)
        for note in result.notes:
            done.noted.setdefault(note.code, (note.text, []))[1].append(name)
        done.fused.append(
            {
                'name': name,
                'milliseconds': result.timing['total'],
                'confidence': result.confidence,
                'cold': result.cold,
            }
        )
    return done


def _write(result: FusionResult, name: str, out: Path) -> None:
    images.write(out / 'fused' / f'{name}.png', result.fused)
    # PNG has neither signs nor floating point; TIFF keeps a radiometric image as it is
    suffix = '.png' if result.registered.dtype in (np.uint8, np.uint16) else '.tiff'
    images.write(out / 'registered' / f'{name}{suffix}', result.registered)
    images.write_array(out / 'deformation' / f'{name}.npy', result.deformation)
    for output in sorted(OF_CORRECTION):
        made = getattr(result, output)
        if made is not None:
            (out / output).mkdir(exist_ok=True)
            images.write_array(out / output / f'{name}.npy', made)
    images.write(out / 'valid' / f'{name}.png', result.valid)


def _run(options: argparse.Namespace) -> int:
    found = folders.find(options.thermal_dir, options.visible_dir, options.pattern, options.pairs)
    fixed = calibration.load(options.calibration) if options.calibration else None
    predictor = Predictor(
        options.system,
        temporal=options.sequence,
        calibration=fixed,
        refine=options.refine,
        targets=options.targets,
        highlight=options.highlight,
        thermal_roi=options.thermal_roi,
        visible_roi=options.visible_roi,
    )
    if found.pattern and not options.pattern:
        _complain(f"no stem is shared: paired by the pattern '{found.pattern}'")
    if found.unpaired:
        names = _listing([str(path) for path in found.unpaired])
        count = len(found.unpaired)
        _complain(f'{count} file(s) without a partner: {names}')
    outcome = fuse_folder(found.pairs, options.out, predictor)
    summary = {
        'preset': predictor.preset,
        'device': predictor.device,
        'pairs': outcome.fused,
        'deformation_of': 'thermal',
    }
    if predictor.backbone:
        summary['backbone'] = predictor.backbone
        summary['registration_first'] = predictor.config.registration_first
    cli.write_json(options.out / 'summary.json', summary)
    for text, names in outcome.noted.values():
        _complain(f'{len(names)} pair(s): {text} ({_listing(names)})')
    for reason in outcome.skipped.values():
        _complain(f'skipped {reason}')
    done = f'{len(outcome.fused)} pair(s) fused into {options.out}'
    print(f'{done}, {len(outcome.skipped)} skipped, {len(found.unpaired)} unpaired')
    return 1 if outcome.skipped else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='fuse_images',
        description='Fuse the images of two folders, or of one, paired by file stem; or of two videos.',
        epilog='OUT gets fused/, registered/, deformation/, valid/ and summary.json; with a preset that '
        'corrects the fused image also deformation_fused/ and misregistration/.',
    )
    parser.add_argument('thermal_dir', type=Path, metavar='THERMAL_DIR', help='8 or 16 bit, any size')
    parser.add_argument('visible_dir', type=Path, metavar='VISIBLE_DIR', help='colour or gray, any size')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder for the results; created')
    parser.add_argument(
        '--preset',
        default=registry.AUTO,
        metavar='P',
        help=f'{", ".join(registry.NAMES)} (default: auto, which registers best)',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    cli.add_fusion_choices(parser)
    cli.add_backend(parser)
    cli.add_target_choices(parser)
    parser.add_argument(
        '--sequence',
        action='store_true',
        help='the images are a video, in natural order of name; otherwise each pair is on its own',
    )
    parser.add_argument(
        '--calibration', type=Path, metavar='FILE', help='fixed transform (YAML) instead of search'
    )
    parser.add_argument(
        '--refine', action='store_true', help='fit each pair around the calibration, as far as the rig allows'
    )
    for name in ('thermal', 'visible'):
        parser.add_argument(
            f'--{name}-roi',
            type=_roi,
            default=(),
            metavar='X,Y,W,H',
            help=f'the part of the {name} images that is used, pixels; a W or H of 0 reaches to the edge',
        )
    cli.add_pairing(parser)
    options = parser.parse_args(argv)
    if options.refine and not options.calibration:
        parser.error('--refine needs --calibration FILE')
    try:
        options.system = cli.chosen_system(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def _roi(text: str) -> tuple[int, ...]:
    try:
        return roi_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} {error}') from error


def _listing(names: list[str]) -> str:
    more = f' and {len(names) - NAMES_SHOWN} more' if len(names) > NAMES_SHOWN else ''
    return ', '.join(names[:NAMES_SHOWN]) + more


def _complain(text: str) -> None:
    print(f'fuse_images: {text}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
