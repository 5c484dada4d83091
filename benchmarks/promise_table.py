"""What the service promises. A figure or a test is never added here by hand: only words and sizes."""

from __future__ import annotations

import msgspec


class Promise(msgspec.Struct, frozen=True):
    """One promise: `shown_by` is the file that tries to break it, `full` how often, in `unit`."""

    key: str
    text: str
    shown_by: str
    full: float
    unit: str


PROMISES = (
    Promise(
        "P1",
        "No acknowledged event is lost when the process is killed under load.",
        "tests/e2e/test_kill9.py",
        1_000,
        "kills",
    ),
)
