"""What is missing of each source right now: its habits against what its orders wait for.

A source that is silent, or unusually quiet, is missed as a whole: nothing it has not told since is
held against anything else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from monitor.core.orders.habits import SLACK_MS, Habits
from monitor.core.orders.sources import Source
from monitor.core.orders.waits import Wait, Waits
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS

UNATTEMPTED_MAX_MS = 6 * HOUR_MS  # older ones are cases for people, one by one
UNBOOKED_MAX_MS = 24 * HOUR_MS
SETTLED_MS = 10 * MINUTE_MS  # so long after a pause senders may bring what they held back
_USUAL_LAGS = 3


class Missed(msgspec.Struct, frozen=True):
    """One reading: `value` None where nothing is known; k of n it rests on."""

    value: float | None = None
    k: int = 0
    n: int = 0
    is_proven: bool = True


NOTHING_KNOWN = Missed()


class Absence(msgspec.Struct, frozen=True):
    """What is missing of one source; ages in seconds."""

    source: str
    worker: Missed = NOTHING_KNOWN
    lag: Missed = NOTHING_KNOWN
    unattempted: Missed = NOTHING_KNOWN
    unbooked: Missed = NOTHING_KNOWN


def absences(
    sources: Mapping[str, Source], waits: Waits, now_ms: int, awake_ms: int
) -> list[Absence]:
    """Look at all sources that were ever heard, by name; `awake_ms`: since when we hear them."""
    unattempted, unbooked = _by_source(waits.unattempted), _by_source(waits.unbooked)
    found = []
    for name, source in sorted(sources.items()):
        if not source.last_ms:
            continue
        if source.is_silent:
            found.append(Absence(name))
            continue
        until_ms = source.quiet_until_ms(now_ms)
        found.append(
            Absence(
                name,
                _worker(source.habits, now_ms),
                _lag(source, now_ms, awake_ms),
                _unattempted(source.habits, unattempted.get(name, []), until_ms),
                _unbooked(source.habits, unbooked.get(name, []), now_ms, until_ms),
            )
        )
    return found


def _worker(habits: Habits, now_ms: int) -> Missed:
    """Who waits for a step against how many usually do, the worse of the two kinds of step."""
    known = [one.overdue(now_ms) for one in (habits.steps, habits.expiries)]
    read = [Missed(late / limit, late, limit) for late, limit in filter(None, known)]
    return max(read, key=lambda one: one.value or 0.0, default=NOTHING_KNOWN)


def _lag(source: Source, now_ms: int, awake_ms: int) -> Missed:
    from_ms = max(source.returned_ms, awake_ms)
    lag = source.habits.lags.now(now_ms, from_ms + SETTLED_MS if from_ms else 0)
    if lag is None:
        return NOTHING_KNOWN
    is_proven = lag.is_learned and lag.p90_ms > _USUAL_LAGS * max(lag.usual_ms, SECOND_MS)
    return Missed(lag.p90_ms / SECOND_MS, lag.n, lag.n, is_proven)


def _unattempted(habits: Habits, waits: list[Wait], until_ms: int) -> Missed:
    if not habits.is_telling_attempts:
        return NOTHING_KNOWN
    waiting = _since(waits, until_ms - UNATTEMPTED_MAX_MS)
    usual_ms = habits.attempt_wait.most * 3 // 2
    return _oldest(waiting, until_ms, usual_ms)


def _unbooked(habits: Habits, waits: list[Wait], now_ms: int, until_ms: int) -> Missed:
    """What the shop has refused is known not to be booked; of the rest, only what is unusual."""
    waiting = _since(waits, now_ms - UNBOOKED_MAX_MS)
    if not waiting and not habits.booking_wait.n:
        return NOTHING_KNOWN
    closed = _oldest([one for one in waiting if one.is_closed], now_ms, 0)
    if not habits.is_booking:
        return closed
    usual_ms = habits.booking_wait.most * 3 // 2 + SLACK_MS
    open_ones = _oldest([one for one in waiting if not one.is_closed], until_ms, usual_ms)
    return max(closed, open_ones, key=lambda one: (one.is_proven, one.value or 0.0))


def _by_source(waits: Mapping[str, Wait]) -> dict[str, list[Wait]]:
    found: dict[str, list[Wait]] = defaultdict(list)
    for wait in waits.values():
        found[wait.source].append(wait)
    return found


def _since(waits: list[Wait], from_ms: int) -> list[Wait]:
    return [one for one in waits if one.since_ms >= from_ms]


def _oldest(waiting: list[Wait], until_ms: int, usual_ms: int) -> Missed:
    if not waiting:
        return Missed(0.0)
    age_ms = max(0, until_ms - min(one.since_ms for one in waiting))
    late = sum(until_ms - one.since_ms > usual_ms for one in waiting)
    return Missed(age_ms / SECOND_MS, late, len(waiting), is_proven=age_ms > usual_ms)
