"""How long after it happened a source tells what happened, minute by minute.

Kept for six hours, so that a shop of few orders has enough of them to speak of.
"""

from __future__ import annotations

import msgspec

from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

WINDOW_MS = 10 * MINUTE_MS
KEPT_MS = 6 * HOUR_MS
ENOUGH = 10  # events; with fewer in the window it reaches further back
LEARNING_MS = 30 * MINUTE_MS
BACKLOG_MS = DAY_MS  # what is told later than this is history that is brought in
LEARNED_MAX_MS = 10 * MINUTE_MS  # what a source tells when it is connected is a backlog
_SHARE = 128  # how fast the usual lag follows, as a share of itself per minute with events
_QUANTILE = 0.9
_UNIT_MS = 128


class Lag(msgspec.Struct, frozen=True):
    """The 90th percentile of the latest events, of how many, and what is usual."""

    p90_ms: int
    n: int
    usual_ms: int
    is_learned: bool


class Minute(msgspec.Struct, array_like=True):
    """Events that arrived in one minute, by the bucket of their lag."""

    minute: int
    counts: dict[str, int]


class Lags(msgspec.Struct, omit_defaults=True):
    """Counts by minute of arrival and by lag; a lag is at most a quarter too long."""

    minutes: list[Minute] = []
    since: int = 0
    usual_ms: int = 0

    def note(self, lag_ms: int, received_ms: int) -> None:
        """Count an event; one that is told before it happened was told at once."""
        if lag_ms > BACKLOG_MS:
            return
        minute = received_ms // MINUTE_MS
        if not self.minutes or minute > self.minutes[-1].minute:
            self._begin(minute)
        counts = self.minutes[-1].counts
        units = lag_ms >> 7 if lag_ms > 0 else 0
        place = _NAMES[units] if units < len(_NAMES) else str(_place(units))
        counts[place] = counts.get(place, 0) + 1

    def now(self, now_ms: int, from_ms: int) -> Lag | None:
        """The latest lag; None of too few events. What arrived before `from_ms` does not count."""
        oldest = max(now_ms - KEPT_MS, from_ms)
        found: dict[str, int] = {}
        for minute in reversed(self.minutes):
            at_ms = minute.minute * MINUTE_MS
            is_enough = sum(found.values()) >= ENOUGH
            if at_ms < oldest or (is_enough and at_ms < now_ms - WINDOW_MS):
                break
            _add(found, minute.counts)
        n = sum(found.values())
        if n < ENOUGH:
            return None
        is_learned = now_ms - self.since * MINUTE_MS >= LEARNING_MS
        return Lag(_p90(found), n, self.usual_ms, is_learned)

    def _begin(self, minute: int) -> None:
        self.since = self.since or minute
        if self.minutes:
            self._learn(_p90(self.minutes[-1].counts), self.minutes[-1].minute)
        oldest = minute - KEPT_MS // MINUTE_MS
        if self.minutes and self.minutes[0].minute < oldest:
            self.minutes = [one for one in self.minutes if one.minute >= oldest]
        self.minutes.append(Minute(minute, {}))

    def _learn(self, lag_ms: int, minute: int) -> None:
        if (minute - self.since) * MINUTE_MS < LEARNING_MS:
            self.usual_ms = max(self.usual_ms, min(lag_ms, LEARNED_MAX_MS))
            return
        step_ms = max(self.usual_ms, SECOND_MS) // _SHARE
        if lag_ms > self.usual_ms:
            self.usual_ms = min(self.usual_ms + step_ms, lag_ms)
        else:
            self.usual_ms = max(self.usual_ms - step_ms, lag_ms)


def _place(units: int) -> int:
    """The bucket of a lag in units of 128 ms: four of equal width per power of two."""
    shift = max(units.bit_length() - 3, 0)
    return (shift << 3) + (units >> shift)


def _upper_ms(place: int) -> int:
    """Where a bucket ends."""
    shift, head = place >> 3, place & 7
    return ((head + 1) << shift) * _UNIT_MS


_NAMES = tuple(str(_place(units)) for units in range(512))  # nearly always one of these


def _add(found: dict[str, int], counts: dict[str, int]) -> None:
    for place, n in counts.items():
        found[place] = found.get(place, 0) + n


def _p90(counts: dict[str, int]) -> int:
    wanted, seen = _QUANTILE * sum(counts.values()), 0
    for place in sorted(counts, key=int):
        seen += counts[place]
        if seen >= wanted:
            return _upper_ms(int(place))
    return 0
