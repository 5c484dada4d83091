"""The time rules: an eight-hour error must never create lateness."""

import pytest

from monitor.model.errors import InputError
from monitor.model.event_time import resolve_time
from tests.unit.api.samples import RECEIVED_MS, TIME_MS, paid, send

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("2026-01-05T02:00:00Z", TIME_MS),
        ("2026-01-05t02:00:00z", TIME_MS),
        ("2026-01-05T10:00:00+08:00", TIME_MS),
        ("2026-01-05T10:00:00+0800", TIME_MS),
        ("2026-01-05 10:00:00+08:00", TIME_MS),
        ("2026-01-05T02:00:00.5Z", TIME_MS + 500),
        ("2026-01-05T02:00:00.123456789Z", TIME_MS + 123),
        ("2026-01-05T01:59:60Z", TIME_MS),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_time_with_zone_is_the_shops(text: str, expected_ms: int) -> None:
    """RFC 3339, PHP's spelling, fractions and leap seconds; a zone of the source changes nothing."""
    for zone in (None, "Asia/Shanghai"):
        time = resolve_time(text, RECEIVED_MS, zone)
        assert (time.time_ms, time.is_inferred, time.remark) == (expected_ms, False, None)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05",
        "20260105T020000Z",
        "2026-W01-1",
        "0000-00-00 00:00:00",
        "2026-13-01T00:00:00Z",
        "2026-01-05T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59Z",
        "２０２６-01-05T02:00:00Z",
        "2026-01-05T02:00:00Z ",
        "now",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """A date alone, MySQL's zero date, years off the calendar: none of them is guessed."""
    with pytest.raises(InputError) as caught:
        resolve_time(text, RECEIVED_MS, None)
    assert (caught.value.code, caught.value.pointer) == ("bad_time", "/time")


def test_naive_time_is_read_in_the_zone_of_the_source() -> None:
    """10:00 in Shanghai is 02:00 UTC."""
    time = resolve_time("2026-01-05 10:00:00", RECEIVED_MS, "Asia/Shanghai")
    assert (time.time_ms, time.is_inferred, time.remark) == (TIME_MS, False, None)


def test_naive_time_without_zone_becomes_the_arrival_time_with_a_warning() -> None:
    """Nobody knows which zone it means; the warning names the setting."""
    decoded = send([paid("A1", time="2026-01-05 10:00:00"), paid("A2", time="2026-01-05T10:00:00")])
    assert [(event.time_ms, event.is_inferred) for event in decoded.events] == [
        (RECEIVED_MS, True)
    ] * 2
    (warning,) = decoded.warnings
    assert "sources[].timezone" in warning
    assert warning.endswith("(2 events)")
    (event,) = send(paid(time="2026-01-05 10:00:00"), source="shop").events
    assert (event.time_ms, event.is_inferred) == (TIME_MS, False)


def test_zone_unknown_to_the_machine_counts_as_none() -> None:
    """A missing time zone database makes the time inferred, not wrong."""
    assert resolve_time("2026-01-05 10:00:00", RECEIVED_MS, "Mars/Olympus").is_inferred


def test_time_five_minutes_ahead_is_kept_and_a_moment_more_is_not() -> None:
    """Clocks differ; beyond 5 min the arrival time counts."""
    kept = resolve_time("2026-01-05T02:06:00Z", RECEIVED_MS, None)
    assert (kept.time_ms, kept.is_inferred) == (RECEIVED_MS + 300_000, False)
    moved = resolve_time("2026-01-05T02:06:00.001Z", RECEIVED_MS, None)
    assert (moved.time_ms, moved.is_inferred) == (RECEIVED_MS, True)
    assert moved.remark is not None


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("2026-01-05T10:01:30Z", "8 h ahead: is it local time with a wrong zone?"),
        ("2026-01-05T07:31:00Z", "5.5 h ahead: is it local time with a wrong zone?"),
        ("2026-01-05T02:31:00Z", "check the clock"),
        ("2026-01-05T10:14:00Z", "check the clock"),
    ],
)
def test_time_ahead_by_what_zones_differ_by_is_suspected_to_be_local(text: str, guess: str) -> None:
    """Shanghai's 10:01 marked as UTC is eight hours ahead; a clock that is wrong is off by anything."""
    assert str(resolve_time(text, RECEIVED_MS, None).remark).endswith(guess)


def test_identity_of_a_time_does_not_depend_on_arrival() -> None:
    """A repeat that arrives later is still recognised by its content hash."""
    for text in ("2026-01-05T02:10:00Z", "2026-01-05 02:10:00", "2026-01-05T02:00:00Z"):
        first = resolve_time(text, RECEIVED_MS, None)
        assert first.identity == resolve_time(text, RECEIVED_MS + HOUR_MS, None).identity
    assert resolve_time(None, RECEIVED_MS, None).identity is None
