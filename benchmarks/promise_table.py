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
        "P4",
        "Nobody gets goods twice and nothing is bought twice, whatever fails; a purchase in doubt at "
        "a supplier that cannot be asked is parked for a person.",
        "tests/sim/test_trials.py",
        10_000,
        "virtual hours",
    ),
    Promise(
        "P5",
        "Once faults stop, every paid order is delivered, refunded or in somebody's hands within "
        "its promise and a minute.",
        "tests/sim/test_trials.py",
        10_000,
        "virtual hours",
    ),
    Promise(
        "P16",
        "No body and no head brings a 5xx, an error in the log or a second answer.",
        "tests/security/test_fuzz.py",
        1_000_000,
        "requests",
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
    Promise(
        "P30",
        "Every bug that is planted in the service is noticed by the simulation.",
        "tests/sim/test_mutants.py",
        30,
        "planted bugs",
    ),
)
