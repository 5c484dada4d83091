"""What recorded events say about healthy days: one row per paid order, without incidents.

This is what limits are learned from and what lint measures noise with. Orders of an incident are
left out; one that was paid before and caught in it is known to have waited until it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np

from monitor.core.orders.facts import Facts, canonical_key, derive, holder_at
from monitor.core.orders.lifecycle import is_breach
from monitor.core.signals.arrays import BoolArray, IntArray
from monitor.core.signals.survival import NEVER_MS
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import UNNAMED_CHANNEL
from monitor.model.settings import Settings

PROGRESS_EVERY = 50_000

Span = tuple[int, int]
Row = tuple[str, int, int, bool, bool, bool, bool]


class History(msgspec.Struct, frozen=True, eq=False):
    """Paid orders from `from_ms` to `to_ms`, the time of the last event.

    Shapes: all arrays [n], in the order of payment. `channel` holds indices into `channels`.
    `durations_ms` is the delay, the age at the end, or NEVER_MS of an order closed undelivered;
    `is_late` means that its promise broke, `is_bad` that it is judged and not good, `is_failed` that
    it failed undelivered. `n_excluded` orders were paid in one of the `excluded` spans.
    """

    channels: tuple[str, ...]
    channel: IntArray
    paid_ms: IntArray
    durations_ms: IntArray
    is_delivered: BoolArray
    is_late: BoolArray
    is_bad: BoolArray
    is_failed: BoolArray
    from_ms: int
    to_ms: int
    excluded: tuple[Span, ...] = ()
    n_excluded: int = 0

    def of(self, channel: str | None) -> BoolArray:
        """Rows of one channel, of all for None."""
        if channel is None:
            return np.ones(self.channel.size, dtype=np.bool_)
        if channel not in self.channels:
            return np.zeros(self.channel.size, dtype=np.bool_)
        return np.equal(self.channel, self.channels.index(channel))

    @property
    def span_ms(self) -> int:
        """Time the rows cover, without what was excluded; at least 1."""
        cut = sum(
            max(0, min(until, self.to_ms) - max(since, self.from_ms))
            for since, until in self.excluded
        )
        return max(1, self.to_ms - self.from_ms - cut)


def history(
    events: Sequence[OrderEvent],
    settings: Settings,
    excluded: Sequence[Span] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> History:
    """Fold events to orders; `excluded` spans (from_ms, to_ms) may overlap.

    `progress` is told the number of events done, every 50,000.
    """
    timed = [one for one in events if one.type != EventType.HEARTBEAT and not one.is_inferred]
    timed.sort(key=lambda one: (one.order_id, canonical_key(one)))
    to_ms = max((one.time_ms for one in timed), default=0)
    spans = _joined(excluded)
    rows: list[Row] = []
    n_excluded = 0
    from_ms = to_ms
    for facts, channel in _orders(timed, settings, to_ms, progress):
        if facts.paid_ms is None:
            continue
        from_ms = min(from_ms, facts.paid_ms)
        if any(since <= facts.paid_ms < until for since, until in spans):
            n_excluded += 1
            continue
        rows.append(_row(facts, channel, spans, to_ms))
    rows.sort(key=lambda row: row[1:])
    channels = tuple(sorted({row[0] for row in rows}))
    index = {name: code for code, name in enumerate(channels)}
    return History(
        channels=channels,
        channel=np.array([index[row[0]] for row in rows], dtype=np.int64),
        paid_ms=np.array([row[1] for row in rows], dtype=np.int64),
        durations_ms=np.array([row[2] for row in rows], dtype=np.int64),
        is_delivered=np.array([row[3] for row in rows], dtype=np.bool_),
        is_late=np.array([row[4] for row in rows], dtype=np.bool_),
        is_bad=np.array([row[5] for row in rows], dtype=np.bool_),
        is_failed=np.array([row[6] for row in rows], dtype=np.bool_),
        from_ms=from_ms,
        to_ms=to_ms,
        excluded=spans,
        n_excluded=n_excluded,
    )


def _orders(
    timed: Sequence[OrderEvent],
    settings: Settings,
    to_ms: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[Facts, str]]:
    """Yield the facts of every order and the channel it counts for (contract §2)."""
    done, told = 0, 0
    for _, group in groupby(timed, key=lambda one: one.order_id):
        seen: dict[tuple[str, str], OrderEvent] = {}
        for event in group:
            done += 1
            seen.setdefault((event.source, event.event_id), event)
        if done - told >= PROGRESS_EVERY:
            told = done
            progress(done)
        timeline = tuple(seen.values())
        facts = derive(timeline, settings.promise)
        channel = facts.channel
        if is_breach(facts, to_ms):
            channel = holder_at(timeline, facts.sold_on, facts.deadline_ms) or channel
        yield facts, channel or UNNAMED_CHANNEL


def _row(facts: Facts, channel: str, spans: Sequence[Span], to_ms: int) -> Row:
    paid_ms, done_ms = facts.paid_ms or 0, facts.done_ms
    # The first incident that began while the buyer waited: what came after says nothing of health.
    caught_ms = min(
        (since for since, _ in spans if since > paid_ms and (done_ms is None or done_ms > since)),
        default=None,
    )
    end_ms = to_ms if caught_ms is None else caught_ms
    is_late = is_breach(facts, end_ms)
    is_delivered = caught_ms is None and facts.delivered_ms is not None
    if is_delivered:
        duration_ms = max(0, (facts.delivered_ms or 0) - paid_ms)
    elif caught_ms is None and done_ms is not None:
        duration_ms = NEVER_MS
    else:
        duration_ms = max(0, end_ms - paid_ms)
    is_closed = not is_delivered and duration_ms == NEVER_MS
    is_failed = is_closed and facts.failed_ms is not None
    return channel, paid_ms, duration_ms, is_delivered, is_late, is_late or is_closed, is_failed


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Sort and merge spans that touch, so that excluded time is not counted twice."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(until, joined[-1][1]))
        else:
            joined.append((since, until))
    return tuple(joined)
