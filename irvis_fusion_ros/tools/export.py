"""
`export PRESET --size WxH`: writes the network of a preset as ONNX, for the size of your visible images.

The node then runs it with the parameter `backend` onnx, the predictor with backend='onnx'.
"""

import argparse
import sys
from collections.abc import Sequence

from irvis_fusion_ros import cli
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('export', lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from irvis_fusion_ros.backends import swift_export
    from irvis_fusion_ros.networks.working_grid import WorkingGrid
    from irvis_fusion_ros.systems import factories

    network = factories.swift_network(options.preset)
    width, height = options.size
    shape = WorkingGrid((height, width), network.pixels).shape
    folder = swift_export.folder(options.preset, shape)
    print(f'{options.preset} sees {width}x{height} at {shape[1]}x{shape[0]}; this takes a minute or two')
    swift_export.export(network, folder, shape)
    print(f'wrote {", ".join(f"{part}.onnx" for part in swift_export.PARTS)} in {folder}')
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='export', description='Write the network of a preset as ONNX, to run it by onnxruntime.'
    )
    exported = [name for name, entry in registry.PRESETS.items() if 'onnx' in entry.backends]
    parser.add_argument('preset', metavar='PRESET', help=', '.join(exported))
    parser.add_argument(
        '--size',
        type=cli.size,
        default=(640, 512),
        metavar='WxH',
        help='of the visible images (default: 640x512)',
    )
    options = parser.parse_args(argv)
    try:
        SystemConfig(options.preset, 'cpu', backend='onnx')
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())
