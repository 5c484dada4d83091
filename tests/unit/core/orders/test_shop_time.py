"""Does the shop's own time run as its orders do, and stand while it sleeps?"""

import msgspec
import pytest

from monitor.config.zones import utc_offsets
from monitor.core.orders.shop_time import FLAT, HOURS, ORDER, UNIT, fold_hour, reached_ms, shares
from monitor.core.orders.sources import Source, next_silence_ms
from monitor.core.signals.calendar import Offsets, hour_of_week
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC
BERLIN = utc_offsets("Europe/Berlin")
SUMMER_MS = 1_774_746_000_000  # 2026-03-29 01:00 UTC: two o'clock becomes three


def night_sleeper(days: int, offsets: Offsets = (), start_ms: int = MONDAY_MS) -> Source:
    """An order a minute from eight in the morning to midnight, local time; none at night."""
    source = Source("shop", start_ms, start_ms)
    for at_ms in range(start_ms, start_ms + days * DAY_MS, MINUTE_MS):
        if hour_of_week(at_ms, offsets) % 24 >= 8:
            source.hear(at_ms)
            source.count_order(at_ms, offsets)
    return source


def test_flat_week_is_the_clock() -> None:
    """Before anything is learned, an hour is an hour and a fortnight is a fortnight."""
    for lasting_ms in (1, 59_999, HOUR_MS, 15 * DAY_MS + 7):
        assert reached_ms(FLAT, MONDAY_MS + 4_711, lasting_ms, ()) == MONDAY_MS + 4_711 + lasting_ms


def test_time_runs_twice_as_fast_in_hours_with_twice_the_orders() -> None:
    """By hand: the flank is straight from the middle of one hour to the middle of the next."""
    week = [UNIT] * HOURS
    week[10] = week[11] = week[12] = 2 * UNIT
    ten, eleven = MONDAY_MS + 10 * HOUR_MS, MONDAY_MS + 11 * HOUR_MS
    assert reached_ms(week, eleven, HOUR_MS, ()) == eleven + HOUR_MS // 2
    # The first quarter of the hour weighs 13/8, the second 15/8, the second half 16/8.
    lasting_ms = (13 + 15 + 16 + 16) * HOUR_MS // 32
    assert reached_ms(week, ten, lasting_ms, ()) == eleven
    assert reached_ms(week, ten, lasting_ms - 1, ()) <= eleven
    assert reached_ms(week, ten, lasting_ms + 4, ()) == eleven + 2


def test_learned_week_follows_counts_and_few_orders_hardly_bend_it() -> None:
    """4 weeks, 100 orders in each hour of the day, 1 at night; then the same with a hundredth."""
    many = [ORDER * (400 if hour % 24 >= 8 else 4) for hour in range(HOURS)]
    learned = shares(many, 0, 4 * HOURS, ())
    assert max(learned[:8]) < min(learned[8:24]) / 20
    assert sum(learned) / HOURS == pytest.approx(0.9 * UNIT, rel=0.02)
    few = [count // 100 for count in many]
    bent = shares(few, 0, 4 * HOURS, ())
    assert min(bent[8:24]) / 20 < max(bent[:8]) < min(bent[8:24])


def test_first_day_is_flat_for_hours_that_were_not_watched() -> None:
    """Six hours at one rate say nothing about the seventh."""
    week: list[int] = []
    for hour in range(6):
        since = fold_hour(week, 0, hour, 60, ())
        assert since == 0
    learned = shares(week, 0, 6, ())
    assert learned[20] == pytest.approx(UNIT, abs=1)


def test_hour_that_was_not_watched_from_its_beginning_is_not_learned() -> None:
    """The first orders come at ten to twelve: that is no quiet eleven o'clock."""
    week: list[int] = []
    assert fold_hour(week, 12, 11, 600, ()) == 12
    assert shares(week, 12, 13, ()) == FLAT


def test_old_weeks_fade_by_half_and_whole_weeks() -> None:
    """After four weeks half of every count is left, and it stands for two weeks."""
    week: list[int] = []
    since = 0
    for hour in range(4 * HOURS + 1):
        since = fold_hour(week, since, hour, 10, ())
    assert since == 2 * HOURS
    first = hour_of_week(0, ())
    assert week[first] == 2 * 10 * ORDER + 10 * ORDER
    assert week[first + 1] == 2 * 10 * ORDER


def test_night_is_no_silence_and_the_morning_after_is() -> None:
    """Two weeks learned: at 07:30 nothing is said, soon after eight it is, by day in 15 minutes."""
    midnight_ms = MONDAY_MS + 14 * DAY_MS
    source = night_sleeper(14)
    assert not source.is_quiet_too_long(midnight_ms + 7 * HOUR_MS + 30 * MINUTE_MS)
    assert source.is_quiet_too_long(midnight_ms + 8 * HOUR_MS + 20 * MINUTE_MS)
    flat = msgspec.structs.replace(source, week=[])
    assert flat.is_quiet_too_long(midnight_ms + HOUR_MS)
    noon = msgspec.structs.replace(source, last_ms=midnight_ms - 12 * HOUR_MS)
    assert noon.limit_ms() in range(10 * MINUTE_MS, 15 * MINUTE_MS)
    flat_noon = msgspec.structs.replace(noon, week=[])
    assert (noon.limit_ms() or 0) < (flat_noon.limit_ms() or 0)


@pytest.mark.parametrize("days_before", [14, 6])
def test_morning_comes_an_hour_earlier_when_the_clock_goes_forward(days_before: int) -> None:
    """The shop's eight o'clock is 07:00 UTC until the change and 06:00 after it."""
    start_ms = SUMMER_MS - 2 * HOUR_MS - days_before * DAY_MS
    source = night_sleeper(days_before, BERLIN, start_ms)
    due_ms = next_silence_ms({"shop": source}, offsets=BERLIN)
    assert due_ms is not None
    eight_ms = SUMMER_MS + 5 * HOUR_MS
    assert eight_ms - 30 * MINUTE_MS < due_ms < eight_ms + 20 * MINUTE_MS


def test_snapshot_holds_the_learned_week() -> None:
    """What is restored goes on to learn and says the same instant."""
    source = night_sleeper(9)
    source.silent_after_ms()
    body = msgspec.json.encode(source)
    again = msgspec.json.decode(body, type=Source)
    assert msgspec.json.encode(again) == body
    for one in (source, again):
        one.hear(one.last_ms + 9 * HOUR_MS)
        one.count_order(one.last_ms)
    assert again == source
    assert again.silent_after_ms() == source.silent_after_ms()
    assert len(source.week) == HOURS
