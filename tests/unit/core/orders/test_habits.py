"""What a source usually tells is learned from its events; an incident teaches little."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from monitor.core.orders.habits import KNOWN, WEEK_MS, Habits, Peak
from monitor.core.orders.lags import Lags
from monitor.model.events import EventType, OrderEvent
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

START_MS = 1_767_578_400_000


def event(kind: EventType, order: str, at_ms: int, meaning: str | None = None) -> OrderEvent:
    """An event that is told at once."""
    return OrderEvent(kind.value, order, "shop", f"{kind}@{at_ms}", at_ms, at_ms, meaning=meaning)


def tell(habits: Habits, *events: OrderEvent) -> None:
    """The whole life of one order, as it is told."""
    for place, one in enumerate(events):
        habits.note(one, events[: place + 1])


def life(habits: Habits, number: int, at_ms: int) -> None:
    """One order is paid and delivered, one is never paid and expires after five minutes."""
    paid, unpaid = f"p{number}", f"u{number}"
    tell(
        habits,
        event(EventType.CREATED, paid, at_ms),
        event(EventType.PAID, paid, at_ms + 5 * SECOND_MS),
        event(EventType.DELIVERED, paid, at_ms + 6 * SECOND_MS),
    )
    tell(
        habits,
        event(EventType.CREATED, unpaid, at_ms + 10 * SECOND_MS),
        event(EventType.EXPIRED, unpaid, at_ms + 10 * SECOND_MS + 5 * MINUTE_MS),
    )


def learned(count: int = 200) -> tuple[Habits, int]:
    """A shop of two orders every ten minutes, and the time after them."""
    habits = Habits()
    for number in range(count):
        life(habits, number, START_MS + number * 10 * MINUTE_MS)
    return habits, START_MS + count * 10 * MINUTE_MS


def test_unpaid_orders_that_expire_no_more_are_overdue_although_others_are_delivered() -> None:
    """The queue is dead, but delivery runs in the payment callback: expiry is what stops."""
    habits, now_ms = learned()
    assert habits.expiries.overdue(now_ms) == (0, 3)
    for number in range(4):
        at_ms = now_ms + number * MINUTE_MS
        habits.note(*_first(event(EventType.CREATED, f"x{number}", at_ms)))
        tell(
            habits,
            event(EventType.CREATED, f"y{number}", at_ms),
            event(EventType.PAID, f"y{number}", at_ms + 1),
            event(EventType.DELIVERED, f"y{number}", at_ms + 2),
        )
    late_ms = (
        5 * MINUTE_MS * 3 // 2 + 15 * SECOND_MS
    )  # half as long again as usual, and an interval
    assert habits.expiries.overdue(now_ms + 3 * MINUTE_MS + late_ms - 1) == (3, 3)
    assert habits.expiries.overdue(now_ms + 3 * MINUTE_MS + late_ms) == (4, 3)
    assert habits.steps.overdue(now_ms + HOUR_MS) == (0, 4)  # two of them waited together


def _first(told: OrderEvent) -> tuple[OrderEvent, tuple[OrderEvent, ...]]:
    return told, (told,)


def test_an_order_that_is_paid_or_cancelled_no_longer_waits_for_its_expiry() -> None:
    """Only orders that nobody pays expire."""
    habits = Habits()
    created = event(EventType.CREATED, "a", START_MS)
    habits.note(created, (created,))
    assert habits.expiries.came == [START_MS]
    paid = event(EventType.PAID, "a", START_MS + 1)
    habits.note(paid, (created, paid))
    assert habits.expiries.came == []


@pytest.mark.parametrize(("count", "age_ms"), [(KNOWN // 2 - 1, 2 * DAY_MS), (200, DAY_MS - 1)])
def test_nothing_is_overdue_before_a_day_and_fifty_steps(count: int, age_ms: int) -> None:
    """A shop that was connected just now may do whatever it likes."""
    habits = Habits()
    for number in range(count):
        life(habits, number, START_MS + number * MINUTE_MS)
    assert habits.steps.overdue(START_MS + age_ms) is None
    assert habits.expiries.overdue(START_MS + age_ms) is None


def test_the_most_of_two_weeks_is_usual_and_an_incident_adds_a_quarter() -> None:
    """By hand: 8 known; 1,000 counts as 8 + 2 + 1; two weeks later only what was since is left."""
    peak = Peak()
    for place in range(KNOWN):
        peak.note(8, START_MS + place)
    peak.note(1_000, START_MS + HOUR_MS)
    assert peak.most == 11
    peak.note(2, START_MS + WEEK_MS)
    assert peak.most == 11
    peak.note(3, START_MS + 2 * WEEK_MS)
    assert peak.most == 3


def test_attempts_are_usual_when_nine_of_ten_deliveries_have_one() -> None:
    """Twenty deliveries are needed; repeated attempts of one order count once."""
    habits = Habits()
    for number in range(20):
        at_ms = START_MS + number * MINUTE_MS
        paid = event(EventType.PAID, f"o{number}", at_ms)
        tried = event(EventType.ATTEMPTED, f"o{number}", at_ms + 2_000)
        again = event(EventType.ATTEMPTED, f"o{number}", at_ms + 3_000)
        done = event(EventType.DELIVERED, f"o{number}", at_ms + 4_000)
        tell(habits, *((paid, tried, again, done) if number >= 2 else (paid, done)))
        assert habits.is_telling_attempts == (number == 19)
    assert (habits.attempts, habits.deliveries) == (18, 20)
    assert habits.attempt_wait.most == 2_000
    tell(habits, event(EventType.PAID, "z", START_MS), event(EventType.DELIVERED, "z", START_MS))
    assert not habits.is_telling_attempts


def test_the_shops_first_word_after_a_callback_is_learned_and_no_other() -> None:
    """The relay hears of a payment, the shop says so nine seconds later, then delivers."""
    habits = Habits()
    called = event(EventType.CALLBACK, "a", START_MS + 1_000, meaning="paid")
    tell(
        habits,
        event(EventType.CREATED, "a", START_MS),
        called,
        event(EventType.PAID, "a", START_MS + 10_000),
        event(EventType.DELIVERED, "a", START_MS + 60_000),
    )
    assert (habits.booking_wait.n, habits.booking_wait.most) == (1, 9_000)


def test_lag_is_the_ninetieth_percentile_and_at_most_a_quarter_too_long() -> None:
    """Compared with numpy over ten thousand lags between milliseconds and hours."""
    rng = np.random.default_rng(3)
    told = np.exp(rng.uniform(np.log(200), np.log(8 * HOUR_MS), 10_000)).astype(int)
    lags = Lags()
    for lag_ms in told:
        lags.note(int(lag_ms), START_MS)
    exact = float(np.quantile(told, 0.9, method="inverted_cdf"))
    found = lags.now(START_MS + MINUTE_MS, 0)
    assert found is not None
    assert exact <= found.p90_ms <= 1.25 * exact
    assert found.n == 10_000


def test_lag_reaches_back_for_ten_events_but_not_before_the_silence_ended() -> None:
    """A shop of two events an hour has a lag too; what was held back meanwhile is none."""
    lags = Lags()
    for hour in range(6):
        lags.note(2_000, START_MS + hour * HOUR_MS)
        lags.note(2_000, START_MS + hour * HOUR_MS)
    now_ms = START_MS + 5 * HOUR_MS + MINUTE_MS
    found = lags.now(now_ms, 0)
    assert found is not None
    assert found.n == 10
    assert lags.now(now_ms, START_MS + 2 * HOUR_MS) is None


def test_history_that_is_brought_in_is_no_lag() -> None:
    """The first poll of a shop tells of last month."""
    lags = Lags()
    for _ in range(100):
        lags.note(30 * DAY_MS, START_MS)
    assert lags.now(START_MS, 0) is None


def test_habits_are_the_same_from_a_snapshot() -> None:
    """All of it is plain data."""
    habits, now_ms = learned()
    again = msgspec.json.decode(msgspec.json.encode(habits), type=Habits)
    assert again == habits
    assert again.steps.overdue(now_ms) == habits.steps.overdue(now_ms)
