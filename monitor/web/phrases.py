"""Numbers, times and outside names as people read them, in one language and time zone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, format_rfc3339, to_datetime
from monitor.web.language import Words

_UNITS = (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS))
_PRECISE_S = 10.0  # below this a delay is shown with tenths


class Moment(msgspec.Struct, frozen=True):
    """A time for `<time datetime>`: machine form, what is shown, and the whole of it."""

    iso: str
    short: str
    full: str


class Phrases:
    """How this page says numbers and times."""

    def __init__(self, words: Words, timezone: str, now_ms: int) -> None:
        self.words = words
        self.now_ms = now_ms
        self.zone_name, self._zone = _zone(timezone)

    def moment(self, at_ms: int) -> Moment:
        """A time of day, with its date when that is not today."""
        local = to_datetime(at_ms).astimezone(self._zone)
        is_today = local.date() == to_datetime(self.now_ms).astimezone(self._zone).date()
        return Moment(
            iso=format_rfc3339(at_ms),
            short=f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d %H:%M}",
            full=f"{local:%Y-%m-%d %H:%M:%S} {self.zone_name}",
        )

    def duration(self, seconds: float) -> str:
        """Two units at most: `42s`, `3m 20s`, `2d 4h`; whole seconds, rounded down."""
        left = int(max(0.0, seconds)) * SECOND_MS
        parts = []
        for unit, size in _UNITS:
            count, left = divmod(left, size)
            parts.append((unit, count))
        first = next((at for at, (_, count) in enumerate(parts) if count), len(parts) - 1)
        said = [
            self.words(f"unit.{unit}", n=count)
            for at, (unit, count) in enumerate(parts[first : first + 2])
            if count or at == 0
        ]
        return self.words("unit.join").join(said)

    def delay(self, seconds: float) -> str:
        """A measured delay: with tenths while they matter, rounded up so that it is kept."""
        if seconds < _PRECISE_S:
            tenths = math.ceil(round(seconds * 10, 6)) / 10
            return self.words("unit.s", n=f"{tenths:.1f}".removesuffix(".0"))
        return self.duration(math.ceil(round(seconds, 6)))

    def percent(self, ratio: float) -> str:
        """A share of 0..1 with one decimal: `2.4%`."""
        return f"{100 * ratio:.1f}".removesuffix(".0") + "%"

    def value(self, value: float, unit: str) -> str:
        """A signal's value in its unit (`monitor.model.rules.SIGNALS`)."""
        match unit:
            case "ratio":
                return self.percent(value)
            case "duration":
                return self.delay(value)
            case _:
                return f"{value:.1f}".removesuffix(".0")


def visible(name: str) -> str:
    """A name from outside without invisible or direction-changing characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


def adding_up(values: Sequence[float], total: int) -> list[int]:
    """Round values that add up to a whole number so that the rounded ones do too.

    The largest remainders are rounded up (Hamilton's method). Shapes: values ≥ 0, sum ≈ total.
    """
    rounded = [math.floor(value) for value in values]
    by_remainder = sorted(range(len(values)), key=lambda at: rounded[at] - values[at])
    for at in by_remainder[: max(0, total - sum(rounded))]:
        rounded[at] += 1
    return rounded


def _zone(name: str) -> tuple[str, tzinfo]:
    """Find a time zone; on a machine without its data times are in UTC and say so."""
    try:
        return name, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC", UTC
