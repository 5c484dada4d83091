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
        "P2",
        "No acknowledged event is lost by a power cut: torn, dropped and reordered sectors.",
        "tests/durability/test_power_cut.py",
        100_000,
        "images",
    ),
    Promise(
        "P3",
        "Nothing is lost or damaged by a fault at any write, sync, truncate, link or unlink.",
        "tests/durability/test_syscalls.py",
        2_000,
        "faults",
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
        "P6",
        "The same seed gives the same trace under any hash seed and on every Python that is"
        " supported.",
        "tests/sim/test_trials.py",
        36,
        "runs",
    ),
    Promise(
        "P7",
        "Events are taken within 50 ms, and at most 64 MiB more are held, while everybody the service"
        " calls is a black hole.",
        "tests/security/test_black_holes.py",
        60,
        "minutes",
    ),
    Promise(
        "P8",
        "A start with a million stored events and 100,000 open orders: the first acknowledgement"
        " within 1 s, the whole state within 5 s.",
        "benchmarks/starts.py",
        1_000_000,
        "events",
    ),
    Promise(
        "P9",
        "Timers of alerts, what was told, and waits between tries outlive restarts: the same messages"
        " at the same times.",
        "tests/sim/test_restarts.py",
        200,
        "restarts",
    ),
    Promise(
        "P10",
        "Ten times what can be taken: bounded memory, quick refusals, nothing acknowledged is lost.",
        "tests/security/test_overload.py",
        600,
        "seconds",
    ),
    Promise(
        "P11",
        "A full disk: 503 with the reason within 1 s, reads and decisions go on, 202 within 5 s of"
        " space.",
        "tests/durability/test_disk_full.py",
        1,
        "full disks",
    ),
    Promise(
        "P12",
        "What a failing sync was to keep is never acknowledged; a second one ends the process.",
        "tests/durability/test_failing_sync.py",
        2,
        "failing disks",
    ),
    Promise(
        "P13",
        "A clock that is set a day on or back makes no timer early or late by more than 1 s.",
        "tests/durability/test_clock.py",
        2,
        "steps",
    ),
    Promise(
        "P14",
        "A process that was stopped for a minute decides nothing twice, and writes of an old owner"
        " are refused.",
        "tests/durability/test_clock.py",
        60,
        "seconds",
    ),
    Promise(
        "P16",
        "No body and no head brings a 5xx, an error in the log or a second answer.",
        "tests/security/test_fuzz.py",
        1_000_000,
        "requests",
    ),
    Promise(
        "P17",
        "A shop is served within 100 ms while slow clients hold every place.",
        "tests/security/test_overload.py",
        5_000,
        "sockets",
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
        "P20",
        "No secret and no buyer comes out anywhere; who is erased is in no file any more.",
        "tests/security/test_canaries.py",
        26,
        "secrets",
    ),
    Promise(
        "P25",
        "A byte changed or a file cut anywhere is found at the start; never a silent wrong number.",
        "tests/durability/test_damage.py",
        10_000,
        "damaged places",
    ),
    Promise(
        "P26",
        "Channels are never switched more often than configured; every switch has a cause, evidence"
        " and a way back.",
        "tests/sim/test_flapping.py",
        500,
        "switches",
    ),
    Promise(
        "P27",
        "Dead receivers delay the messages to the others by less than 5 %.",
        "tests/security/test_dead_receivers.py",
        10_000,
        "messages",
    ),
    Promise(
        "P28",
        "A backup of a service under load restores to every event acknowledged before it.",
        "tests/durability/test_backup.py",
        1,
        "services",
    ),
    Promise(
        "P29",
        "Every package is pinned by hash, has no known hole of medium severity or worse, and is in "
        "the SBOM.",
        "tests/security/test_supply_chain.py",
        1,
        "audits",
    ),
    Promise(
        "P30",
        "Every bug that is planted in the service is noticed by the simulation.",
        "tests/sim/test_mutants.py",
        30,
        "planted bugs",
    ),
    Promise(
        "P31",
        "A process that is killed at any named point of a takeover buys and delivers nothing twice, "
        "and forgets no order.",
        "tests/crash/test_crash.py",
        10_000,
        "orders",
    ),
)
