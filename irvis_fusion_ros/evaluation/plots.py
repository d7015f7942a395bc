"""Plots of the results of `evaluate`: error distributions, a scatter plot of pairs, and contact sheets."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation.metrics import registration
from irvis_fusion_ros.evaluation.runner import Case, cases
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone

# Smaller errors are drawn at this value, because the axis is logarithmic.
SMALLEST = 0.05


def check() -> None:
    """Raise FileError, with the remedy, if matplotlib is missing."""
    if importlib.util.find_spec('matplotlib') is None:
        raise FileError('--plots needs matplotlib: pip install "irvis_fusion_ros[plots]"')


def draw(plan, result: dict, folder: Path) -> Iterator[Path]:
    """
    Write the plots of a result of `evaluate` into a folder; yields each path when it is written.

    errors.png: for each protocol, the share of pairs whose endpoint error is below a value. scatter.png: the
    error of each pair after registration against before. confidence.png: the error against the confidence of
    the method. pairs_PRESET_PROTOCOL.png: the best, the median and the worst pair, with inputs and outputs of
    the method.
    """
    yield _errors(plan, result['records'], folder / 'errors.png')
    yield _scatter(plan, result['records'], folder / 'scatter.png')
    yield _confidence(plan, result['records'], folder / 'confidence.png')
    runner = plan.runner()
    pairs = _pairs(plan)
    for protocol in plan.protocols:
        for preset in plan.presets:
            records = _records(result['records'], preset, protocol)
            yield _contact_sheet(runner, pairs, records, plan.seed, folder / f'pairs_{preset}_{protocol}.png')


def _errors(plan, records: list[dict], path: Path) -> Path:
    figure, axes = _grid(len(plan.protocols))
    limits = (SMALLEST, 1.2 * _largest(records, 'endpoint_error'))
    for axis, protocol in zip(axes, plan.protocols, strict=False):
        for preset in plan.presets:
            errors = _values(records, preset, protocol, 'endpoint_error')
            axis.step(
                np.sort(errors), np.arange(1, len(errors) + 1) / len(errors), where='post', label=preset
            )
        axis.set(title=protocol, xlabel='endpoint error, px', ylabel='share of pairs')
        axis.set(xscale='log', xlim=limits, ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].legend()
    return _save(figure, path)


def _scatter(plan, records: list[dict], path: Path) -> Path:
    figure, axes = _grid(len(plan.protocols))
    ends = (
        SMALLEST,
        1.2 * max(max(found['identity_error'], found['endpoint_error']) for found in records) + 1,
    )
    for axis, protocol in zip(axes, plan.protocols, strict=False):
        for preset in plan.presets:
            before = _values(records, preset, protocol, 'identity_error')
            axis.plot(
                before, _values(records, preset, protocol, 'endpoint_error'), '.', label=preset, alpha=0.6
            )
        axis.plot(ends, ends, color='gray', linewidth=1)
        axis.set(
            title=protocol, xscale='log', yscale='log', xlabel='error before, px', ylabel='error after, px'
        )
        axis.grid(alpha=0.3)
    axes[0].legend()
    return _save(figure, path)


def _confidence(plan, records: list[dict], path: Path) -> Path:
    figure, axes = _grid(len(plan.protocols))
    for axis, protocol in zip(axes, plan.protocols, strict=False):
        for preset in plan.presets:
            confidence = [record['confidence'] for record in _records(records, preset, protocol)]
            errors = _values(records, preset, protocol, 'endpoint_error')
            rank = registration.rank_correlation(confidence, -errors)
            label = preset if rank is None else f'{preset}, rank correlation {rank:.2f}'
            axis.plot(confidence, errors, '.', label=label, alpha=0.6)
        axis.set(title=protocol, yscale='log', xlabel='confidence', ylabel='endpoint error, px')
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')
    return _save(figure, path)


def _contact_sheet(runner, pairs: dict, records: list[dict], seed: int, path: Path) -> Path:
    ranked = sorted(records, key=lambda record: record['endpoint_error'])
    chosen = {'best': ranked[0], 'median': ranked[len(ranked) // 2], 'worst': ranked[-1]}
    figure, axes = _grid(5 * len(chosen), columns=5)
    for row, (title, record) in enumerate(chosen.items()):
        pair = pairs[record['protocol'] == protocols.NATURAL][record['pair']]
        case = next(case for case in cases(pair, record['protocol'], seed) if case.warp == record['warp'])
        panels = _panels(runner, record['preset'], case)
        for axis, (name, image, options) in zip(axes[row * 5 :], panels, strict=False):
            shown = axis.imshow(image, **options)
            axis.set_title(name or f'{title}: {pair.name}, {record["endpoint_error"]:.2f} px')
            axis.set_axis_off()
            if 'vmax' in options and options.get('cmap') != 'gray':
                figure.colorbar(shown, ax=axis, shrink=0.7)
    return _save(figure, path)


def _panels(runner, preset: str, case: Case) -> list[tuple[str, np.ndarray, dict]]:
    result = runner.predict(preset, case.thermal, case.visible, case.pair.name)
    tone = ThermalTone()
    tone.update(case.target)
    found = registration.Registration(result.deformation, result.transform)
    errors = registration.endpoint_errors(case.known, registration.extrapolate(found))
    errors = np.where(case.shown, errors, np.nan)
    gray = {'cmap': 'gray', 'vmin': 0, 'vmax': 1}
    visible = case.visible if case.visible.ndim == 2 else case.visible[..., ::-1]
    fused = result.fused if result.fused.ndim == 2 else result.fused[..., ::-1]
    return [
        ('', visible, {'cmap': 'gray'}),
        ('thermal as seen', tone.apply(case.thermal), gray),
        (
            'registered (red) on visible (cyan)',
            _overlay(tone.apply(result.registered), color.luminance(case.visible, 'bgr')),
            {},
        ),
        ('fused', fused, {'cmap': 'gray'}),
        ('error, px', errors, {'cmap': 'viridis', 'vmin': 0, 'vmax': max(1.0, float(np.nanmax(errors)))}),
    ]


def _overlay(registered: np.ndarray, visible: np.ndarray) -> np.ndarray:
    return np.dstack([registered, visible, visible])


def _pairs(plan) -> dict:
    """Return pairs by whether they are natural, and by name."""
    found = {}
    for natural, load in ((False, datasets.aligned), (True, datasets.natural)):
        if any((name == protocols.NATURAL) == natural for name in plan.protocols):
            found[natural] = {pair.name: pair for pair in load(plan.data)}
    return found


def _records(records: list[dict], preset: str, protocol: str) -> list[dict]:
    return [record for record in records if (record['preset'], record['protocol']) == (preset, protocol)]


def _values(records: list[dict], preset: str, protocol: str, key: str) -> np.ndarray:
    values = [record[key] for record in _records(records, preset, protocol)]
    return np.maximum(values, SMALLEST)


def _largest(records: list[dict], key: str) -> float:
    return max(1.0, *(record[key] for record in records))


def _grid(count: int, columns: int = 3):
    # the classes instead of pyplot, which would need a window system and keep global state
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes


def _save(figure, path: Path) -> Path:
    figure.savefig(path, dpi=100)
    return path
