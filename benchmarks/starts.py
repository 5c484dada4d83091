"""Whether a start keeps its promise (P8): `benchmarks/bench_restart.py`, with a verdict.

python -m benchmarks.starts [--record]
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.bench_restart import EVENTS, rows
from benchmarks.promises import record


def main() -> int:
    """Start, print, record; 1 when a start took too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the events")
    parser.add_argument("--record", action="store_true", help="keep the figure of P8")
    options = parser.parse_args()
    found = list(rows(options.scale))
    late = [one for one in found if one.met is False]
    note = ", ".join(f"{one.what} {one.value:.2f} {one.unit}" for one in found)
    print(f"{note} ({found[0].note}): {len(late)} too late")
    if options.record:
        record("P8", tried=options.scale * EVENTS, violations=len(late), note=note)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
