"""The shop's hour of the week, against Python's own time zone database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from monitor.core.signals.calendar import hour_of_week, hours_of_week, offset_ms
from monitor.model.times import HOUR_MS


def offsets_of(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """When the offset from UTC changes in a year, found hour by hour."""
    at, found = datetime(year - 1, 12, 20, tzinfo=UTC), []
    last = None
    while at.year <= year:
        ahead = at.astimezone(ZoneInfo(zone)).utcoffset()
        assert ahead is not None
        if ahead != last:
            found.append((int(at.timestamp()) * 1000, int(ahead.total_seconds()) * 1000))
            last = ahead
        at += timedelta(minutes=30)
    return tuple(found)


@pytest.mark.parametrize(
    "zone",
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"],
)
def test_hour_of_week_agrees_with_the_time_zone_database(zone: str) -> None:
    """Every half hour of a year, through days of 23, 25 and 24.5 hours."""
    offsets = offsets_of(zone, 2026)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=30 * step) for step in range(2 * 24 * 365)]
    local = [time.astimezone(ZoneInfo(zone)) for time in times]
    wanted = [moment.weekday() * 24 + moment.hour for moment in local]
    at_ms = np.array([int(time.timestamp()) * 1000 for time in times], np.int64)
    assert hours_of_week(at_ms, offsets).tolist() == wanted
    assert [hour_of_week(int(at), offsets) for at in at_ms[::97]] == wanted[::97]


def test_week_with_a_lost_hour_has_no_such_hour() -> None:
    """Berlin, 29 March 2026: Sunday 02:00 (hour 146) does not come, 167 hours are left."""
    offsets = offsets_of("Europe/Berlin", 2026)
    monday = int(datetime(2026, 3, 22, 23, tzinfo=UTC).timestamp()) * 1000
    hours = [hour_of_week(monday + hour * HOUR_MS, offsets) for hour in range(167)]
    assert hours == [hour for hour in range(168) if hour != 146]


def test_week_with_a_doubled_hour_has_it_twice() -> None:
    """Berlin, 25 October 2026: Sunday 02:00 comes twice."""
    offsets = offsets_of("Europe/Berlin", 2026)
    monday = int(datetime(2026, 10, 18, 22, tzinfo=UTC).timestamp()) * 1000
    hours = [hour_of_week(monday + hour * HOUR_MS, offsets) for hour in range(169)]
    assert hours == sorted([*range(168), 146])


def test_unknown_offsets_mean_utc_and_earlier_times_the_first_known() -> None:
    """Nothing known is UTC; before the first change its own offset is taken."""
    assert offset_ms(0, ()) == 0
    assert hour_of_week(4 * 24 * HOUR_MS, ()) == 0  # 1970-01-05 was a Monday
    assert hours_of_week(np.array([4 * 24 * HOUR_MS], np.int64), ()).tolist() == [0]
    assert offset_ms(-5, ((1_000, HOUR_MS),)) == HOUR_MS
