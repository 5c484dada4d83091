"""What was counted for learning, hour by hour."""

import msgspec
import numpy as np

from monitor.core.signals.histogram import bucket_index
from monitor.core.signals.paces import KEPT_MS, UNLEARNED_MS, PaceRow, Paces
from monitor.model.ids import ALL_ORDERS
from monitor.model.times import HOUR_MS

HOUR = 1_767_571_200_000


def filled() -> Paces:
    paces = Paces()
    paces.add("a", HOUR + 10, 5_000)
    paces.add("a", HOUR + HOUR_MS - 1, 5_000)
    paces.add("a", HOUR + HOUR_MS, None)
    paces.add("b", HOUR, 90_000)
    return paces


def test_orders_are_counted_by_channel_and_hour_done() -> None:
    """A delivery, a closing without one, another channel; all channels together."""
    paces = filled()
    assert paces.channels() == ("a", "b")
    first, second = paces.hours("a", HOUR, HOUR + 2 * HOUR_MS)
    assert (first.hour_ms, int(first.counts[bucket_index(5_000)]), first.never) == (HOUR, 2, 0)
    assert (second.hour_ms, int(second.counts.sum()), second.never) == (HOUR + HOUR_MS, 0, 1)
    assert int(paces.hours(ALL_ORDERS, HOUR, HOUR + 1)[0].counts.sum()) == 3
    assert paces.count("a", HOUR, HOUR + HOUR_MS) == 2
    assert paces.count(ALL_ORDERS, 0, HOUR + 2 * HOUR_MS) == 4


def test_shards_add_up_in_any_order() -> None:
    """Merged counts and snapshots do not depend on who comes first; a snapshot restores all."""
    one, two = filled(), Paces([PaceRow(HOUR, "a", ((3, 7),), 1)])
    other = Paces(two.snapshot())
    one.merge(two)
    other.merge(filled())
    assert one.snapshot() == other.snapshot()
    stored = msgspec.json.decode(msgspec.json.encode(one.snapshot()), type=list[PaceRow])
    assert Paces(stored).snapshot() == one.snapshot()


def test_hours_are_forgotten_three_days_after_they_were_learned() -> None:
    """Not before; and those of a channel that never had enough orders after five weeks."""
    paces = filled()
    paces.forget({"a": HOUR + KEPT_MS}, HOUR + KEPT_MS)
    assert paces.count("a", 0, HOUR + HOUR_MS) == 2
    paces.forget({"a": HOUR + KEPT_MS + 1}, HOUR + KEPT_MS)
    assert paces.count("a", 0, HOUR + HOUR_MS) == 0
    assert paces.channels() == ("a", "b")
    paces.forget({}, HOUR + UNLEARNED_MS + 1)
    assert paces.channels() == ("a",)


def test_all_channels_together_lose_what_one_of_them_forgets() -> None:
    """Its buckets, its orders without delivery, and where the first hour begins."""
    paces = filled()
    paces.add("b", HOUR + HOUR_MS, 5_000)
    assert paces.first_ms() == HOUR
    paces.forget({"a": HOUR + KEPT_MS + HOUR_MS, "b": HOUR}, HOUR + KEPT_MS)
    together, later = paces.hours(ALL_ORDERS, 0, HOUR + 2 * HOUR_MS)
    assert (np.flatnonzero(together.counts).tolist(), together.never) == ([bucket_index(90_000)], 0)
    assert (int(later.counts.sum()), later.never) == (1, 1)
    assert paces.count(ALL_ORDERS, 0, HOUR + 2 * HOUR_MS) == 3
    paces.forget({"b": HOUR + KEPT_MS + HOUR_MS}, HOUR + KEPT_MS)
    assert paces.first_ms() == HOUR + HOUR_MS
    assert [hour.hour_ms for hour in paces.hours(ALL_ORDERS, 0, HOUR + HOUR_MS)] == []
    assert Paces(paces.snapshot()).snapshot() == paces.snapshot()


def test_negative_delay_counts_as_none() -> None:
    """A clock that runs behind does not break the count."""
    paces = Paces()
    paces.add("a", HOUR, -5)
    assert paces.snapshot() == [PaceRow(HOUR, "a", ((0, 1),))]
