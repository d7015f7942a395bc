"""Tables of the summaries of `evaluate`, in plain text and Markdown."""

from collections.abc import Callable

# title, value of a summary, format
Column = tuple[str, Callable[[dict], float | None], str]

REGISTRATION: tuple[Column, ...] = (
    ('pairs', lambda s: s['pairs'], 'd'),
    ('consist.', lambda s: s['consistency'], '.2f'),
    ('its median', lambda s: s['consistency_median'], '.2f'),
    ('its worst', lambda s: s['consistency_worst'], '.1f'),
    ('mean px', lambda s: s['endpoint_error']['mean'], '.2f'),
    ('median', lambda s: s['endpoint_error']['median'], '.2f'),
    ('worst', lambda s: s['endpoint_error']['worst'], '.1f'),
    ('<1 px', lambda s: s['under_1px'], '.0%'),
    ('<3 px', lambda s: s['under_3px'], '.0%'),
    ('worse', lambda s: s['made_worse'], '.1%'),
    ('NCC', lambda s: s['ncc'], '.3f'),
    ('MSE', lambda s: s['mse'], '.4f'),
    ('MI', lambda s: s['mi'], '.3f'),
    ('MNCC', lambda s: s['mncc'], '.3f'),
    ('MMSE', lambda s: s['mmse'], '.4f'),
    ('rank', lambda s: s['confidence_rank'], '.2f'),
    ('missing', lambda s: s['missing'], '.1%'),
    ('ms', lambda s: s['milliseconds']['median'], '.0f'),
    ('ms worst', lambda s: s['milliseconds']['worst'], '.0f'),
)

BIAS: tuple[Column, ...] = (
    ('pairs', lambda s: s['pairs'], 'd'),
    ('bias x', lambda s: s['bias'][0], '+.2f'),
    ('bias y', lambda s: s['bias'][1], '+.2f'),
    ('+-', lambda s: s['uncertainty'], '.2f'),
    ("label's", lambda s: s['shared'], '.2f'),
    ('own', lambda s: s['own'], '.2f'),
)

BELIEVED: tuple[Column, ...] = (
    ('pairs', lambda s: s['pairs'], 'd'),
    ('wrong', lambda s: s['wrong'], '.1%'),
    ('median px', lambda s: s['median'], '.2f'),
    ('worst', lambda s: s['worst'], '.1f'),
)


def _fusion_column(title: str, name: str, style: str) -> Column:
    return title, lambda summary: summary['fusion'][name], style


FUSION: tuple[Column, ...] = tuple(
    _fusion_column(*column)
    for column in (
        ('EN', 'en', '.2f'),
        ('SF', 'sf', '.1f'),
        ('AG', 'ag', '.2f'),
        ('SD', 'sd', '.1f'),
        ('MG', 'mg', '.1f'),
        ('EI', 'ei', '.1f'),
        ('CE', 'ce', '.2f'),
        ('CC', 'cc', '.3f'),
        ('MI', 'mi', '.2f'),
        ('SSIM', 'ssim', '.3f'),
        ('MS-SSIM', 'ms_ssim', '.3f'),
        ('VIF', 'vif', '.3f'),
        ('VIFF', 'viff', '.3f'),
        ('Qabf', 'qabf', '.3f'),
        ('FMI_w', 'fmi_w', '.3f'),
        ('Q_cv', 'q_cv', '.0f'),
        ('edge F', 'edge_f', '.3f'),
        ('PSNR', 'psnr', '.1f'),
        ('SSIM to aligned', 'ssim_aligned', '.3f'),
        ('PSNR shown', 'psnr_shown', '.1f'),
        ('SSIM shown', 'ssim_aligned_shown', '.3f'),
    )
)

VIDEO: tuple[Column, ...] = (
    ('video', lambda s: s['video'], 's'),
    ('frames', lambda s: s['frames'], 'd'),
    ('mean px', lambda s: s['endpoint_error'], '.2f'),
    ('worst', lambda s: s['endpoint_error_worst'], '.1f'),
    ('jitter px', lambda s: s['jitter'], '.3f'),
    ('worst jitter', lambda s: s['jitter_worst'], '.2f'),
    ('wander px', lambda s: s['wander'], '.3f'),
    ('flicker', lambda s: s['flicker'], '.2f'),
    ('excess', lambda s: s['excess_change'], '.2f'),
    ('ms', lambda s: s['milliseconds']['median'], '.0f'),
    ('ms worst', lambda s: s['milliseconds']['worst'], '.0f'),
)

