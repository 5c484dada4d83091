"""What goes wrong in a trial, and when: drawn from one seed, at a steady rate.

A fault of the network waits for the next connection to its address and strikes that one, so that
a quiet shop meets as many as a busy one. The others last for a while.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from resource import RLIM_INFINITY, RLIMIT_FSIZE, getrlimit, setrlimit

import msgspec

from monitor.sim.machine import JOB_S_MAX
from monitor.sim.wire import (
    COURSES,
    CUT,
    ERROR_AFTER,
    GARBAGE,
    LATE,
    RESET_AFTER,
    RESET_BEFORE,
    STALL_AFTER,
    STALL_BEFORE,
)

NETWORK, CRASH, DISK, SLOW_DISK, CLOCK = "network", "crash", "disk", "slow-disk", "clock"
CHANNEL, CHAT, SHOP, SUPPLIER = "channel", "chat", "shop", "supplier"
USURPER, FULL_DISK, PURCHASE = "usurper", "full-disk", "purchase"

# How often each kind comes, among a hundred or so.
WEIGHTS = {
    NETWORK: 66, CRASH: 10, DISK: 6, SLOW_DISK: 4, CLOCK: 4, CHANNEL: 2, CHAT: 3, SHOP: 3,
    SUPPLIER: 3, USURPER: 1, FULL_DISK: 4, PURCHASE: 6,
}  # fmt: skip
KINDS = tuple(WEIGHTS)
# What leaves a buyer in doubt; the first half has happened.
UNCLEAR = (LATE, CUT, ERROR_AFTER, GARBAGE, RESET_AFTER, STALL_AFTER, RESET_BEFORE, STALL_BEFORE)
INGEST_SHARE = 0.6  # of the network's faults; the rest meets what the monitor calls

# Seconds that a fault lasts, from and to.
LASTS = {
    CRASH: (0.1, 20.0), DISK: (1.0, 30.0), SLOW_DISK: (5.0, 60.0), CLOCK: (5.0, 300.0),
    CHANNEL: (300.0, 2_400.0), CHAT: (10.0, 300.0), SHOP: (10.0, 120.0), SUPPLIER: (10.0, 300.0), USURPER: (0.0, 0.0),
    FULL_DISK: (1.0, 60.0),
}  # fmt: skip
BUSY, BUSY_SHARE = "busy", 0.7
CRASH_WITHIN_STEPS = {BUSY: 20, "": 80}  # touches of the outside after which the service dies
CLOCK_S_MAX = 86_400.0  # a day; most jumps are of minutes
FILE_BYTES_MAX = 200_000  # a full disk ends a file anywhere up to here
SLOW_S_MAX = 0.4


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong; `number` is a count of steps or seconds, `what` a course or name."""

    at_s: float
    kind: str
    what: str = ""
    is_ingest: bool = False
    lasts_s: float = 0.0
    number: float = 0.0


def forecast(
    seed: int, until_s: float, kinds: Sequence[str], per_minute: float, channels: Sequence[str]
) -> tuple[Fault, ...]:
    """Draw the faults of a trial, in order of time."""
    chance = random.Random(f"faults {seed}")  # noqa: S311 - repeatable, not secret
    faults: list[Fault] = []
    at_s = 0.0
    while kinds and (at_s := at_s + chance.expovariate(per_minute / 60.0)) < until_s:
        kind = chance.choices(kinds, [WEIGHTS[one] for one in kinds])[0]
        faults.append(_drawn(chance, at_s, kind, channels))
    return tuple(faults)


def _drawn(chance: random.Random, at_s: float, kind: str, channels: Sequence[str]) -> Fault:
    if kind == NETWORK:
        is_ingest = chance.random() < INGEST_SHARE
        return Fault(at_s, kind, chance.choice(COURSES), is_ingest)
    if kind == PURCHASE:
        return Fault(at_s, kind, chance.choice(UNCLEAR))
    lasts_s = chance.uniform(*LASTS[kind])
    if kind == CRASH:
        what = BUSY if chance.random() < BUSY_SHARE else ""
        steps = chance.randint(1, CRASH_WITHIN_STEPS[what])
        return Fault(at_s, kind, what, False, lasts_s, steps)
    if kind == CLOCK:
        number = chance.choice((-1, 1)) * CLOCK_S_MAX ** chance.uniform(0.0, 1.0)
        return Fault(at_s, kind, "", False, lasts_s, number)
    if kind == DISK:
        return Fault(at_s, kind, "", False, lasts_s, chance.randint(0, FILE_BYTES_MAX))
    what = chance.choice(channels) if kind == CHANNEL else ""
    return Fault(at_s, kind, what, False, lasts_s)


class FaultyDisk:
    """A disk that can be slow, or refuse to let a file grow; keeps `machine.Disk`.

    The refusal is the kernel's: a limit on the size of files, in force while a job runs. SQLite and
    the product meet the error where they would meet a full disk, in the middle of a write.
    """

    def __init__(self, chance: random.Random) -> None:
        self.file_bytes_max: int | None = None
        self.is_slow = False
        self._chance = chance

    def heal(self) -> None:
        """Be sound again."""
        self.file_bytes_max, self.is_slow = None, False

    def delay_s(self) -> float:
        """See Disk."""
        return self._chance.uniform(0.0, SLOW_S_MAX if self.is_slow else JOB_S_MAX)

    def trouble(self) -> AbstractContextManager[None]:
        """See Disk."""
        return nullcontext() if self.file_bytes_max is None else _bounded(self.file_bytes_max)


@contextmanager
def _bounded(file_bytes_max: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size; Python ignores the signal that goes with it."""
    before = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (file_bytes_max, before[1] if before[1] != 0 else RLIM_INFINITY))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, before)
