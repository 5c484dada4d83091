"""Orders at risk as the gauges count them: those that `GET /v1/orders?state=at_risk` lists."""

from __future__ import annotations

import random

import pytest

from monitor.adapters.telemetry.scopes import order_gauges
from monitor.core.views.orders import Prospects
from monitor.model.events import EventType
from tests.unit.adapters.telemetry.orders import T0, S, event
from tests.unit.adapters.telemetry.test_metrics import engine_of


@pytest.mark.parametrize("seed", range(5))
def test_at_risk_equals_the_orders_listed_as_such(seed: int) -> None:
    """The vectorised count agrees with `GET /v1/orders?state=at_risk`, order by order."""
    dice = random.Random(seed)
    events = []
    for number in range(300):
        paid_s = dice.uniform(0, 600)
        channel = dice.choice(["auto", "pool"])
        events.append(event(EventType.PAID, paid_s, f"o{number}", channel=channel))
        delay_s = dice.expovariate(1 / 120)
        if paid_s + delay_s < 600:
            events.append(event(EventType.DELIVERED, paid_s + delay_s, f"o{number}"))
    engine = engine_of(*events, now_s=600)
    prospects = Prospects(engine, T0 + 600 * S)
    listed = [
        engine.channel_of(order)
        for order in engine.shard.orders.values()
        if prospects.is_at_risk(order)
    ]
    gauges = order_gauges(engine, T0 + 600 * S)
    assert {name: one.at_risk for name, one in gauges.channels.items()} == {
        name: listed.count(name) for name in ("auto", "pool")
    }
    assert listed


def test_orders_of_a_silent_source_are_not_at_risk() -> None:
    """Nothing is known of them, so nothing is said."""
    slow = [event(EventType.PAID, 0, f"slow{number}", channel="auto") for number in range(5)]
    ends = [event(EventType.DELIVERED, 400, f"slow{number}") for number in range(5)]
    waiting = [event(EventType.PAID, 400, f"o{number}", channel="auto") for number in range(3)]
    engine = engine_of(*slow, *ends, *waiting, now_s=500)
    before = order_gauges(engine, T0 + 500 * S).channels["auto"].at_risk
    engine.shard.sources["shop"].is_silent = True
    assert (before, order_gauges(engine, T0 + 500 * S).channels["auto"].at_risk) == (3, 0)


def test_first_orders_ever_are_not_at_risk() -> None:
    """While nobody ever waited longer, nothing is known that could call an order at risk."""
    events = [event(EventType.PAID, 0, f"o{number}", channel="auto") for number in range(5)]
    engine = engine_of(*events, now_s=100)
    prospects = Prospects(engine, T0 + 100 * S)
    assert not any(prospects.is_at_risk(order) for order in engine.shard.orders.values())
    assert order_gauges(engine, T0 + 100 * S).channels["auto"].at_risk == 0
