"""The offsets of a zone change at the second the time zone database says."""

from datetime import UTC, datetime

import pytest

from monitor.config.zones import utc_offsets
from monitor.core.signals.calendar import hour_of_week, offset_ms
from monitor.model.times import HOUR_MS, from_datetime


def test_zone_without_summer_time_has_one_offset() -> None:
    """Shanghai is eight hours ahead, always."""
    assert [offset for _, offset in utc_offsets("Asia/Shanghai")] == [8 * HOUR_MS]


def test_zone_with_summer_time_changes_at_one_utc_on_the_last_sundays() -> None:
    """Berlin 2026: 29 March and 25 October, 01:00 UTC (EU directive 2000/84)."""
    starts = dict(utc_offsets("Europe/Berlin"))
    spring = from_datetime(datetime(2026, 3, 29, 1, tzinfo=UTC))
    autumn = from_datetime(datetime(2026, 10, 25, 1, tzinfo=UTC))
    assert starts[spring] == 2 * HOUR_MS
    assert starts[autumn] == HOUR_MS


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_offsets_agree_with_the_database_every_hour(zone: str) -> None:
    """A year of hours; Lord Howe moves by half an hour, Casablanca twice around Ramadan."""
    from zoneinfo import ZoneInfo

    offsets = utc_offsets(zone)
    start = from_datetime(datetime(2026, 1, 1, tzinfo=UTC))
    for hour in range(365 * 24):
        at_ms = start + hour * HOUR_MS
        local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
        expected = local.utcoffset()
        assert expected is not None
        assert offset_ms(at_ms, offsets) == expected.total_seconds() * 1000
        assert hour_of_week(at_ms, offsets) == local.weekday() * 24 + local.hour
