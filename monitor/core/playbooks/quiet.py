"""Quiet hours: when buyers are left in peace, by the shop's clock."""

from __future__ import annotations

from monitor.core.signals.calendar import Offsets, offset_ms
from monitor.model.playbooks import QuietHours
from monitor.model.times import DAY_MS, MINUTE_MS


def quiet_until_ms(hours: QuietHours | None, offsets: Offsets, now_ms: int) -> int | None:
    """When a buyer may be told again; None if now.

    `offsets` are those of the settings: (from_ms, how far local time is ahead of UTC), sorted.
    """
    if hours is None:
        return None
    local_ms = now_ms + offset_ms(now_ms, offsets)
    minute_ms = local_ms % DAY_MS
    start_ms, end_ms = hours.start_minute * MINUTE_MS, hours.end_minute * MINUTE_MS
    if start_ms < end_ms:
        is_quiet = start_ms <= minute_ms < end_ms
    else:
        is_quiet = minute_ms >= start_ms or minute_ms < end_ms
    if not is_quiet:
        return None
    rest_ms = (end_ms - minute_ms) % DAY_MS
    until_ms = now_ms + rest_ms
    # Where the clock is set in between, the end is that of the new time.
    shift_ms = offset_ms(until_ms, offsets) - offset_ms(now_ms, offsets)
    return max(now_ms + 1, until_ms - shift_ms)
