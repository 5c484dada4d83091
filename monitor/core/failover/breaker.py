"""Is a channel slow right now? The evidence that a switch needs.

An order's slow/fast verdict is known at the first of its delivery (fast, or slow if it took longer
than the threshold) and the moment its age passes the threshold (slow): no need to wait for the end,
and a total outage is seen as soon as four orders in a row have waited too long. The threshold is
max(30 s, 3 x learned p95), 60 s until learned: earlier than most promises, so that switching
precedes the breach (design D11, `reference/resilience.md` §6.2).
"""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.charts import ChartReading
from monitor.core.signals.observation import Bools, Ints, Kind, Observation
from monitor.model.settings import Settings

STREAK = 4
SHARE_OF = 20  # the slow share that compares channels looks at so many latest orders


class ChannelSpeed(msgspec.Struct, frozen=True):
    """Slow/fast verdicts of one channel, latest last known first.

    `is_tripped`: the four latest verdicts are all slow, or far fewer deliveries were seen than the
    learned chart expects (`cusum_ratio` over 1). `slow` of `n` among the latest twenty.
    `rests_on_silence`: without slow orders whose sources say nothing it had not tripped.
    """

    channel: str
    threshold_ms: int
    is_tripped: bool
    slow: int
    n: int
    oldest_age_ms: int
    open_orders: int
    rests_on_silence: bool = False
    cusum_ratio: float | None = None

    @property
    def slow_share(self) -> float | None:
        """Share of slow orders; None when nothing is known."""
        return self.slow / self.n if self.n else None


def slow_threshold_ms(settings: Settings, p95_ms: int | None) -> int:
    """From which wait on an order counts as slow on a channel."""
    if p95_ms is None:
        return settings.slow_unlearned_ms
    return max(settings.slow_floor_ms, 3 * p95_ms)


def channel_speed(
    rows: Observation,
    mask: Bools,
    channel: str,
    threshold_ms: int,
    now_ms: int,
    horizon_ms: Ints | None = None,
    chart: ChartReading | None = None,
) -> ChannelSpeed:
    """Read the latest slow/fast verdicts of one channel; held and unconfirmed orders say nothing.

    `horizon_ms` int64[sources]: up to when the silence of a source is nothing unusual, 0 while it
    is silent (`core/orders/sources.py`). An order that became slow after it may have been delivered
    for all we know; its channel is tripped, but that rests on silence. None: all may be believed.
    `chart`: a chart in alarm trips its channel too, once it has learned enough to be given here.
    """
    waits = rows.wait_ms(now_ms)
    latest = _latest_slow(rows, mask, threshold_ms, now_ms)
    ages = waits[mask & rows.is_open]
    is_streak = _is_tripped(latest)
    is_alarm = chart is not None and chart.is_alarm
    is_proven = is_streak or is_alarm
    if is_proven and horizon_ms is not None:
        unproven = _is_unproven(rows, threshold_ms, now_ms, horizon_ms)
        is_proven = _is_tripped(_latest_slow(rows, mask & ~unproven, threshold_ms, now_ms))
        # A chart believes what it is told: somebody who would tell of deliveries must be there.
        told_by = np.unique(rows.source[mask & rows.is_open])
        is_proven |= is_alarm and bool((horizon_ms[told_by] >= now_ms).any())
    return ChannelSpeed(
        channel=channel,
        threshold_ms=threshold_ms,
        is_tripped=is_streak or is_alarm,
        slow=int(np.count_nonzero(latest)),
        n=len(latest),
        oldest_age_ms=int(ages.max()) if len(ages) else 0,
        open_orders=len(ages),
        rests_on_silence=(is_streak or is_alarm) and not is_proven,
        cusum_ratio=None if chart is None else chart.ratio,
    )


def _is_unproven(rows: Observation, threshold_ms: int, now_ms: int, horizon_ms: Ints) -> Bools:
    """Slow orders that prove nothing: of a silent source, or slow since it was last believed.

    Fast orders of a silent source still speak for a channel: a source that falls silent must never
    trip one.
    """
    horizon = horizon_ms[rows.source]
    is_slow = rows.wait_ms(now_ms) > threshold_ms
    slow_ms = rows.paid_ms + threshold_ms
    return np.asarray(is_slow & ((horizon == 0) | (rows.is_open & (slow_ms > horizon))))


def _latest_slow(rows: Observation, mask: Bools, threshold_ms: int, now_ms: int) -> Bools:
    """Was it slow? The latest twenty orders of which that is known, latest last."""
    is_slow = rows.wait_ms(now_ms) > threshold_ms
    is_delivered = rows.kind == Kind.DELIVERED
    is_unknown = rows.is_held | rows.is_unconfirmed
    # Refunds and cancels say nothing about speed, unless the order had waited too long already.
    known = mask & ~is_unknown & (is_slow | is_delivered) & (rows.paid_ms <= now_ms)
    known_ms = np.where(is_slow, rows.paid_ms + threshold_ms, rows.end_ms)[known]
    order = np.lexsort((rows.key[known], known_ms))
    return np.asarray(is_slow[known][order][-SHARE_OF:])


def _is_tripped(latest: Bools) -> bool:
    return len(latest) >= STREAK and bool(latest[-STREAK:].all())
