"""The wall clock: the one place of the product that reads it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from monitor.model.times import UnixMs

log = logging.getLogger("monitor.clock")

STEP_MS = 1_000  # less is how clocks are kept right; more was set by somebody


def wall_ms() -> int:
    """UTC milliseconds of the machine's clock."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Milliseconds that pass evenly; from an arbitrary start, and not while the machine sleeps."""
    return time.monotonic_ns() // 1_000_000


class SystemClock:
    """Tells UTC milliseconds of this machine; it may jump when the machine's clock is set."""

    def now_ms(self) -> UnixMs:
        """UTC milliseconds since 1970."""
        return UnixMs(wall_ms())


class SteadyClock:
    """The machine's clock as it was at the start, going on evenly when somebody sets it.

    A clock that is a day ahead all at once would make every waiting order late by a day. Whether the
    new time is right, nobody can tell from here, but the shops have clocks of their own: the step is
    taken over when an event tells a time that is nearer to it. Then the machine was asleep, or its
    clock was wrong before, and the time between counts as time in which we were away.
    """

    def __init__(
        self, wall: Callable[[], int] = wall_ms, steady: Callable[[], int] = steady_ms
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset_ms = wall() - steady()
        self.step_ms = 0  # how far the machine's clock is from what we tell

    def now_ms(self) -> UnixMs:
        """UTC milliseconds since 1970."""
        now_ms = self._steady() + self._offset_ms
        step_ms = self._wall() - now_ms
        if -STEP_MS <= step_ms <= STEP_MS:
            self._offset_ms += step_ms
            self.step_ms = 0
            return UnixMs(now_ms + step_ms)
        if abs(step_ms - self.step_ms) > STEP_MS:
            log.warning("clock_was_set", extra={"fields": {"step_ms": step_ms}})
        self.step_ms = step_ms
        return UnixMs(now_ms)

    def is_step_true(self, told_ms: int) -> bool:
        """Take a step over if a time that somebody else told is nearer to it; whether it was."""
        now_ms = self.now_ms()
        if not self.step_ms or abs(told_ms - now_ms - self.step_ms) >= abs(told_ms - now_ms):
            return False
        log.warning("clock_step_taken_over", extra={"fields": {"step_ms": self.step_ms}})
        self._offset_ms += self.step_ms
        self.step_ms = 0
        return True
