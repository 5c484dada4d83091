"""A stored order is the order, whichever release wrote the row."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.facts import Facts
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.takeovers import Attempt, TakeoverCase
from monitor.ports import OrderRow
from monitor.runtime.order_rows import order_of, row_of

# As they stand in rows on people's disks: a name may be added at the end, nothing else.
FIELDS = (
    "type order_id source event_id time_ms received_ms is_inferred is_unique created_means_paid"
    " meaning outcome takeover_id channel sku quantity amount_minor currency provider customer_tier"
    " speed fulfilment region attempt reason promise_ms customer_hash traceparent payment goods"
    " goods_units"
)
CASE = TakeoverCase(
    "t1", "o1", "escalated", "c1", 2, 5, 6, "auto", wake_ms=9,
    attempts=(Attempt("a1", "pool", 1, "unknown", 5, 9),),
)  # fmt: skip


INTS = st.integers(-(2**63), 2**63 - 1)
EVENTS = st.builds(
    OrderEvent, time_ms=INTS, received_ms=INTS, quantity=st.one_of(st.none(), INTS),
    amount_minor=st.one_of(st.none(), INTS), attempt=st.one_of(st.none(), INTS),
    promise_ms=st.one_of(st.none(), INTS),
    goods=st.lists(st.text(st.characters(codec="utf-8")), max_size=2).map(tuple),
    payment=st.one_of(st.none(), st.just("p1")), goods_units=st.integers(0, 9),
)  # fmt: skip


@given(EVENTS, st.booleans(), st.one_of(st.none(), st.integers(0, 2**53)))
def test_order_that_was_stored_is_read_as_it_was(
    event: OrderEvent, has_case: bool, paid_ms: int | None
) -> None:
    """Every field of every event, the facts, what was decided and the case."""
    order = Order(
        "o1", (event, event), Facts(paid_ms=paid_ms, channel="auto"), tier=2, breach_ms=7,
        case=CASE if has_case else None,
    )  # fmt: skip
    assert order_of(row_of(order)) == order


def test_row_of_an_earlier_release_is_json() -> None:
    """It is read as it is."""
    order = Order("o1", (OrderEvent("order.paid", "o1", "s", "e", 1, 2),), Facts(paid_ms=1))
    assert order_of(OrderRow("o1", None, msgspec.json.encode(order))) == order


def test_row_with_fewer_fields_than_today_is_read() -> None:
    """A release that knew nothing of `payment` and what follows wrote shorter arrays."""
    event = OrderEvent("order.paid", "o1", "s", "e", 1, 2, sku="k")
    fields = msgspec.structs.astuple(event)[: FIELDS.split().index("payment")]
    body = msgspec.msgpack.encode(([fields], Order("o1", (), Facts(paid_ms=1))))
    assert order_of(OrderRow("o1", None, body)).timeline == (event,)


def test_fields_of_an_event_stay_where_they_are() -> None:
    """Their places are their names on the disk."""
    known = FIELDS.split()
    assert list(OrderEvent.__struct_fields__[: len(known)]) == known
