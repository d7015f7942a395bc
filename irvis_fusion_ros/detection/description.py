"""
The YAML file that says what a detector in ONNX takes and gives.

    model: nanodet.onnx         # path of the network, relative to this file
    output: nanodet             # nanodet, yolov5 or yolov8 (also yolo11): how boxes are read from its outputs
    size: [416, 416]            # width and height that the network takes
    colour: bgr                 # rgb*, bgr: order of its three channels
    fit: letterbox*             # letterbox* keeps the aspect and fills with gray; stretch does not
    mean: [103.53, 116.28, 123.675]   # [0, 0, 0]*: taken from values 0 to 255, in the order of the channels
    std: [57.375, 57.12, 58.395]      # [255, 255, 255]*: what is left is divided by it
    strides: [8, 16, 32]        # [8, 16, 32]*: pixels between the cells of each output; nanodet alone
    classes: [person, car]      # names, in the order of the scores
    report: [person]            # which of them are of interest; all*
    score: 0.3                  # least score; 0.3*
    overlap: 0.5                # boxes of one class that overlap more are one; 0.5*
    tile: 640                   # 0*: larger images are also cut into overlapping tiles of this side

A star marks what is meant where nothing is said.
"""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import yaml_file

OUTPUTS = ('nanodet', 'yolov5', 'yolov8', 'yolo11')
COLOURS = ('rgb', 'bgr')
FITS = ('letterbox', 'stretch')


@dataclass(frozen=True)
class Description:
    """What the file says; `model` is an absolute path. See the module for each key."""

    model: Path
    output: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    colour: str = 'rgb'
    fit: str = 'letterbox'
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    strides: tuple[int, ...] = (8, 16, 32)
    report: tuple[str, ...] = ()
    score: float = 0.3
    overlap: float = 0.5
    tile: int = 0


def read(path: Path) -> Description:
    """Return the description in a YAML file; raises FileError with what was expected and found."""
    content = yaml_file.read(path, 'the description of the detector')
    try:
        return _described(content, path.resolve().parent)
    except ValueError as error:
        raise FileError(f'{path}: {error}') from error


def _described(content: Any, folder: Path) -> Description:
    valid = tuple(field.name for field in fields(Description))
    if not isinstance(content, dict):
        raise ValueError(f'expected keys with values ({", ".join(valid)}), found {content!r}')
    for key in content:
        if key not in valid:
            raise ValueError(f"unknown key '{key}'; valid: {', '.join(valid)}")
    for key in ('model', 'output', 'size', 'classes'):
        if key not in content:
            raise ValueError(f"no key '{key}', found {', '.join(map(str, content)) or 'nothing'}")
    found = {name: _CHECKS[name](content[name], name) for name in content}
    found['model'] = folder / found['model']
    unknown = [name for name in found.get('report', ()) if name not in found['classes']]
    if unknown:
        raise ValueError(f"'report' names '{unknown[0]}', which is none of 'classes'")
    return Description(**found)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected '{name}' to be a text, found {value!r}")
    return value


def _one_of(*valid: str):
    def check(value: Any, name: str) -> str:
        if value not in valid:
            raise ValueError(f"expected '{name}' to be {' or '.join(valid)}, found {value!r}")
        return value

    return check


def _numbers(count: int | None, kind: type, least: float):
    def check(value: Any, name: str) -> tuple:
        known = (int,) if kind is int else (int, float)
        right = isinstance(value, list) and value and all(type(each) in known for each in value)
        if (
            not right
            or (count and len(value) != count)
            or any(not least <= each < math.inf for each in value)
        ):
            many = f'{count} numbers' if count else 'numbers'
            raise ValueError(
                f"expected '{name}' to be a list of {many} of at least {least:g}, found {value!r}"
            )
        return tuple(kind(each) for each in value)

    return check


def _names(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError(f"expected '{name}' to be a list of names, found {value!r}")
    return tuple(value)


def _share(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"expected '{name}' to be a number between 0 and 1, found {value!r}")
    return float(value)


def _side(value: Any, name: str) -> int:
    if type(value) is not int or not (value == 0 or value >= 32):
        raise ValueError(f"expected '{name}' to be 0 or at least 32 pixels, found {value!r}")
    return value


_CHECKS = {
    'model': _text,
    'output': _one_of(*OUTPUTS),
    'size': _numbers(2, int, 32),
    'classes': _names,
    'colour': _one_of(*COLOURS),
    'fit': _one_of(*FITS),
    'mean': _numbers(3, float, 0),
    'std': _numbers(3, float, 1e-6),
    'strides': _numbers(None, int, 1),
    'report': _names,
    'score': _share,
    'overlap': _share,
    'tile': _side,
}
