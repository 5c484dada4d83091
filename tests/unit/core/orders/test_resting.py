"""Orders at rest: the same orders, as bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.orders.facts import UNKNOWN, canonical_key
from monitor.core.orders.order import Order
from monitor.core.orders.packed import pack, unpack
from monitor.core.orders.resting import AWAKE_MAX, Resting
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.testing.scenario import START_MS
from tests.property.engine_world import EVENT_LISTS, MINUTE_MS, RULES, SETTINGS
from tests.unit.core.orders.test_facts_fast import EVENTS

FULL = st.builds(
    OrderEvent,
    **{name: st.just(value) for name, value in {
        "type": "delivery.delivered", "order_id": "o", "source": "one", "event_id": "e",
        "time_ms": 3, "received_ms": 2**40, "attempt": 2, "reason": "r", "traceparent": "00-1-2",
        "payment": "p", "goods": ("first", "second"), "goods_units": 1,
    }.items()},
)  # fmt: skip


@given(st.lists(EVENTS | FULL, max_size=8))
def test_unpacked_timeline_is_the_one_that_was_packed(events: list[OrderEvent]) -> None:
    """Every field of every event, with its type."""
    timeline = tuple(sorted(events, key=canonical_key))
    again = unpack("o", pack(timeline))
    assert again == timeline
    assert [repr(event) for event in again] == [repr(event) for event in timeline]


@settings(max_examples=40)
@given(EVENT_LISTS, st.integers(1, 7))
def test_engine_whose_orders_rest_says_and_knows_the_same(
    events: list[OrderEvent], size: int
) -> None:
    """All orders of one engine rest after each turn; commands, rows, state, snapshot are equal."""
    engines = Engine(SETTINGS, RULES), Engine(SETTINGS, RULES)
    now_ms = START_MS + 10 * MINUTE_MS
    for start in range(0, len(events), size):
        now_ms += MINUTE_MS
        batch = Batch(tuple(events[start : start + size]))
        said, drained = [], []
        for engine in engines:
            said.append(engine.handle(batch, now_ms) + engine.handle(Tick(), now_ms + 20_000))
            drained.append([order.awake() for order in engine.shard.drain_dirty()])
        assert said[0] == said[1]
        assert drained[0] == drained[1]
        for order in engines[1].shard.orders.values():
            order.rest()
    assert engines[0].snapshot() == engines[1].snapshot()
    assert engines[0].state_hash() == engines[1].state_hash()


def test_orders_rest_once_they_are_stored_and_others_came_after_them() -> None:
    """The first of very many rests; a changed one does not until it is stored again."""
    engine = Engine(SETTINGS, RULES)

    def paid(*numbers: int) -> Batch:
        return Batch(tuple(
            OrderEvent("order.paid", f"o{number}", "plain", f"e{number}", START_MS, START_MS)
            for number in numbers
        ))  # fmt: skip

    engine.handle(paid(0, 1), START_MS)
    engine.shard.drain_dirty()
    first, second = (engine.shard.orders[name] for name in ("o0", "o1"))
    timeline = first.timeline
    done = OrderEvent("delivery.delivered", "o1", "plain", "d1", START_MS, START_MS)
    engine.handle(Batch((*paid(*range(2, AWAKE_MAX + 2)).entries, done)), START_MS)
    assert (first.packed, second.packed) == (b"", b"")
    engine.shard.drain_dirty(AWAKE_MAX)
    engine.handle(Batch((done,)), START_MS)  # the second has changed and waits to be stored
    engine.shard.drain_dirty(0)
    assert (first.packed != b"", second.packed) == (True, b"")
    assert (first.events, first.timeline) == ((), timeline)
    again = OrderEvent("delivery.delivered", "o0", "plain", "d0", START_MS, START_MS)
    engine.handle(Batch((again,)), START_MS)
    assert (first.packed, first.events) == (b"", (*timeline, again))
    assert first.awake() is first


def test_rush_leaves_no_more_awake_than_one_step_stores() -> None:
    """Thirty thousand orders, stored six thousand at a time: resting keeps up with that."""
    resting, orders = Resting(), dict[str, Order]()
    for start in range(0, 30_000, 6_000):
        names = [f"o{number}" for number in range(start, start + 6_000)]
        for name in names:
            event = OrderEvent("order.paid", name, "plain", "e", START_MS, START_MS)
            orders[name] = Order(name, (event,), UNKNOWN)
        resting.stored(names, orders, {})
    assert sum(not order.packed for order in orders.values()) <= AWAKE_MAX + 6_000
