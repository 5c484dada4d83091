"""What the long runs measured is kept for the page of promises; runs of the usual size are not.

A long run may be given so many minutes: it ends when they are over, and what is kept says how far
it came.
"""

from __future__ import annotations

import os
import time

from benchmarks.promises import record

IS_KEPT = os.environ.get("DELIVERY_MONITOR_RECORD") == "1"
SECONDS_MAX = 60 * float(os.environ.get("DELIVERY_MONITOR_MINUTES", "inf"))
_BEGAN_S = time.monotonic()


def is_time_up() -> bool:
    """Whether a long run is to end with what it has; never without a limit."""
    return time.monotonic() - _BEGAN_S > SECONDS_MAX


def keep(key: str, *, tried: float, violations: int, note: str = "") -> None:
    """Write down a figure, if this run is one of those that `make durability` starts."""
    if IS_KEPT:
        record(key, tried=tried, violations=violations, note=note)
