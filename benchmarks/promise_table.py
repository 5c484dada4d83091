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
    Promise(
        "P18",
        "No request leaves to an address inside, however it is written, named or redirected.",
        "tests/security/test_egress.py",
        20_000,
        "requests",
    ),
    Promise(
        "P19",
        "No forged, stale, replayed or foreign request is accepted, whatever is in its headers.",
        "tests/security/test_forgery.py",
        100_000,
        "requests",
    ),
    Promise(
        "P27",
        "Dead receivers delay the messages to the others by less than 5 %.",
        "tests/security/test_dead_receivers.py",
        10_000,
        "messages",
    ),
)
