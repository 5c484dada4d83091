"""What the long runs measured is kept for the page of promises; runs of the usual size are not."""

from __future__ import annotations

import os

from benchmarks.promises import record

IS_KEPT = os.environ.get("DELIVERY_MONITOR_RECORD") == "1"


def keep(key: str, *, tried: float, violations: int, note: str = "") -> None:
    """Write down a figure, if this run is one of those that `make durability` starts."""
    if IS_KEPT:
        record(key, tried=tried, violations=violations, note=note)
