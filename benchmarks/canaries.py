"""Secrets let in by every door of a running service, and how many come out (P20).

    python -m benchmarks.canaries [--record]

The run of `tests/security/test_canaries.py`; it prints each secret that came out, and where.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.promises import record
from tests.security.test_canaries import NAMES, outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive, print, and keep the figure; 1 when something came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--record", action="store_true", help="keep it for docs/promises.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        leaks = outcome(Path(folder))
    print(f"{len(leaks)} of {len(NAMES)} secrets came out", *leaks, sep="\n")
    if options.record:
        record("P20", tried=len(NAMES), violations=len(leaks), note="all outputs of one service")
    return int(bool(leaks))


if __name__ == "__main__":
    sys.exit(main())
