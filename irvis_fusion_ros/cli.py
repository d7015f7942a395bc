"""
What the executables share.

Argument types, progress bars, and how each ends (0, or one clear line and another code).
"""

import argparse
import contextlib
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from irvis_fusion_ros.backbones.table import BACKBONES
from irvis_fusion_ros.data.folders import PRESETS
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig


def guarded(program: str, work: Callable[[], int]) -> int:
    """Run `work`; an error that the user can mend becomes one line on stderr and exit code 1."""
    try:
        with ended_by_sigterm():
            return work()
    except (FileError, OSError) as error:
        print(f'{program}: error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{program}: interrupted', file=sys.stderr)
        return 130


def progress(*arguments: Any, **options: Any) -> tqdm:
    """Return a progress bar on stderr; in a log file it is drawn now and then, not ten times a second."""
    return tqdm(*arguments, mininterval=0.1 if sys.stderr.isatty() else 10, **options)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does, so that worker processes and files are not left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def positive(text: str) -> int:
    """Argument type: a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def above_zero(text: str) -> float:
    """Argument type: a number above 0."""
    if not 0 < (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def not_negative(text: str) -> float:
    """Argument type: a number that is not below 0."""
    if not 0 <= (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 on")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def size(text: str) -> tuple[int, int]:
    """Argument type: width and height, as WxH."""
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT, such as 640x512")
    return int(width), int(height)


def new_file(text: str) -> Path:
    """Argument type: a file to be written, whose folder is checked before the work instead of after it."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f'no such folder: {path.parent}')
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{path} is a folder, not a file to write')
    return path


def add_fusion_choices(parser: argparse.ArgumentParser) -> None:
    """Add --backbone and --registration-first."""
    parser.add_argument(
        '--backbone',
        default='',
        metavar='B',
        help='fusion network of a preset that lets one choose it: '
        f'{", ".join(BACKBONES)}, or the YAML file beside a network of your own',
    )
    parser.add_argument(
        '--registration-first',
        default=registry.AUTO,
        metavar='P',
        help='what registers the thermal image for a preset that does not: '
        f'{", ".join(registry.FIRST)} (default: auto, which registers best)',
    )


def add_show_targets(parser: argparse.ArgumentParser) -> None:
    """Add --show-targets, which the predictor calls targets."""
    parser.add_argument(
        '--show-targets',
        choices=registry.TARGETS,
        default='warm',
        help='which things that stand out of the thermal image the fusion shows (default: warm)',
    )


def add_target_choices(parser: argparse.ArgumentParser) -> None:
    """Add --targets and --highlight."""
    parser.add_argument(
        '--targets',
        choices=registry.TARGETS,
        default='warm',
        help='which things that stand out of the thermal image are always seen (default: warm)',
    )
    parser.add_argument(
        '--highlight',
        choices=registry.HIGHLIGHTS,
        default='none',
        help='tint colours these things for human eyes (default: none)',
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add --backend."""
    parser.add_argument(
        '--backend',
        default='auto',
        metavar='R',
        help=f'what runs the networks of a preset: {", ".join(registry.BACKENDS)} (default: auto)',
    )


def chosen_system(
    options: argparse.Namespace, presets: Mapping[str, registry.Preset] = registry.PRESETS
) -> SystemConfig:
    """
    Return the system that --preset, --device and the choices above stand for.

    Raises ChoiceError for what does not go together.
    """
    return SystemConfig(
        options.preset, options.device, options.backbone, options.registration_first, options.backend, presets
    )


def add_pairing(parser: argparse.ArgumentParser) -> None:
    """Add --pattern and --pairs; `folders.find` judges them."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--pattern',
        metavar='P',
        help="what the files of a pair are called, THERMAL:VISIBLE such as '*_T:*_W' (both may lie in one "
        f'folder), or one of {", ".join(PRESETS)} (default: one stem, or a pattern that is known)',
    )
    how.add_argument(
        '--pairs',
        type=Path,
        metavar='F',
        help='a list instead: a pairs.json (name, ir, vi), or lines of a thermal and a visible file',
    )


def add_bag_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options of what fuses a bag; `offline.parameters` and `offline.source` judge them."""
    parser.add_argument(
        '--params', type=Path, metavar='F', help='parameters of the node, a YAML file as ROS 2 has it'
    )
    parser.add_argument('--preset', metavar='P', help='instead of that of the parameters')
    parser.add_argument('--device', metavar='D', help='instead of that of the parameters')
    parser.add_argument('--thermal', metavar='TOPIC', help='thermal images (default: thermal/image_raw)')
    parser.add_argument('--visible', metavar='TOPIC', help='visible images (default: visible/image_raw)')


def write_json(path: Path, content: dict | list) -> None:
    """Write a result file for people and programs; JSON has no infinity and no NaN, so these become null."""
    path.write_text(json.dumps(_finite(content), indent=1, allow_nan=False) + '\n')


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
