"""Any order, repetition and batching of the same events leads to the same facts and verdicts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Decide, Tick
from monitor.model.events import OrderEvent
from monitor.model.records import Breached
from monitor.testing.scenario import START_MS
from tests.property.engine_world import EVENT_LISTS, MINUTE_MS, RULES, SETTINGS

END_MS = START_MS + 40 * MINUTE_MS


def posted(events: list[OrderEvent], seed: int) -> tuple[Engine, list[Breached]]:
    """An engine that got the events shuffled, a third of them twice, in batches of random size."""
    dice = random.Random(seed)
    sent = [*events, *(event for event in events if dice.random() < 0.3)]
    dice.shuffle(sent)
    engine, breaches, now_ms = Engine(SETTINGS, RULES), list[Breached](), END_MS
    while sent:
        size = dice.randint(1, 7)
        batch, sent = sent[:size], sent[size:]
        commands = engine.handle(Batch(tuple(batch)), now_ms)
        now_ms += dice.randint(0, 30_000)
        commands += engine.handle(Tick(), now_ms)
        decisions = [one.decision for one in commands if isinstance(one, Decide)]
        breaches += [one for one in decisions if isinstance(one, Breached)]
    return engine, breaches


@given(EVENT_LISTS, st.integers(), st.integers())
def test_state_hash_does_not_depend_on_arrival(
    events: list[OrderEvent], one: int, two: int
) -> None:
    """Shuffled, doubled and cut into batches differently: the same hash at the same time."""
    first, second = posted(events, one)[0], posted(events, two)[0]
    for at_ms in (None, START_MS, END_MS, END_MS + 60 * MINUTE_MS):
        assert first.state_hash(at_ms) == second.state_hash(at_ms)


@given(EVENT_LISTS, st.integers())
def test_order_breaches_at_most_once(events: list[OrderEvent], seed: int) -> None:
    """However facts arrive, and however they revise each other, one breach per order."""
    engine, breaches = posted(events, seed)
    ids = [breach.order_id for breach in breaches]
    assert len(ids) == len(set(ids))
    for breach in breaches:
        assert engine.shard.orders[breach.order_id].breach_ms == breach.at_ms


@given(EVENT_LISTS.filter(bool), st.integers())
def test_state_hash_tells_different_facts_apart(events: list[OrderEvent], seed: int) -> None:
    """One order more, or the same facts at another time of judgement, is another state."""
    engine, _ = posted(events, seed)
    before = engine.state_hash(END_MS)
    extra = OrderEvent("order.paid", "extra", "plain", "x", START_MS, END_MS)
    engine.handle(Batch((extra,)), END_MS + 60 * MINUTE_MS)
    assert engine.state_hash(END_MS) != before
