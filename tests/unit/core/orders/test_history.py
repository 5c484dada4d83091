"""What was normal: hours of deliveries, and the p95 learned from them."""

from collections.abc import Iterator

from monitor.core.orders.history import (
    LEARNED_ORDERS_MIN,
    MEMORY_MS,
    SKUS_MAX,
    History,
    Hour,
    HourRow,
)
from monitor.core.signals.histogram import bucket_index
from monitor.model.times import HOUR_MS

NOW_MS = 500 * HOUR_MS


def history_of(hour: int, count: int, delay_ms: int) -> History:
    history = History()
    for _ in range(count):
        history.add(hour * HOUR_MS + 1, "auto", "gold", delay_ms, received_ms=0)
    return history


def test_p95_is_learned_from_enough_orders_before_the_latest_hours() -> None:
    """Fifty orders teach; those of this hour and the one before do not."""
    assert history_of(498, LEARNED_ORDERS_MIN - 1, 10_000).p95_ms("auto", NOW_MS) is None
    assert history_of(499, LEARNED_ORDERS_MIN, 10_000).p95_ms("auto", NOW_MS) is None
    assert history_of(498, LEARNED_ORDERS_MIN, 10_000).p95_ms("other", NOW_MS) is None
    learned = history_of(498, LEARNED_ORDERS_MIN, 10_000).p95_ms("auto", NOW_MS)
    assert learned is not None
    assert abs(learned - 10_000) <= 220  # a bucket is 2.2 % wide


def test_p95_is_learned_anew_when_the_hour_changes() -> None:
    """What was too young an hour ago counts now."""
    history = history_of(499, LEARNED_ORDERS_MIN, 10_000)
    assert history.p95_ms("auto", NOW_MS) is None
    assert history.p95_ms("auto", NOW_MS + HOUR_MS) is not None


def test_undelivered_orders_are_counted_apart() -> None:
    """An order closed without goods has no delay."""
    history = history_of(498, 1, 3_000)
    history.add(498 * HOUR_MS + 5, "auto", "gold", None, received_ms=0)
    (hour,) = history.drain()
    assert (hour.delivered, hour.never) == ({bucket_index(3_000): 1}, 1)
    assert history.drain() == []


def test_delivery_before_payment_counts_as_no_delay() -> None:
    """Clock skew is not a negative delay."""
    (hour,) = history_of(1, 1, -5_000).drain()
    assert hour.delivered == {0: 1}


def test_skus_beyond_the_limit_of_an_hour_are_counted_together() -> None:
    """A flood of names does not flood memory, and no order is lost."""
    history = History()
    for index in range(SKUS_MAX + 5):
        history.add(1, "auto", f"sku-{index}", 1_000, received_ms=0)
    hours = history.hours()
    assert len(hours) == SKUS_MAX + 1
    assert sum(sum(hour.delivered.values()) for hour in hours) == SKUS_MAX + 5


def test_limit_of_skus_is_per_hour_and_channel_and_outlives_a_snapshot() -> None:
    """A full hour stays full after a restart; its neighbours still have room, also when it left."""
    history = History()
    for index in range(SKUS_MAX):
        history.add(1, "auto", f"sku-{index}", 1_000, received_ms=0)
    again = History(history.snapshot())
    for channel, at_ms in (("auto", 1), ("other", 1), ("auto", HOUR_MS)):
        again.add(at_ms, channel, "late", 1_000, received_ms=0)
    assert [(hour.hour_ms, hour.channel, hour.sku) for hour in again.drain()] == [
        (0, "auto", ""), (0, "other", "late"), (HOUR_MS, "auto", "late"),
    ]  # fmt: skip
    again.forget_before(MEMORY_MS + 1)
    again.add(1, "auto", "late", 1_000, received_ms=0)
    assert [hour.sku for hour in again.drain()] == ["late"]


def test_skus_of_an_hour_are_not_searched_through_all_hours() -> None:
    """A week of many SKUs: the next new SKU looks at its own hour and channel only."""
    rows = [
        HourRow(hour * HOUR_MS, "auto", f"sku-{n}", (), 1) for hour in range(100) for n in range(50)
    ]
    history = History(rows)
    seen = CountingHours(history._hours)
    history._hours = seen
    history.add(100 * HOUR_MS, "auto", "new", 1_000, received_ms=0)
    assert seen.walks == 0


class CountingHours(dict[tuple[int, str, str], Hour]):
    """Hours that count how often all of them are walked through."""

    walks = 0

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        self.walks += 1
        return super().__iter__()


def test_old_hours_are_forgotten_only_when_they_are_stored() -> None:
    """An hour that nobody fetched yet stays."""
    history = history_of(1, 1, 1_000)
    history.forget_before(HOUR_MS + MEMORY_MS + HOUR_MS)
    assert len(history.hours()) == 1
    history.drain()
    history.forget_before(HOUR_MS + MEMORY_MS + HOUR_MS)
    assert history.hours() == []


def test_snapshot_of_a_history_restores_it() -> None:
    """The same hours come back, in one fixed order."""
    history = history_of(498, 60, 10_000)
    history.add(497 * HOUR_MS, "b", None, 70_000, received_ms=0)
    again = History(history.snapshot())
    assert again.snapshot() == history.snapshot()
    assert again.p95_ms("auto", NOW_MS) == history.p95_ms("auto", NOW_MS)


def test_news_of_a_forgotten_hour_do_not_overwrite_what_is_stored() -> None:
    """A row in memory replaces the stored one, so only whole hours may be written."""
    history = history_of(1, 1, 1_000)
    history.drain()
    now_ms = HOUR_MS + MEMORY_MS + 1
    history.forget_before(now_ms)
    history.add(HOUR_MS + 5, "auto", "gold", 2_000, received_ms=now_ms)
    assert history.drain() == []
    history.add(2 * HOUR_MS + 5, "auto", "gold", 2_000, received_ms=now_ms)
    assert [hour.hour_ms for hour in history.drain()] == [2 * HOUR_MS]
