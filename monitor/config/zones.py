"""When a time zone's offset from UTC changes: the core has no time zone database of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from monitor.model.times import HOUR_MS, SECOND_MS, from_datetime, to_datetime

FIRST_YEAR = 2015
LAST_YEAR = 2055
_STEP_MS = 24 * HOUR_MS * 7


@lru_cache(maxsize=8)
def utc_offsets(zone: str) -> tuple[tuple[int, int], ...]:
    """List (from_ms, offset_ms) of a zone, sorted, exact to the second from 2015 to 2055.

    Raises: ZoneInfoNotFoundError; the configuration has checked the name before.
    """
    place = ZoneInfo(zone)
    at_ms = int(from_datetime(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)))
    end_ms = int(from_datetime(datetime(LAST_YEAR, 1, 1, tzinfo=UTC)))
    found = [(at_ms, _offset_ms(place, at_ms))]
    while at_ms < end_ms:
        following = at_ms + _STEP_MS  # no zone changes twice within a week
        if _offset_ms(place, following) != found[-1][1]:
            changed_ms = _change(place, at_ms, following)
            found.append((changed_ms, _offset_ms(place, changed_ms)))
        at_ms = following
    return tuple(found)


def _offset_ms(place: ZoneInfo, at_ms: int) -> int:
    offset = to_datetime(at_ms).astimezone(place).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * SECOND_MS


def _change(place: ZoneInfo, low_ms: int, high_ms: int) -> int:
    """Find the first second with the new offset between two instants of different offsets."""
    before = _offset_ms(place, low_ms)
    low, high = low_ms // SECOND_MS, high_ms // SECOND_MS
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_ms(place, middle * SECOND_MS) == before:
            low = middle
        else:
            high = middle
    return high * SECOND_MS
