"""When a shop is asked again: per callback 1, 2, 4 … 300 s, per shop one probe while it is down.

What waits because the shop is down waits its turn: one request tries whether it is back, and only
then the others follow, a few at a time. Else every order would knock at a shop that is starting.
"""

from __future__ import annotations

from monitor.model.ids import hash01
from monitor.model.times import SECOND_MS

RETRY_MAX_MS = 300 * SECOND_MS
PROBE_MAX_MS = 30 * SECOND_MS
JITTER = 0.25  # is only added, so that a callback is never tried more often than the schedule says
PLAIN_BURST = 100
PLAIN_PER_S = 10  # requests that nobody can read, which are kept while they are at the shop
FAILURES_MAX = 3  # in a row, then the shop is down


def retry_ms(item: int, attempts: int) -> int:
    """How long after its attempt number `attempts` (from 1) a callback waits for the next."""
    plain_ms = min(RETRY_MAX_MS, SECOND_MS << min(attempts - 1, 16))
    return plain_ms + int(plain_ms * JITTER * hash01("relay", str(item), str(attempts)))


class Allowance:
    """How much of what anybody may send is still kept: a burst, then a few a second."""

    def __init__(self) -> None:
        self._left = float(PLAIN_BURST)
        self._at_ms = 0

    def take(self, now_ms: int) -> bool:
        """Whether one more is within it."""
        gained = max(0, now_ms - self._at_ms) * PLAIN_PER_S / SECOND_MS
        self._left, self._at_ms = min(PLAIN_BURST, self._left + gained), now_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Circuit:
    """Whether a shop is up, as far as requests have shown."""

    def __init__(self) -> None:
        self.failures = 0
        self.since_ms: int | None = None  # down since
        self._probe_ms = 0

    @property
    def is_open(self) -> bool:
        """Whether the shop is known to be down."""
        return self.since_ms is not None

    def may_probe(self, now_ms: int) -> bool:
        """Whether it is time to try whether the shop is back."""
        return now_ms >= self._probe_ms

    @property
    def probe_ms(self) -> int:
        """When it is time for the next try."""
        return self._probe_ms

    def failed(self, now_ms: int) -> None:
        """A request found no shop."""
        self.failures += 1
        if self.failures >= FAILURES_MAX:
            self.since_ms = now_ms if self.since_ms is None else self.since_ms
            tries = min(self.failures - FAILURES_MAX, 16)
            self._probe_ms = now_ms + min(PROBE_MAX_MS, SECOND_MS << tries)

    def answered(self) -> bool:
        """The shop answered, whatever it said; returns whether it was down until now."""
        was_open = self.is_open
        self.failures, self.since_ms, self._probe_ms = 0, None, 0
        return was_open
