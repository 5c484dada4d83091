"""Days of a small shop with a relay, polled every 15 s: nothing is missed in health, all of it after.

The shop has nights, abandoned checkouts that expire, heavy tails; then its parts die one by one.
"""

from __future__ import annotations

import os
from functools import cache

import msgspec
import numpy as np
import pytest

from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.testing.stand import Stand

START_MS = 1_767_542_400_000  # Monday 00:00 in Shanghai
DAYS = int(os.environ.get("DELIVERY_MONITOR_DAYS", "1"))
PER_DAY = 150
SEEDS = tuple(range(1, 1 + DAYS))
POLL_MS = 15 * SECOND_MS
FAULT_MS = START_MS + DAYS * DAY_MS + 18 * HOUR_MS  # in the evening of the day after
END_MS = FAULT_MS + 2 * HOUR_MS
LOOK_MS = 60 * SECOND_MS  # a quarter as often as in service
SETTINGS = Settings(evaluation_floor_ms=LOOK_MS)

Happening = tuple[EventType, int]
KILLS = {
    "worker": (EventType.ATTEMPTED, EventType.DELIVERED, EventType.EXPIRED),
    "payments": (EventType.PAID, EventType.ATTEMPTED, EventType.DELIVERED),
}


def lives(seed: int, fault: str) -> list[OrderEvent]:
    """What arrives, in the order of arrival; from the fault on some kinds of events come no more."""
    rng = np.random.default_rng(seed)
    told = []
    for number in range(PER_DAY * (DAYS + 1)):
        day, hour = number // PER_DAY, rng.uniform(0, 24)
        if hour < 8 and rng.random() < 0.9:
            hour = 8 + 2 * hour  # a tenth of the rate at night
        at_ms = START_MS + day * DAY_MS + round(hour * HOUR_MS)
        for kind, time_ms in _life(rng, at_ms):
            if time_ms < FAULT_MS or kind not in KILLS[fault]:
                told.append(_event(kind, f"o{number}", time_ms))
    return sorted(told, key=lambda one: (one.received_ms, one.time_ms))


def _life(rng: np.random.Generator, at_ms: int) -> list[Happening]:
    created = (EventType.CREATED, at_ms)
    if rng.random() < 0.35:
        return [created, (EventType.EXPIRED, at_ms + 5 * MINUTE_MS + int(rng.integers(60_000)))]
    paid_ms = at_ms + round(rng.lognormal(3.5, 0.8) * SECOND_MS)
    tried_ms = paid_ms + 1_000 + int(rng.integers(2_000))
    slow_ms = 10 * MINUTE_MS if rng.random() < 0.01 else 0
    done_ms = tried_ms + slow_ms + round(rng.lognormal(2, 0.5) * SECOND_MS)
    return [
        created, (EventType.CALLBACK, paid_ms), (EventType.PAID, paid_ms + 500),
        (EventType.ATTEMPTED, tried_ms), (EventType.DELIVERED, done_ms),
    ]  # fmt: skip


def _event(kind: EventType, order: str, time_ms: int) -> OrderEvent:
    is_relay = kind is EventType.CALLBACK
    heard_ms = time_ms if is_relay else -(-time_ms // POLL_MS) * POLL_MS
    return OrderEvent(
        kind.value, order, "relay" if is_relay else "shop", kind.value, time_ms, heard_ms,
        meaning="paid" if is_relay else None, channel=None if is_relay else "auto",
    )  # fmt: skip


@cache
def shipped() -> RuleSet:
    """The rules about what is missing, as they are shipped."""
    whole = load_shipped()
    return msgspec.structs.replace(
        whole, rules=tuple(one for one in whole.rules if one.group == "absence")
    )


@cache
def played(seed: int, fault: str) -> tuple[tuple[int, str], ...]:
    """When which rule fired, in ms after the fault."""
    fired: list[tuple[int, str]] = []
    seen: dict[str, None] = {}

    def watch(engine: Engine, now_ms: int) -> None:
        now = {key: one.rule for key, one in engine.control.alerts.items() if one.state == "firing"}
        fired.extend((now_ms - FAULT_MS, rule) for key, rule in now.items() if key not in seen)
        seen.clear()
        seen.update(dict.fromkeys(now))

    stand = Stand(SETTINGS, shipped())
    stand.watcher = watch
    batches: dict[int, list[OrderEvent]] = {}
    for one in lives(seed, fault):
        if one.received_ms <= END_MS:
            batches.setdefault(one.received_ms, []).append(one)
    for at_ms, batch in batches.items():
        stand.go_to(at_ms, tuple(batch))
    stand.go_to(END_MS)
    return tuple(fired)


def first_after(seed: int, fault: str, kind: EventType, *, of: EventType) -> int:
    """When the first event of a kind was heard whose order misses another one, after the fault."""
    told = lives(seed, fault)
    has = {one.order_id for one in told if one.type == of}
    return min(
        one.received_ms - FAULT_MS
        for one in told
        if one.type == kind and one.time_ms >= FAULT_MS and one.order_id not in has
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_healthy_days_miss_nothing(seed: int) -> None:
    """Nights, tails, abandoned checkouts and an interval of 15 s are what is usual."""
    before = [one for fault in KILLS for one in played(seed, fault) if one[0] < 0]
    assert before == []


@pytest.mark.parametrize("seed", SEEDS)
def test_dead_worker_is_named_as_soon_as_an_order_should_have_been_tried(seed: int) -> None:
    """A minute after the first paid order nobody tries, at most one look later."""
    fired = {rule: at_ms for at_ms, rule in reversed(played(seed, "worker"))}
    stuck_ms = first_after(seed, "worker", EventType.PAID, of=EventType.ATTEMPTED)
    assert 60_000 <= fired["PaidWithoutAttempt"] - stuck_ms + POLL_MS <= 60_000 + LOOK_MS + POLL_MS
    assert 0 < fired["WorkerDead"] < 2 * HOUR_MS


@pytest.mark.parametrize("seed", SEEDS)
def test_shop_that_no_longer_books_payments_is_told_apart_from_its_gateway(seed: int) -> None:
    """The gateway has the money: 90 s later, one look more at most, that is said."""
    fired = {rule: at_ms for at_ms, rule in reversed(played(seed, "payments"))}
    lost_ms = first_after(seed, "payments", EventType.CALLBACK, of=EventType.PAID)
    assert 90_000 <= fired["GatewayPaidShopUnpaid"] - lost_ms <= 90_000 + LOOK_MS + POLL_MS
    assert "PaidWithoutAttempt" not in fired
