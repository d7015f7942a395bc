"""
The curves of a training run: `curve.csv`, and `curve.png` where matplotlib is installed.

Each row is one point: step, stage, series, value. Series are `train/TERM` (mean since the previous point),
`val/TERM`, `val/endpoint_error` and `val/identity_error` in pixels, and how alike the registered and the
unmoved thermal image are: `val/ncc` and `val/mse`, and `val/mncc` and `val/mmse` where both show the same.
The file contains no times, so an interrupted and resumed run writes the same file.
"""

import csv
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic

# Series that share a panel, with its title.
PANELS = {
    'endpoint_error': 'endpoint error, px',
    'identity_error': 'endpoint error, px',
    'ncc': 'correlation with the unmoved image',
    'mncc': 'correlation with the unmoved image',
    'mse': 'squared distance from the unmoved image',
    'mmse': 'squared distance from the unmoved image',
    'psnr': 'PSNR, dB',
    'psnr_before': 'PSNR, dB',
}
COLUMNS = ('step', 'stage', 'series', 'value')


class Curves:
    """
    The points in memory and in a file.

    Opening an existing file keeps its points up to `step`: later ones belong to steps that the resumed run
    repeats. Raises FileError for a file that is not a curve.
    """

    def __init__(self, path: Path, step: int = 0):
        self._path = path
        self._rows: list[tuple[int, str, str, float]] = []
        if step and path.is_file():
            self._rows = [row for row in _read(path) if row[0] <= step]

    def add(self, step: int, stage: str, values: Mapping[str, float]) -> None:
        """Add a point to several series."""
        self._rows += [(step, stage, series, float(f'{value:.6g}')) for series, value in values.items()]

    def save(self) -> None:
        """Write the file. Raises FileError if it cannot be written."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(COLUMNS)
        writer.writerows(self._rows)
        atomic.write(self._path, text.getvalue().encode())

    def draw(self, path: Path) -> None:
        """Draw one panel per term of the loss, with training and validation over the steps."""
        if not self._rows or importlib.util.find_spec('matplotlib') is None:
            return
        from matplotlib.figure import Figure  # imported here, so that training works without matplotlib

        series: dict[str, dict[str, tuple[list, list]]] = {}
        for step, _, name, value in self._rows:
            part, _, term = name.partition('/')
            panel = PANELS.get(term, term)
            line = f'{part} {term}' if panel != term else part
            steps, values = series.setdefault(panel, {}).setdefault(line, ([], []))
            steps.append(step)
            values.append(value)
        columns = min(3, len(series))
        rows = -(-len(series) // columns)
        figure = Figure((5 * columns, 3.2 * rows), layout='constrained')
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (panel, lines) in zip(axes, series.items(), strict=False):
            for line, (steps, values) in lines.items():
                axis.plot(steps, values, '.-' if len(steps) < 30 else '-', label=line, linewidth=1)
            axis.set(title=panel, xlabel='step')
            axis.grid(alpha=0.3)
            axis.legend(fontsize='small')
        for axis in axes[len(series) :]:
            axis.set_axis_off()
        image = io.BytesIO()
        figure.savefig(image, dpi=100, format='png')
        atomic.write(path, image.getvalue())


def _read(path: Path) -> list[tuple[int, str, str, float]]:
    try:
        with path.open(newline='') as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise ValueError('the first line is not ' + ','.join(COLUMNS))
            return [(int(step), stage, series, float(value)) for step, stage, series, value in reader]
    except (OSError, ValueError) as error:
        raise FileError(f'{path}: not a curve of a training run ({error})') from error
