"""What is counted of payments rests on the orders, not on the way their events came in."""

import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.shard import Shard
from monitor.core.signals.callback_counts import CallbackCounter, CallbackCountsSnapshot
from monitor.model.events import OrderEvent
from monitor.model.settings import Settings

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE_MS = 60_000

EVENTS = st.builds(
    OrderEvent,
    type=st.sampled_from(
        ["order.created", "order.created", "order.paid", "payment.callback", "delivery.delivered"]
    ),
    order_id=st.sampled_from(["o1", "o2", "o3", "canary-1"]),
    source=st.just("shop"),
    event_id=st.integers(0, 99).map(str),
    time_ms=st.integers(0, 400).map(lambda minutes: T0 + minutes * MINUTE_MS),
    received_ms=st.just(T0),
    meaning=st.sampled_from([None, "paid"]),
    provider=st.sampled_from([None, "alipay", "wechat"]),
    is_inferred=st.booleans(),
)
NEWEST = OrderEvent("order.created", "last", "shop", "last", T0 + 401 * MINUTE_MS, T0)


def event(kind: str, minute: int, provider: str | None) -> OrderEvent:
    at_ms = T0 + minute * MINUTE_MS
    return OrderEvent(kind, "o1", "shop", f"{kind}/{minute}", at_ms, at_ms, provider=provider)


def counted(events: list[OrderEvent]) -> CallbackCountsSnapshot:
    shard = Shard(Settings())
    for one in events:
        shard.fold(one)
    shard.settle()
    return shard.tallies.callbacks.snapshot()


@given(st.lists(EVENTS, max_size=12), st.integers())
def test_counts_of_payments_do_not_depend_on_arrival(events: list[OrderEvent], seed: int) -> None:
    """The same events in another order: the same counts, wherever time has come to."""
    shuffled = [*events, NEWEST]
    random.Random(seed).shuffle(shuffled)
    assert counted(shuffled) == counted([*events, NEWEST])


def test_provider_named_later_takes_creation_and_payment_along() -> None:
    """Created without a provider, created again with one: one order of alipay, and nothing else."""
    first, second = event("order.created", 0, None), event("order.created", 1, "alipay")
    (found,) = counted([first, event("order.paid", 2, None), second]).providers
    assert found.provider == "alipay"
    assert found.minutes == ((T0 // MINUTE_MS, 1, 1),)
    assert sum(count for *_, count in found.lags) == 1


def test_paid_event_that_names_the_provider_takes_the_creation_along() -> None:
    """Otherwise one provider would have orders that nobody pays, and another payments of none."""
    (found,) = counted(
        [event("order.created", 0, None), event("order.paid", 2, "wechat")]
    ).providers
    assert (found.provider, found.minutes) == ("wechat", ((T0 // MINUTE_MS, 1, 1),))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=12), st.data())
def test_payments_taken_back_leave_the_counts_of_the_others(
    payments: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Some of the payments of some providers never were: as if they had not been counted."""
    untrue = data.draw(
        st.lists(st.sampled_from(payments), unique=True) if payments else st.just([])
    )
    whole, rest = CallbackCounter(), CallbackCounter()
    for counter in (whole, rest):
        counter.advance(T0 // MINUTE_MS + 30)
        for one in payments:
            if counter is whole or one not in untrue:
                count(counter, one, 1)
    for one in payments:
        if one in untrue:
            count(whole, one, -1)
    assert whole.snapshot() == rest.snapshot()
    assert whole.names == rest.names


def count(counter: CallbackCounter, payment: tuple[str, int], n: int) -> None:
    provider, minute = payment
    created_ms = T0 + minute * MINUTE_MS
    counter.created(provider, created_ms, n)
    counter.paid(provider, created_ms, created_ms + 10_000, n)
