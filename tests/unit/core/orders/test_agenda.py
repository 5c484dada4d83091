"""Deadlines: one valid entry per order, taken in time."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.agenda import STALE_MAX, Agenda


def test_rescheduled_order_is_taken_once_at_its_newest_time() -> None:
    """An earlier plan is forgotten, whether the new one is sooner or later."""
    agenda = Agenda()
    agenda.schedule("a", 10)
    agenda.schedule("a", 30)
    agenda.schedule("b", 40)
    agenda.schedule("b", 20)
    assert agenda.next_ms() == 20
    assert agenda.take_due(29) == ["b"]
    assert agenda.take_due(30) == ["a"]
    assert agenda.next_ms() is None


def test_cancelled_order_is_never_taken() -> None:
    """None as a time takes the order off the agenda."""
    agenda = Agenda()
    agenda.schedule("a", 10)
    agenda.schedule("a", None)
    assert agenda.next_ms() is None
    assert agenda.take_due(99) == []


def test_plans_that_move_with_every_event_do_not_pile_up() -> None:
    """Each of ten orders is put off a thousand times; memory holds about one entry per order."""
    agenda = Agenda()
    for moment in range(1_000):
        for name in "abcdefghij":
            agenda.schedule(name, 5_000 + moment)
    assert len(agenda) <= 2 * 10 + STALE_MAX
    assert agenda.take_due(5_998) == []
    assert agenda.take_due(5_999) == list("abcdefghij")


def test_cancelled_plans_do_not_pile_up() -> None:
    """Ten thousand orders came and went before anything was due."""
    agenda = Agenda()
    for number in range(10_000):
        agenda.schedule(str(number), 5_000)
        agenda.schedule(str(number), None)
    assert len(agenda) <= STALE_MAX


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9))), st.integers(0, 9)
)
def test_agenda_equals_a_dictionary_of_latest_plans(
    plans: list[tuple[str, int | None]], now_ms: int
) -> None:
    """Whatever was planned before, the last plan of each order counts."""
    agenda, latest = Agenda(), dict[str, int | None]()
    for order_id, at_ms in plans:
        agenda.schedule(order_id, at_ms)
        latest[order_id] = at_ms
    planned = sorted((at_ms, order_id) for order_id, at_ms in latest.items() if at_ms is not None)
    assert agenda.take_due(now_ms) == [order_id for at_ms, order_id in planned if at_ms <= now_ms]
    left = [at_ms for at_ms, _ in planned if at_ms > now_ms]
    assert agenda.next_ms() == min(left, default=None)
