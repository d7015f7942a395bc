"""What the tools of evaluation that are run by `python -m` share: their options, and what they print."""

import argparse

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.evaluation import report


def add_options(parser: argparse.ArgumentParser, split: str) -> None:
    """Add --split, with this default, --limit, --device, --json and --markdown."""
    parser.add_argument('--split', choices=datasets.PARTS, default=split, help=f'default: {split}')
    parser.add_argument('--limit', type=cli.positive, metavar='N', help='at most N pairs of each data set')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    parser.add_argument('--json', type=cli.new_file, metavar='F', help='write summaries and records here')
    parser.add_argument('--markdown', action='store_true', help='print the table as Markdown')


def tell(
    options: argparse.Namespace,
    columns: tuple[report.Column, ...],
    summaries: list[dict],
    records: list[dict],
) -> None:
    """Print a table of summaries, a row for each data set and preset; write both where --json wants them."""
    print(report.table(summaries, columns, options.markdown, first='data'))
    if options.json:
        cli.write_json(options.json, {'summaries': summaries, 'records': records})