TARGETS: tuple[Column, ...] = (
    ('picture', lambda s: s['picture'], 's'),
    ('targets', lambda s: s['targets'], 'd'),
    ('kept', lambda s: s['kept'], '.3f'),
    ('of thermal', lambda s: s['kept_of_thermal'], '.3f'),
)

RECORDED: tuple[Column, ...] = (
    ('pairs', lambda s: s['pairs'], 'd'),
    ('edges before', lambda s: s['overlap_before'], '.3f'),
    ('edges', lambda s: s['overlap'], '.3f'),
    ('MI before', lambda s: s['mi_before'], '.3f'),
    ('MI', lambda s: s['mi'], '.3f'),
    ('edge F visible', lambda s: s['edge_f_visible'], '.3f'),
    ('thermal', lambda s: s['edge_f_thermal'], '.3f'),
    ('CC', lambda s: s['cc'], '.3f'),
    ('SSIM', lambda s: s['ssim'], '.3f'),
    ('Qabf', lambda s: s['qabf'], '.3f'),
    ('confidence', lambda s: s['confidence'], '.2f'),
    ('ms', lambda s: s['milliseconds']['median'], '.0f'),
)

MASKS: tuple[Column, ...] = (
    ('masked', lambda s: s['masked'], 'd'),
    ('IoU before', lambda s: s['masks_before']['iou'], '.3f'),
    ('IoU', lambda s: s['masks']['iou'], '.3f'),
    ('precision', lambda s: s['masks']['precision'], '.3f'),
    ('recall', lambda s: s['masks']['recall'], '.3f'),
)

DETECTIONS: tuple[Column, ...] = (
    ('picture', lambda s: s['picture'], 's'),
    ('people', lambda s: s['people'], 'd'),
    ('recall', lambda s: s['recall'], '.3f'),
    ('false alarms', lambda s: s['false_alarms'], '.2f'),
    ('recall at equal', lambda s: s['recall_equal'], '.3f'),
)


def text(result: dict, markdown: bool = False) -> str:
    """Return every table that a result of `evaluate` holds."""
    parts = []
    if result['summaries']:
        parts.append(table(result['summaries'], REGISTRATION, markdown))
        if result['bias']:
            parts.append(table(result['bias'], BIAS, markdown))
        parts.append(table(result['believed'], BELIEVED, markdown, first='bin'))
        if 'fusion' in result['summaries'][0]:
            parts.append(table(result['summaries'], FUSION, markdown))
    if result['videos']:
        parts.append(table(result['videos'], VIDEO, markdown))
    for name, columns in (('target_summaries', TARGETS), ('detection_summaries', DETECTIONS)):
        if result.get(name):
            parts.append(table(result[name], columns, markdown, first='light'))
    recorded = result.get('recorded_summaries')
    if recorded:
        parts.append(table(recorded, RECORDED, markdown, first='data'))
        if recorded[0]['masked']:
            parts.append(table(recorded, MASKS, markdown, first='data'))
    return '\n\n'.join(parts)


def table(
    summaries: list[dict],
    columns: tuple[Column, ...] = REGISTRATION,
    markdown: bool = False,
    first: str = 'protocol',
) -> str:
    """Return a table with one row for each of `summaries`: `first`, preset, then the columns."""
    rows = [[first, 'preset', *(title for title, _, _ in columns)]]
    for summary in summaries:
        values = [_cell(value(summary), style) for _, value, style in columns]
        rows.append([summary[first], summary['preset'], *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths, markdown) for row in rows]
    if markdown:
        rule = ['-' * width for width in widths[:2]] + ['-' * (width - 1) + ':' for width in widths[2:]]
        lines.insert(1, _line(rule, widths, markdown))
    return '\n'.join(lines)


def _line(row: list[str], widths: list[int], markdown: bool) -> str:
    names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    cells = names + numbers
    return f'| {" | ".join(cells)} |' if markdown else '  '.join(cells).rstrip()


def _cell(value: float | str | None, style: str) -> str:
    return '-' if value is None else format(value, style)
