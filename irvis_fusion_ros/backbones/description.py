"""
The YAML file beside a network of the user's own, which states its inputs and outputs.

    inputs:                       # visible and thermal, in the order in which the network takes them
      - image: thermal
      - image: visible
        colour: rgb               # 3 channels, the colours; repeated: 3 of brightness; luminance*: 1
        range: [0, 255]           # what black and white are to the network; [0, 1]*
        mean: [0.485, 0.456, 0.406]  # what is subtracted after that, of each channel or of all; 0*
        std: [0.229, 0.224, 0.225]   # what the difference is divided by; 1*
    joined: false*                # true: one tensor, the images one behind the other along its channels
    multiple: 8                   # sides of an image must be multiples of it; 1*
    output:
      colour: luminance*          # rgb: the colours of the fused image, if the visible image is rgb, too
      range: [0, 1]*              # and mean and std, as of an input
      index: 0                    # which one of several outputs; needed where there are several
    trusted: true                 # a .pt2 alone: whoever made it may run code on this machine; false*

A star marks the defaults. The thermal image has no colours: its brightness is repeated where it is rgb.
"""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import yaml_file

IMAGES = ('visible', 'thermal')
CHANNELS = {'luminance': 1, 'repeated': 3, 'rgb': 3}
LARGEST_MULTIPLE = 256
# Keys of a layout, and the defaults of those that are values of a channel.
VALUES = ('colour', 'range', 'mean', 'std')
DEFAULTS = {'mean': 0, 'std': 1}


@dataclass(frozen=True)
class Layout:
    """
    Layout of one image: `channels` planes, with black at range[0] and white at range[1].

    From these, `mean` is subtracted, and the difference is divided by `std`: one value, or one per channel.
    """

    colour: str = 'luminance'
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def channels(self) -> int:
        """Return the number of planes."""
        return CHANNELS[self.colour]

    @property
    def levels(self) -> tuple[tuple[float, float], ...]:
        """Return the values of black and white to the network, of one channel for all or of each."""
        count = max(len(self.mean), len(self.std))
        spread = (values * count if len(values) == 1 else values for values in (self.mean, self.std))
        return tuple(
            tuple((limit - mean) / std for limit in self.range) for mean, std in zip(*spread, strict=True)
        )


@dataclass(frozen=True)
class Description:
    """
    order: 'visible' and 'thermal' in the order of the inputs; inputs: their layouts, in that order. index:
    which output is the fused image, None for the only one.
    """

    order: tuple[str, str]
    inputs: tuple[Layout, Layout]
    joined: bool = False
    multiple: int = 1
    output: Layout = Layout()
    trusted: bool = False
    index: int | None = None

    @property
    def takes_rgb(self) -> bool:
        """Return whether the network takes the colours of the visible image."""
        return self.inputs[self.order.index('visible')].colour == 'rgb'

    @property
    def gives_rgb(self) -> bool:
        """Return whether the colours of its output are those of the scene."""
        return self.takes_rgb and self.output.colour == 'rgb'

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the channels of each tensor that the network takes."""
        each = tuple(layout.channels for layout in self.inputs)
        return (sum(each),) if self.joined else each


def read(path: Path) -> Description:
    """Return the description in a YAML file. Raises FileError with the expected and the found value."""
    content = yaml_file.read(path, 'the description of the network')
    try:
        return _parse(content)
    except ValueError as error:
        raise FileError(f'{path}: {str(error)[:500]}') from error


def _parse(content: Any) -> Description:
    content = _keys(content, 'the file', ('inputs',), ('joined', 'multiple', 'output', 'trusted'))
    inputs = content['inputs']
    if not isinstance(inputs, list) or len(inputs) != 2:
        raise ValueError(f"expected 'inputs' to be a list of two images, found {inputs!r}")
    order, layouts = [], []
    for index, entry in enumerate(inputs):
        name = f'inputs[{index}]'
        entry = _keys(entry, f"'{name}'", ('image',), VALUES)
        image = entry.pop('image')
        _one_of(image, IMAGES, f'{name}.image')
        order.append(image)
        layouts.append(_layout(entry, name))
    if order[0] == order[1]:
        raise ValueError(f"expected 'inputs' to be visible and thermal, found {order[0]} twice")
    joined, trusted = (_flag(content, name) for name in ('joined', 'trusted'))
    multiple = content.get('multiple', 1)
    if type(multiple) is not int or not 1 <= multiple <= LARGEST_MULTIPLE:
        raise ValueError(
            f"expected 'multiple' to be a whole number from 1 to {LARGEST_MULTIPLE}, found {multiple!r}"
        )
    output = _keys(content.get('output', {}), "'output'", (), (*VALUES, 'index'))
    index = output.get('index')
    if index is not None and (type(index) is not int or index < 0):
        raise ValueError(f"expected 'output.index' to be a whole number from 0 on, found {index!r}")
    layout = _layout(output, 'output')
    return Description(tuple(order), tuple(layouts), joined, multiple, layout, trusted, index)


def _flag(content: dict, name: str) -> bool:
    value = content.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"expected '{name}' to be true or false, found {value!r}")
    return value


def _layout(entry: dict, name: str) -> Layout:
    colour = entry.get('colour', 'luminance')
    _one_of(colour, tuple(CHANNELS), f'{name}.colour')
    limits = entry.get('range', [0, 1])
    numbers = isinstance(limits, list) and [type(limit) in (int, float) for limit in limits] == [True, True]
    if not numbers or not -inf < limits[0] < limits[1] < inf:
        raise ValueError(
            f"expected '{name}.range' to be two rising numbers, black and white, found {limits!r}"
        )
    mean, std = (_channel_values(entry, key, name, CHANNELS[colour]) for key in ('mean', 'std'))
    if min(std) <= 0:
        raise ValueError(f"expected '{name}.std' to be above 0, found {entry['std']!r}")
    return Layout(colour, (float(limits[0]), float(limits[1])), mean, std)


def _channel_values(entry: dict, key: str, name: str, channels: int) -> tuple[float, ...]:
    found = entry.get(key, DEFAULTS[key])
    values = found if isinstance(found, list) else [found]
    if len(values) not in (1, channels) or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"expected '{name}.{key}' to be a number or a list of {channels}, found {found!r}")
    return tuple(float(value) for value in values)


def _keys(content: Any, name: str, needed: tuple[str, ...], more: tuple[str, ...]) -> dict:
    valid = ', '.join((*needed, *more))
    if not isinstance(content, dict):
        raise ValueError(f'expected {name} to be keys with values ({valid}), found {content!r}')
    for key in content:
        if key not in needed + more:
            raise ValueError(f"unknown key '{key}' in {name}; valid: {valid}")
    for key in needed:
        if key not in content:
            raise ValueError(f"no key '{key}' in {name}, found {', '.join(map(str, content)) or 'nothing'}")
    return dict(content)


def _one_of(value: Any, valid: tuple[str, ...], name: str) -> None:
    if value not in valid:
        raise ValueError(f"expected '{name}' to be {' or '.join(valid)}, found {value!r}")
