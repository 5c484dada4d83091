"""Times and durations: integer milliseconds inside, `3m` in files, RFC 3339 at the edges."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import NewType

UnixMs = NewType("UnixMs", int)
DurationMs = NewType("DurationMs", int)

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNIT_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_duration(text: str) -> DurationMs:
    """Read `500ms`, `60s`, `3m`, `1h30m`, `30d` as milliseconds.

    Raises: ValueError naming the accepted forms, also for hundreds of digits, which no float holds.
    """
    parts = _PART.findall(text)
    duration_ms = sum(float(number) * _UNIT_MS[unit] for number, unit in parts)
    is_whole = "".join(number + unit for number, unit in parts) == text
    if not parts or not is_whole or not math.isfinite(duration_ms):
        raise ValueError(f"{text!r} is not a duration; write for example 500ms, 60s, 3m, 6h, 30d")
    return DurationMs(round(duration_ms))


def format_duration(duration_ms: int) -> str:
    """Write milliseconds the way people say them: `42s`, `3m`, `1h30m`, `2d4h`; two units at most.

    Below a minute tenths of seconds are kept when they matter (`1.5s`); sub-second is `250ms`.
    """
    sign = "-" if duration_ms < 0 else ""
    left = abs(duration_ms)
    if left < SECOND_MS:
        return f"{sign}{left}ms"
    if left < MINUTE_MS:
        return f"{sign}{left / SECOND_MS:.1f}".removesuffix(".0") + "s"
    words: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, _UNIT_MS[unit])
        if count:
            words.append(f"{count}{unit}")
    return sign + "".join(words[:2])


def from_datetime(moment: datetime) -> UnixMs:
    """Convert an aware datetime to UTC milliseconds, exactly (no float in between)."""
    return UnixMs((moment.astimezone(UTC) - _EPOCH) // _MILLISECOND)


def to_datetime(at_ms: int) -> datetime:
    """Convert UTC milliseconds to an aware datetime."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def format_rfc3339(at_ms: int) -> str:
    """Write `2026-01-05T02:00:00.123Z`; whole seconds carry no fraction."""
    text = to_datetime(at_ms).isoformat(timespec="milliseconds" if at_ms % SECOND_MS else "seconds")
    return text.replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Read a date and time; the result is naive when the text names no zone.

    Raises: ValueError when it is not a date and time.
    """
    return datetime.fromisoformat(text)
