"""Extending known facts by one event says what deriving them from the whole timeline says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.orders.extend import extend
from monitor.core.orders.facts import Facts, canonical_key, derive
from monitor.model.events import OrderEvent
from monitor.model.settings import PromiseTable
from tests.unit.core.orders.test_facts_fast import EVENTS, PROMISES

LIFE = (
    "order.created", "order.paid", "order.accepted", "stock.reserved", "delivery.attempted",
    "delivery.delivered", "delivery.verified", "order.refunded",
)  # fmt: skip
PLAIN = st.builds(
    OrderEvent,
    type=st.sampled_from(LIFE),
    order_id=st.just("o"),
    source=st.sampled_from(["one", "one", "two"]),
    event_id=st.integers(0, 99).map(str),
    time_ms=st.integers(0, 20),
    received_ms=st.just(0),
    channel=st.sampled_from([None, "auto", "auto", "pool"]),
    sku=st.sampled_from([None, "gold", "gold", "salt"]),
    takeover_id=st.sampled_from([None, None, "t"]),
)


def extended(facts: Facts, event: OrderEvent) -> Facts | None:
    """By the table of the tests."""
    return extend(facts, event, PROMISES)


@settings(max_examples=300)
@given(st.lists(EVENTS | PLAIN, max_size=8))
def test_extended_facts_equal_derived_ones(events: list[OrderEvent]) -> None:
    """Whatever stands in front of it, an event adds the same either way or is declined."""
    events = sorted(events, key=canonical_key)
    for place, event in enumerate(events):
        facts = extended(derive(tuple(events[:place]), PROMISES), event)
        if facts is not None:
            assert facts == derive(tuple(events[: place + 1]), PROMISES)


def test_plain_life_of_an_order_is_only_extended() -> None:
    """Of six events that say the same of the goods only the first is derived."""
    facts = Facts()
    taken = []
    events = [
        OrderEvent(kind, "o", "one", str(time_ms), time_ms, 0, channel="auto", sku="gold")
        for time_ms, kind in enumerate(LIFE)
    ]
    for place, event in enumerate(events):
        known = extended(facts, event)
        taken.append(known is not None)
        facts = known or derive(tuple(events[: place + 1]), PROMISES)
    assert taken == [False, *[True] * (len(LIFE) - 1)]
    assert facts == derive(tuple(events), PROMISES)


def test_sparse_news_are_extended_and_telling_ones_declined() -> None:
    """An event may leave out what is known; what nobody said before has to be weighed."""
    paid = OrderEvent("order.paid", "o", "one", "1", 1, 0, channel="auto", sku="gold")
    facts = derive((paid,), PROMISES)
    bare = OrderEvent("delivery.delivered", "o", "one", "2", 2, 0)
    assert extended(facts, bare) == derive((paid, bare), PROMISES)
    telling = OrderEvent("delivery.delivered", "o", "one", "2", 2, 0, region="eu")
    assert extended(facts, telling) is None


def test_payment_under_another_promise_is_declined() -> None:
    """Between creation and payment the settings changed: the promise is chosen when it is paid."""
    created = OrderEvent("order.created", "o", "one", "1", 1, 0, sku="salt")
    paid = OrderEvent("order.paid", "o", "one", "2", 2, 0, sku="salt")
    facts = derive((created,), PROMISES)
    assert extended(facts, paid) is not None
    assert extend(facts, paid, PromiseTable(default_ms=1)) is None
