"""Random stories for a whole engine: events of a few orders, and answers to whatever it asks."""

from typing import Any

from hypothesis import strategies as st

from monitor.config.rules_file import load_shipped
from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    NotifyBuyer,
    Query,
    Refund,
    Submit,
    SwitchChannel,
)
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import (
    ActionAnswered,
    Answer,
    AttemptAnswered,
    ChannelSteered,
    ClaimAnswered,
    EffectClosed,
    HandOverAnswered,
    Notified,
    ReviewOrdered,
    SwitchAnswered,
    SwitchOrdered,
)
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
    WebhookSettings,
)
from monitor.testing.scenario import START_MS, Scenario

MINUTE_MS = 60_000
RULES = load_shipped()
SETTINGS = Settings(
    sources=(SourceSettings("beating", heartbeat_ms=10 * MINUTE_MS), SourceSettings("plain")),
    channels=(
        ChannelSettings("auto"),
        ChannelSettings("supplier", kind="http", capability="queryable", settle_ms=30_000),
        ChannelSettings("pool", kind="stock"),
        ChannelSettings("staff", kind="manual"),
    ),
    failover=FailoverSettings(mode="enforce", has_webhook=True),
    fallback=FallbackSettings(
        mode="enforce", has_shop=True, order=("supplier", "pool", "staff"), max_per_hour=3
    ),
    receivers=(ReceiverSettings("ops", ("dingtalk/0", "webhook/0")),),
    default_receiver="ops",
    webhooks=(WebhookSettings("webhooks/0"),),
)

EVENTS = st.builds(
    OrderEvent,
    type=st.sampled_from([kind.value for kind in EventType if kind != EventType.HEARTBEAT]),
    order_id=st.sampled_from([f"o{index}" for index in range(6)]),
    source=st.sampled_from(["beating", "plain", "stranger"]),
    event_id=st.integers(0, 40).map(str),
    time_ms=st.integers(0, 60).map(lambda minutes: START_MS + minutes * 30_000),
    received_ms=st.just(START_MS),
    meaning=st.sampled_from([None, "paid", "waiting"]),
    channel=st.sampled_from([None, "auto", "supplier", "unknown"]),
    sku=st.sampled_from([None, "gold"]),
    speed=st.sampled_from([None, "express", "economy"]),
    promise_ms=st.sampled_from([None, None, 60_000, 900_000]),
    amount_minor=st.sampled_from([None, 500, 900]),
)
EVENT_LISTS = st.lists(EVENTS, max_size=40)
STEPS = st.lists(
    st.tuples(st.integers(0, 4 * MINUTE_MS), st.lists(EVENTS, max_size=4), st.integers(0, 99)),
    max_size=25,
)
PEOPLE = (
    SwitchOrdered("*", {"supplier": 100}, "test", "ann", START_MS),
    ChannelSteered("auto", "drain", "ann", START_MS),
    ChannelSteered("supplier", "lock", "ann", START_MS),
    ChannelSteered("auto", "unlock", "ann", START_MS),
    ReviewOrdered("*", True, "ann", START_MS, START_MS + 30 * MINUTE_MS),
)


def answer_to(effect: Effect, draw: int, now_ms: int) -> Answer:
    """What the outside might say; `draw` chooses."""
    match effect:
        case Claim():
            status = ("granted", "granted", "already_delivered", "denied")[draw % 4]
            return ClaimAnswered(effect.key, effect.takeover_id, status, now_ms, paid=True,
                                 sku="gold", quantity=1, amount_minor=500)  # fmt: skip
        case Submit() | Query():
            outcome = ("delivered", "accepted", "rejected", "unknown", "not_found")[draw % 5]
            return AttemptAnswered(effect.key, effect.takeover_id, effect.attempt_ref, outcome,
                                   now_ms, is_query=isinstance(effect, Query),
                                   goods_count=int(outcome == "delivered"))  # fmt: skip
        case HandOver():
            outcome = ("delivered", "delivered", "already_delivered", "refused")[draw % 4]
            return HandOverAnswered(effect.key, effect.takeover_id, outcome, now_ms)
        case SwitchChannel():
            status = ("applied", "stale", "refused", "expired")[draw % 4]
            return SwitchAnswered(effect.key, effect.epoch, status, effect.epoch, now_ms)
        case Notify():
            return Notified(effect.key, effect.receiver, ("ok", "failed")[draw % 2], now_ms)
        case CallWebhook():
            return Notified(effect.key, effect.endpoint, ("ok", "failed")[draw % 2], now_ms)
        case NotifyBuyer() | Compensate() | Refund():
            outcome = ("done", "already_delivered", "refused", "unknown")[draw % 4]
            return ActionAnswered(effect.key, effect.action_id, effect.order_id, outcome, now_ms)
        case _:
            return EffectClosed(effect.key, "ok", now_ms)


def play(steps: list[Any], story: Scenario | None = None) -> Scenario:
    """Tell a random story; every effect is answered in the step after it was asked for."""
    story = story or Scenario(SETTINGS, RULES)
    answered = 0
    at_ms = 0
    for pause_ms, events, draw in steps:
        at_ms += pause_ms
        effects = story.effects()
        answers = [answer_to(one, draw + index, START_MS + at_ms)
                   for index, one in enumerate(effects[answered:])]  # fmt: skip
        answered = len(effects)
        people = [PEOPLE[draw % len(PEOPLE)]] if draw > 90 else []
        arrived = [_arrived(event, START_MS + at_ms) for event in events]
        story.at(f"{at_ms}ms", *arrived, *answers, *people)
    return story


def _arrived(event: OrderEvent, now_ms: int) -> OrderEvent:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return OrderEvent(**{**fields, "received_ms": now_ms, "time_ms": min(event.time_ms, now_ms)})
