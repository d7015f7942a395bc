"""
The report of a calibration: one HTML file that opens without a network.

It shows what was found and how sure it is, what to set in the node, how the clocks compare, what the frames
differ by over time and over the image, and pictures before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.io import atomic
from irvis_fusion_ros.rig import report_plots as plots
from irvis_fusion_ros.rig.estimate import Estimate
from irvis_fusion_ros.rig.pictures import data_uri, outlined

STYLE = """
body { font: 15px/1.45 sans-serif; color: #222; max-width: 1100px; margin: 24px auto; padding: 0 16px }
h1 { font-size: 22px } h2 { font-size: 17px; margin-top: 32px }
table { border-collapse: collapse } td, th { padding: 3px 14px 3px 0; text-align: left; vertical-align: top }
th { font-weight: normal; color: #555 } pre { background: #f3f3f3; padding: 10px; overflow-x: auto }
.note { border-left: 4px solid #e69f00; padding: 4px 10px; margin: 8px 0; background: #fdf6e7 }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin-bottom: 12px }
img, svg { max-width: 100%; height: auto } figure { margin: 0 } figcaption { color: #555; font-size: 13px }
"""


@dataclass(frozen=True)
class Sample:
    """A pair to be shown: H x W uint8 each; alignment: what it was found to be, None shows the rig alone."""

    name: str
    thermal: np.ndarray
    visible: np.ndarray
    alignment: Alignment | None = None


def write(path: Path, estimate: Estimate, samples: Sequence[Sample], recording: str, file: str) -> None:
    """
    Write the report of what was found, atomically.

    recording: what it was found from. file: the name of the calibration file. Raises FileError.
    """
    parts = [
        f'<h1>Calibration of a rig from {escape(recording)}</h1>',
        f'<p id="verdict">{escape(verdict(estimate))}</p>',
        *(f'<div class="note">{escape(note.text)}</div>' for note in estimate.notes),
    ]
    if estimate.calibration is not None:
        parts += [
            _section('What was found', _numbers(estimate)),
            _section('What to set', _advice(estimate, file)),
        ]
    if estimate.clock is not None:
        parts.append(_section('Clocks', _caption(plots.clock(estimate.clock), CLOCK)))
    if estimate.residuals and estimate.calibration is not None:
        over_time = plots.over_time(estimate.residuals) + plots.nearness(estimate.residuals)
        parts.append(_section('Over time', _caption(over_time, TIME)))
        over_image = plots.over_image(estimate.residuals, estimate.calibration.visible_shape)
        parts.append(_section('Over the image', _caption(over_image, IMAGE)))
    if samples:
        shown = ''.join(_shown(sample, estimate.calibration) for sample in samples)
        parts.append(_section('Pictures', f'<p>{PICTURES}</p>{shown}'))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Calibration of {escape(recording)}</title><style>{STYLE}</style></head>'
        f'<body>{"".join(parts)}</body></html>\n'
    )
    atomic.write(path, page.encode())


CLOCK = (
    'How alike both cameras move if this is added to the stamps of the thermal images. One narrow peak is a '
    'clock offset that can be told; a flat curve comes of a camera that hardly turned.'
)
TIME = (
    'What the pairs differ from the rig by, after the distance of the scene and their own shift are taken '
    'out, and how near the scene was. A step that stays is a rig that was knocked or zoomed.'
)
IMAGE = (
    'What the pairs that agree differ from the rig by at each place, in the mean. Arrows that turn round the '
    'middle or point outwards everywhere are a lens that the rig does not describe.'
)
PICTURES = (
    'The visible image with the outlines of the thermal image on it: on the left as both were recorded, on '
    'the right as the rig aligns them.'
)


def verdict(estimate: Estimate) -> str:
    """Say in one sentence what was found."""
    pairs = f'{estimate.used} of {len(estimate.residuals)} pairs'
    if estimate.calibration is None:
        return (
            f'No rig was found: {estimate.seen} pairs were looked at (confidence {estimate.confidence:.2f}).'
        )
    return (
        f'The rig was found: {pairs} agree with it, its transform is known to {estimate.uncertainty:.2f} px, '
        f'and its confidence is {estimate.confidence:.2f}.'
    )


def _section(title: str, content: str) -> str:
    return f'<h2>{title}</h2>{content}'


def _caption(content: str, text: str) -> str:
    return f'{content}<p>{text}</p>'


def _numbers(estimate: Estimate) -> str:
    rig = estimate.calibration
    (thermal_height, thermal_width), (height, width) = rig.thermal_shape, rig.visible_shape
    rows = {
        'Sizes': f'thermal {thermal_width}x{thermal_height}, visible {width}x{height}',
        'Matrix, thermal to visible pixels': '<br>'.join(
            ' &nbsp; '.join(f'{value:.6g}' for value in row) for row in rig.matrix
        ),
        'The transform is known to': f'{estimate.uncertainty:.2f} px (standard error, mean over the image)',
    }
    if rig.parallax:
        x, y = (-value for value in rig.parallax.direction)
        low, high = rig.parallax.range
        rows['Nearer objects lie towards'] = f'x {x:.3f}, y {y:.3f}'
        rows['How far, in this recording'] = f'{low:.1f} to {high:.1f} px'
    if rig.spread:
        values = ', '.join(f'{value:.2f}' for value in rig.spread)
        rows['What else differs from frame to frame'] = f'{values} px (standard deviations)'
    if rig.clock:
        milliseconds, error = 1e3 * rig.clock.seconds, 1e3 * rig.clock.error
        rows['To be added to thermal stamps'] = f'{milliseconds:.1f} &plusmn; {error:.1f} ms'
    elif estimate.clock is not None:
        rows['To be added to thermal stamps'] = escape(estimate.clock.reason)
    for name, lens in (('thermal', rig.thermal_lens), ('visible', rig.visible_lens)):
        if lens:
            values = ', '.join(f'{value:.4g}' for value in lens.coefficients)
            rows[f'Distortion of the {name} lens'] = f'{escape(lens.model)}: {values}'
    body = ''.join(f'<tr><th>{name}</th><td>{value}</td></tr>' for name, value in rows.items())
    return f'<table id="numbers">{body}</table>'


def _advice(estimate: Estimate, file: str) -> str:
    lines = [
        'fusion_node:',
        '  ros__parameters:',
        '    calibration:',
        '      source: file',
        f'      file: {file}',
        '      refine: true',
    ]
    sync = []
    if estimate.tolerance is not None:
        sync.append(f'      tolerance: {estimate.tolerance:.4g}')
    if estimate.calibration.clock:
        sync.append(f'      thermal_offset: {estimate.calibration.clock.seconds:.4f}')
    if sync:
        lines += ['    sync:', *sync]
    return f'<pre id="parameters">{escape(chr(10).join(lines))}</pre>'


def _shown(sample: Sample, rig: Calibration | None) -> str:
    shape = sample.visible.shape
    none = np.zeros((*shape, 2), np.float32)
    pictures = [('as recorded', outlined(sample.thermal, sample.visible, none))]
    alignment = sample.alignment
    if alignment is None and rig is not None:
        alignment = rig.alignment(sample.thermal.shape, shape)
    if alignment is not None:
        after = alignment.deformation(shape)
        pictures.append(('aligned by the rig', outlined(sample.thermal, sample.visible, after)))
    figures = ''.join(
        f'<figure><img alt="{escape(sample.name)} {what}" src="{data_uri(picture)}">'
        f'<figcaption>{escape(sample.name)}, {what}</figcaption></figure>'
        for what, picture in pictures
    )
    return f'<div class="pair">{figures}</div>'
