"""Goods that the shop took from us are delivered, also when the shop never says so."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import verdict
from monitor.model.commands import Batch, Decide, Perform, Tick
from monitor.model.effects import CallWebhook, Effect, Notify
from monitor.model.events import OrderEvent
from monitor.model.records import AttemptAnswered, ClaimAnswered, HandOverAnswered, TierReached
from monitor.model.rules import RuleSet
from monitor.model.settings import (
    ChannelSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
    WebhookSettings,
)
from monitor.model.times import MINUTE_MS

START_MS = 1_770_000_000_000
FALLBACK = FallbackSettings(mode="enforce", order=("pool",), has_shop=True)
SETTINGS = Settings(channels=(ChannelSettings("pool", "stock", "idempotent"),), fallback=FALLBACK)


def rescued() -> Engine:
    """An engine with one order that was stuck, taken over and handed to the shop after 6 min."""
    engine = Engine(SETTINGS, RuleSet())
    paid = OrderEvent("order.paid", "o1", "shop", "e1", START_MS, START_MS, amount_minor=500)
    engine.handle(Batch((paid,)), START_MS)
    now_ms = START_MS + 6 * MINUTE_MS
    engine.handle(Tick(), now_ms)
    (case,) = engine.desk.cases.values()
    claimed = ClaimAnswered(
        f"claim_{case.claim_id}", case.takeover_id, "granted", now_ms, True, "s", 1, 500
    )
    engine.handle(Batch((claimed,)), now_ms)
    ref = engine.desk.cases[case.takeover_id].attempts[0].ref
    bought = AttemptAnswered("k2", case.takeover_id, ref, "delivered", now_ms, goods_count=1)
    engine.handle(Batch((bought,)), now_ms)
    engine.handle(Batch((HandOverAnswered("k3", case.takeover_id, "delivered", now_ms),)), now_ms)
    return engine


def test_order_is_delivered_without_a_word_from_the_shop() -> None:
    """It is late, but delivered: no tier is reached any more, nothing goes on ageing."""
    engine = rescued()
    order = engine.shard.orders["o1"]
    late_ms = START_MS + 60 * MINUTE_MS
    assert order.facts.delivered_ms == START_MS + 6 * MINUTE_MS
    assert verdict(order.facts, late_ms) == "late_delivered"
    told = [one.decision for one in engine.handle(Tick(), late_ms) if isinstance(one, Decide)]
    assert not [one for one in told if isinstance(one, TierReached)]


def test_word_of_the_shop_wins_over_ours() -> None:
    """So the facts do not depend on who speaks first, and a replay of the events agrees."""
    engine = rescued()
    (case,) = engine.desk.cases.values()
    at_ms = START_MS + 7 * MINUTE_MS
    told = OrderEvent(
        "delivery.delivered", "o1", "shop", "e2", at_ms, at_ms, takeover_id=case.takeover_id
    )
    engine.handle(Batch((told,)), at_ms)
    assert engine.shard.orders["o1"].facts.delivered_ms == at_ms
    assert engine.shard.totals.double_deliveries == 0
    replayed = Engine(SETTINGS, RuleSet())
    paid = engine.shard.orders["o1"].timeline[0]
    replayed.handle(Batch((paid, told)), at_ms)
    assert replayed.state_hash() == engine.state_hash()


def test_hand_over_survives_a_restart() -> None:
    """A snapshot carries it."""
    engine = rescued()
    restored = Engine(SETTINGS, RuleSet())
    restored.restore(engine.snapshot(), START_MS + 6 * MINUTE_MS)
    assert restored.engine_hash() == engine.engine_hash()
    assert msgspec.structs.asdict(restored.shard.orders["o1"])["handed_over_ms"] is not None


def test_advice_is_for_people_and_says_that_nothing_was_done() -> None:
    """No `takeover.started` for what was never started."""
    settings = msgspec.structs.replace(
        SETTINGS,
        language="en",
        fallback=msgspec.structs.replace(FALLBACK, mode="advise"),
        receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
        default_receiver="ops",
        webhooks=(WebhookSettings("webhooks/0", ("takeover.*",)),),
    )
    (message,) = takeover_effects(settings, orders=1)
    assert isinstance(message, Notify)
    assert message.title == "🛟 Order o0 is stuck: take it over by hand?"
    assert "nothing was claimed" in message.text


def test_reached_limit_is_told_once_an_hour() -> None:
    """Three stuck orders, one takeover an hour: people hear of the limit, once."""
    settings = msgspec.structs.replace(
        SETTINGS,
        language="en",
        fallback=msgspec.structs.replace(FALLBACK, max_per_hour=1),
        receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
        default_receiver="ops",
    )
    titles = [one.title for one in takeover_effects(settings, orders=3) if isinstance(one, Notify)]
    assert titles == [
        "🛟 Taking over order o0",
        "⛔ The fallback has reached its limit (max_per_hour)",
    ]


def takeover_effects(settings: Settings, *, orders: int) -> list[Effect]:
    """What is sent about takeovers while orders are stuck from minute 6 to minute 9."""
    engine = Engine(settings, RuleSet())
    engine.handle(
        Batch(
            tuple(
                OrderEvent(
                    "order.paid", f"o{one}", "shop", "e1", START_MS, START_MS, amount_minor=5
                )
                for one in range(orders)
            )
        ),
        START_MS,
    )
    commands = [
        command
        for minute in range(6, 10)
        for command in engine.handle(Tick(), START_MS + minute * MINUTE_MS)
    ]
    effects = [one.effect for one in commands if isinstance(one, Perform)]
    return [
        one
        for one in effects
        if isinstance(one, (Notify, CallWebhook)) and one.event_type.startswith("takeover.")
    ]
