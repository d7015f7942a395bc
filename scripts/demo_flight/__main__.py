"""
Fly a synthetic drone through the real node over DDS, and show what came out.

Leaves in OUT: fused.mp4, contact_sheet.png, the bags `flight` (input and truth) and `outputs`.
"""

import argparse
import shutil
import sys
from pathlib import Path

import pictures
import results
import system

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.tools import make_flight


def main() -> int:
    """Run the demo; the exit code is that of the first part that failed."""
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(prog='scripts/demo', description=summary, epilog=details)
    parser.add_argument('--out', type=Path, default=Path('demo_out'), help='folder of the results (demo_out)')
    parser.add_argument('--flight', nargs=argparse.REMAINDER, default=[], help='options of make_flight')
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        return run(arguments.out, arguments.flight)
    except (BagError, system.DemoError) as error:
        print(f'scripts/demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nscripts/demo: stopped', file=sys.stderr)
        return 130


def run(out: Path, flight_options: list[str]) -> int:
    """Fly, fuse, measure and draw."""
    flight, outputs = out / 'flight', out / 'outputs'
    if flight_options or not (flight / 'metadata.yaml').exists():
        print('1/4 rendering a flight')
        code = make_flight.main([str(flight), '--force', *flight_options])
        if code:
            return code
    else:
        print(f'1/4 flying {flight} again; remove it for a new one')
    print('2/4 playing it to fusion_node, which runs as a process of its own')
    shutil.rmtree(outputs, ignore_errors=True)
    system.fly(flight, outputs)
    print('3/4 measuring against the truth')
    table = results.table(flight, outputs)
    print('4/4 drawing')
    pictures.video(flight, outputs, out / 'fused.mp4')
    pictures.contact_sheet(flight, outputs, out / 'contact_sheet.png')
    print(f'\n{table}\n')
    for path in (out / 'fused.mp4', out / 'contact_sheet.png', outputs):
        print(path.resolve())
    return 0


if __name__ == '__main__':
    sys.exit(main())
