"""Deadlines: one valid entry per order, taken in time."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.agenda import FEW, SPAN_BITS, Agenda

SPAN_MS = 1 << SPAN_BITS


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
    """Each of ten orders is put off a thousand times; memory holds one entry per order."""
    agenda = Agenda()
    agenda.take_due(0)  # so that 5 s is in the span that has begun, and 30 s is not
    for start_ms in (5_000, 30_000):
        for moment in range(1_000):
            for name in "abcdefghij":
                agenda.schedule(name, start_ms + moment)
        assert len(agenda) <= 2 * 10
    assert agenda.take_due(30_998) == []
    assert agenda.take_due(30_999) == list("abcdefghij")


def test_cancelled_plans_do_not_pile_up() -> None:
    """Ten thousand orders came and went before anything was due."""
    agenda = Agenda()
    for number in range(10_000):
        agenda.schedule(str(number), 5_000)
        agenda.schedule(str(number), None)
    assert len(agenda) == 0


def test_many_plans_of_a_later_span_are_asked_for_when_it_begins() -> None:
    """Looking for the first of very many costs more than one look too early."""
    agenda = Agenda()
    for number in range(FEW + 1):
        agenda.schedule(str(number), 3 * SPAN_MS + 500)
    assert agenda.next_ms() == 3 * SPAN_MS
    assert agenda.take_due(3 * SPAN_MS) == []
    assert agenda.next_ms() == 3 * SPAN_MS + 500


def test_plans_far_apart_are_taken_in_order_of_time_then_id() -> None:
    """Several spans that begin at once are merged."""
    agenda = Agenda()
    for order_id, at_ms in (("c", 9 * SPAN_MS), ("b", 5), ("a", 9 * SPAN_MS), ("d", SPAN_MS)):
        agenda.schedule(order_id, at_ms)
    assert agenda.take_due(10 * SPAN_MS) == ["b", "d", "a", "c"]


TIMES = st.integers(0, 9) | st.integers(0, 4 * SPAN_MS)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | TIMES)
        | st.tuples(st.just("now"), st.integers(0, SPAN_MS))
    ),
    TIMES,
)
def test_agenda_equals_a_dictionary_of_latest_plans(
    plans: list[tuple[str, int | None]], pause_ms: int
) -> None:
    """Whatever was planned before, and whatever time it became meanwhile, the last plan counts."""
    agenda, latest, now_ms = Agenda(), dict[str, int](), 0
    for order_id, at_ms in [*plans, ("now", pause_ms)]:
        if order_id != "now":
            agenda.schedule(order_id, at_ms)
            latest.pop(order_id, None)
            if at_ms is not None:
                latest[order_id] = at_ms
            continue
        now_ms += at_ms or 0
        planned = sorted((due_ms, name) for name, due_ms in latest.items())
        taken = [name for due_ms, name in planned if due_ms <= now_ms]
        assert agenda.take_due(now_ms) == taken
        for name in taken:
            del latest[name]
        assert agenda.next_ms() == min(latest.values(), default=None)
