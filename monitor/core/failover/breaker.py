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

from monitor.core.signals.observation import Bools, Kind, Observation
from monitor.model.settings import Settings

STREAK = 4
SHARE_OF = 20  # the slow share that compares channels looks at so many latest orders


class ChannelSpeed(msgspec.Struct, frozen=True):
    """Slow/fast verdicts of one channel, latest last known first.

    `is_tripped`: the four latest verdicts are all slow. `slow` of `n` among the latest twenty.
    """

    channel: str
    threshold_ms: int
    is_tripped: bool
    slow: int
    n: int
    oldest_age_ms: int
    open_orders: int

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
    rows: Observation, mask: Bools, channel: str, threshold_ms: int, now_ms: int
) -> ChannelSpeed:
    """Read the latest slow/fast verdicts of one channel; held orders say nothing."""
    waits = rows.wait_ms(now_ms)
    is_delivered = rows.kind == Kind.DELIVERED
    is_slow = waits > threshold_ms
    # Refunds and cancels say nothing about speed, unless the order had waited too long already.
    known = mask & ~rows.is_held & (is_slow | is_delivered) & (rows.paid_ms <= now_ms)
    known_ms = np.where(is_slow, rows.paid_ms + threshold_ms, rows.end_ms)[known]
    order = np.lexsort((rows.key[known], known_ms))
    latest = is_slow[known][order][-SHARE_OF:]
    ages = waits[mask & rows.is_open]
    return ChannelSpeed(
        channel=channel,
        threshold_ms=threshold_ms,
        is_tripped=len(latest) >= STREAK and bool(latest[-STREAK:].all()),
        slow=int(np.count_nonzero(latest)),
        n=len(latest),
        oldest_age_ms=int(ages.max()) if len(ages) else 0,
        open_orders=len(ages),
    )
