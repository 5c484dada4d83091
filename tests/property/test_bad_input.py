"""Whatever shops send: no exception, and no number that is none in any view, decision or metric.

Clocks a day off, delays below nothing and of a year, promises of a millisecond and of a year,
contradictions, refunds of everything, channels that vanish and two hundred that do not: each has a
defined answer, null with a state where there is nothing to say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.adapters.telemetry.catalogue import CATALOGUE
from monitor.adapters.telemetry.metrics import WriteTimes, collect
from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.core.views import arrivals, budgets, channels, charts, explanation, fleet, signals
from monitor.core.views.orders import order_details, order_lines, quote_for
from monitor.model.commands import Batch, Decide, Tick, WakeAt
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet, Slo
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.testing.scenario import START_MS
from tests.property.engine_world import RULES, SETTINGS

YEAR_MS = 365 * DAY_MS
WITH_SLO = RuleSet(RULES.rules, (Slo("fast", 0.98),))
MADE = settings_for(SETTINGS, WITH_SLO)
WINDOWS = (5 * MINUTE_MS, 6 * HOUR_MS)

TIMES = st.one_of(
    st.integers(-2 * HOUR_MS, 5 * MINUTE_MS),
    st.sampled_from([-DAY_MS, DAY_MS, -YEAR_MS, -60 * YEAR_MS, -START_MS, 0, 1]),
)
EVENTS = st.builds(
    OrderEvent,
    type=st.sampled_from([kind.value for kind in EventType]),
    order_id=st.integers(0, 8).map(lambda number: f"o{number}"),
    source=st.sampled_from(["beating", "plain", "canary", "陌生"]),
    event_id=st.integers(0, 60).map(str),
    time_ms=TIMES,
    received_ms=st.just(0),
    is_inferred=st.booleans(),
    created_means_paid=st.booleans(),
    meaning=st.sampled_from([None, "paid", "waiting", "refunded", "?"]),
    outcome=st.sampled_from([None, "delivered", "unknown"]),
    channel=st.one_of(st.none(), st.sampled_from(["auto", "supplier", "*", "other", "external"]),
                      st.integers(0, 400).map(str)),
    sku=st.sampled_from([None, "gold", ""]),
    provider=st.sampled_from([None, "", "wechat"]),
    quantity=st.sampled_from([None, 0, 1, 10**9]),
    amount_minor=st.sampled_from([None, 0, -1, 10**15]),
    speed=st.sampled_from([None, "express", "warp"]),
    fulfilment=st.sampled_from([None, "manual"]),
    attempt=st.sampled_from([None, 0, 10**6]),
    promise_ms=st.sampled_from([None, None, None, 1, 1_000, 400 * DAY_MS]),
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND_MS, 61 * SECOND_MS, 20 * MINUTE_MS, 7 * HOUR_MS]),
        st.lists(EVENTS, max_size=6),
    ),
    max_size=8,
)


class Process:
    """What a running process would know of itself."""

    left_out, blocked = LeftOut(), Counter[str]()

    def outbox_rows(self) -> dict[str, int]:
        """No effects wait."""
        return {}

    def write_times(self) -> WriteTimes | None:
        """One durable write of a millisecond."""
        return WriteTimes(1, 0.001, 0.001, 0.001)

    def loop_lag_s(self) -> float:
        """On time."""
        return 0.0


class World:
    """An engine that is woken as it asks, a few times between two batches, and looked at."""

    def __init__(self, made: Settings = MADE, rules: RuleSet = WITH_SLO) -> None:
        self.engine = Engine(made, rules)
        self.now_ms = START_MS
        self.said: list[Any] = []

    def take(self, events: Sequence[OrderEvent], pause_ms: int = 0) -> None:
        """Let time pass and hand over a batch; event times count from now."""
        end_ms = self.now_ms + pause_ms
        wake_ms = self._handle(Tick(), self.now_ms)
        for _ in range(25):
            if wake_ms >= end_ms:
                break
            wake_ms = self._handle(Tick(), wake_ms)
        self.now_ms = end_ms
        arrived = [_shifted(event, end_ms) for event in events]
        self._handle(Batch(tuple(arrived)) if arrived else Tick(), end_ms)

    def check(self) -> None:
        """Everything anybody can ask is a number, a word or null."""
        for name, shown in self._views():
            for path, value in _floats(shown):
                assert math.isfinite(value), f"{name}{path} is {value}"
        for decision in self.said:
            for path, value in _floats(decision):
                assert math.isfinite(value), f"{type(decision).__name__}{path} is {value}"
        self._check_percentiles()
        self._check_metrics()
        again = Engine(self.engine.settings, self.engine.control.rules)
        again.restore(self.engine.snapshot(), self.now_ms)
        assert again.snapshot() == self.engine.snapshot()

    def _views(self) -> Iterator[tuple[str, object]]:
        engine, now_ms = self.engine, self.now_ms
        scopes: list[str | None] = [None, *engine.shard.channels[:3], "nobody"]
        for window_ms in WINDOWS:
            yield "signals", signals.signals_by_scope(engine, scopes, window_ms, now_ms)
            yield "health", [signals.health(engine, one, window_ms, now_ms) for one in scopes]
        yield "channels", channels.channels(engine, now_ms)
        yield "arrivals", arrivals.arrivals(engine, now_ms)
        yield "callbacks", arrivals.callbacks(engine, now_ms)
        yield "shop", arrivals.shop_arrival_ratio(engine, now_ms)
        yield "slos", budgets.slos(engine, now_ms, by_channel=True)
        yield "charts", [charts.chart_of(engine, one) for one in scopes]
        yield "alerts", fleet.alerts(engine)
        yield "rules", fleet.rules(engine)
        yield "route", fleet.route(engine, now_ms)
        yield "switch", fleet.switch(engine)
        yield "takeovers", fleet.takeovers(engine)
        yield "sources", fleet.sources(engine, now_ms)
        for wanted in ("open", "late", "at_risk", "delivered", "failed"):
            yield wanted, order_lines(engine, now_ms, wanted=wanted)
        for order in engine.shard.orders.values():
            yield order.order_id, order_details(engine, order, now_ms)
        for channel in (None, "auto", "nobody"):
            yield "quote", quote_for(engine, now_ms, sku=None, speed=None, channel=channel)
        for rule in engine.control.rules.rules:
            yield rule.alert, explanation.explain_rule(engine, rule.alert, now_ms)

    def _check_percentiles(self) -> None:
        for window_ms in WINDOWS:
            shown = signals.signals(self.engine, None, window_ms, self.now_ms)
            for percentile in shown.delay_s.values():
                assert percentile.lower_bound >= 0
                assert percentile.value is None or percentile.value >= 0
                if percentile.n_events + percentile.n_censored == 0:
                    assert percentile.value is None
            assert shown.health_index.state in ("ok", "low_data", "idle", "undecided")
            if shown.health_index.value is None:
                assert shown.health_index.state in ("idle", "undecided")
            else:
                assert 0 <= shown.health_index.value <= 100
            if shown.judged == 0:
                assert shown.delayed_ratio is None

    def _check_metrics(self) -> None:
        may_be_none = {family.name for family in CATALOGUE if "NaN" in family.help}
        samples = collect(self.engine, self.now_ms, Process())
        for name, found in samples.items():
            for suffix, labels, value in found:
                is_fine = math.isfinite(value) or (math.isnan(value) and name in may_be_none)
                assert is_fine, f"{name}{suffix}{labels} is {value}"

    def _handle(self, given: Batch | Tick, now_ms: int) -> int:
        commands = self.engine.handle(given, now_ms)
        self.said += [one.decision for one in commands if isinstance(one, Decide)]
        (wake_ms,) = (one.at_ms for one in commands if isinstance(one, WakeAt))
        assert wake_ms > now_ms
        return wake_ms


def _shifted(event: OrderEvent, now_ms: int) -> OrderEvent:
    """The event as of now; heartbeats are about no order."""
    is_beat = event.type == EventType.HEARTBEAT
    return msgspec.structs.replace(
        event, time_ms=now_ms + event.time_ms, received_ms=now_ms,
        order_id="" if is_beat else event.order_id,
    )  # fmt: skip


def _floats(shown: object, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(shown, float):
        yield path, shown
    elif isinstance(shown, msgspec.Struct):
        for name in shown.__struct_fields__:
            yield from _floats(getattr(shown, name), f"{path}.{name}")
    elif isinstance(shown, dict):
        for key, value in shown.items():
            yield from _floats(value, f"{path}.{key}")
    elif isinstance(shown, (list, tuple)):
        for place, value in enumerate(shown):
            yield from _floats(value, f"{path}[{place}]")


def _event(kind: str, order_id: str, time_ms: int, **fields: Any) -> OrderEvent:
    return OrderEvent(kind, order_id, "plain", f"{kind}{time_ms}", time_ms, 0, **fields)


@settings(max_examples=40)
@given(STEPS)
def test_any_story_has_an_answer_to_everything(
    steps: list[tuple[int, list[OrderEvent]]],
) -> None:
    """Any events in any order, with any times and promises, at any pace."""
    world = World()
    for pause_ms, events in steps:
        world.take(events, pause_ms)
    world.check()
    world.take((), 3 * HOUR_MS)
    world.check()


@settings(max_examples=20)
@given(st.lists(EVENTS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_order_of_bad_events_changes_no_fact(events: list[OrderEvent], dice: Any) -> None:
    """The same contradictions in two orders of arrival: the same state in the end."""
    one, two = World(), World()
    one.take(events, MINUTE_MS)
    mixed = list(events)
    dice.shuffle(mixed)
    two.take(mixed, MINUTE_MS)
    at_ms = START_MS + DAY_MS
    assert one.engine.state_hash(at_ms) == two.engine.state_hash(at_ms)
    one.check()


def test_nothing_at_all_is_idle() -> None:
    """Zero orders: null everywhere, and the states say why."""
    world = World()
    world.take((), HOUR_MS)
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert (shown.judged, shown.delayed_ratio, shown.mean_delay_s) == (0, None, None)
    assert shown.health_index.state == "idle"
    assert shown.delay_s["p95"].value is None
    assert {one.state for one in fleet.alerts(world.engine)} == set()
    world.check()


def test_one_order_is_too_few_for_a_rule_and_enough_for_a_view() -> None:
    """One late order: shown as one of one, and no rule fires but the one about its age."""
    world = World()
    world.take([_event("order.paid", "o1", 0, channel="auto")])
    world.take((), 10 * MINUTE_MS)
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert (shown.judged, shown.delayed_ratio) == (1, 1.0)
    assert shown.delay_s["p50"].value is None
    assert shown.delay_s["p50"].lower_bound >= 0.98 * 600
    assert {one.rule for one in fleet.alerts(world.engine)} == set()
    world.check()


@pytest.mark.parametrize("offset_ms", [-DAY_MS, DAY_MS, -YEAR_MS])
def test_clock_that_is_off_stops_nothing(offset_ms: int) -> None:
    """All times of one shop a day or a year off: its orders are judged, the views stay whole."""
    world = World()
    for number in range(30):
        paid = _event("order.paid", f"o{number}", offset_ms, channel="auto")
        world.take([paid], 5 * SECOND_MS)
        world.take([_event("delivery.delivered", f"o{number}", offset_ms)], 5 * SECOND_MS)
    world.check()


def test_delivery_before_the_payment_took_no_time() -> None:
    """A negative delay counts as none at all."""
    world = World()
    for number in range(10):
        world.take([_event("delivery.delivered", f"o{number}", -MINUTE_MS, channel="auto"),
                    _event("order.paid", f"o{number}", 0, channel="auto")], 1_000)  # fmt: skip
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert shown.mean_delay_s == 0
    assert shown.breached == 0
    world.check()


def test_delay_of_a_year_is_a_delay() -> None:
    """Delivered a year after the payment: late, and every mean is finite."""
    world = World()
    for number in range(6):
        world.take([_event("order.paid", f"o{number}", -YEAR_MS, channel="auto"),
                    _event("delivery.delivered", f"o{number}", 0, channel="auto")])  # fmt: skip
    world.take((), 5 * MINUTE_MS)
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert shown.mean_delay_s is None or shown.mean_delay_s <= YEAR_MS / SECOND_MS
    world.check()


def test_everything_refunded_is_no_recovery_and_no_stall() -> None:
    """Forty orders paid and paid back at once: judged, not delivered, no percentile reached."""
    world = World()
    for number in range(40):
        world.take([_event("order.paid", f"o{number}", 0, channel="auto")], 5 * SECOND_MS)
        world.take([_event("order.refunded", f"o{number}", 0)], 5 * SECOND_MS)
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert shown.delay_s["p50"].value is None
    assert shown.delayed_ratio in (None, 0.0)
    world.take((), 20 * MINUTE_MS)
    world.check()


def test_channel_that_vanishes_leaves_no_hole() -> None:
    """Its orders leave memory; it is asked about as before, and a channel nobody knows too."""
    world = World()
    for number in range(30):
        world.take([_event("order.paid", f"o{number}", 0, channel="gone"),
                    _event("delivery.delivered", f"o{number}", 0)], 10 * SECOND_MS)  # fmt: skip
    world.engine.shard.drain_dirty()
    for _ in range(9):
        world.take((), HOUR_MS)
    assert not world.engine.shard.orders
    shown = signals.signals(world.engine, "gone", HOUR_MS, world.now_ms)
    assert (shown.judged, shown.health_index.state) == (0, "idle")
    world.check()
    fewer = msgspec.structs.replace(MADE, channels=())
    world.engine.configure(fewer, WITH_SLO)
    world.take((), HOUR_MS)
    world.check()


def test_three_hundred_channels_share_the_last_name() -> None:
    """Beyond two hundred they are counted together; nothing is lost and nothing fails."""
    world = World()
    for number in range(300):
        world.take([_event("order.paid", f"o{number}", 0, channel=f"c{number}")])
    world.take((), 10 * MINUTE_MS)
    shown = signals.signals(world.engine, None, HOUR_MS, world.now_ms)
    assert shown.judged == 300
    assert len(world.engine.shard.channels) <= 4 + 201
    assert "other" in world.engine.shard.channels
    world.check()


@pytest.mark.parametrize("promise_ms", [1, 400 * DAY_MS])
def test_promise_of_a_moment_and_of_a_year_are_promises(promise_ms: int) -> None:
    """One is broken at once, the other not for a year; neither breaks a view."""
    world = World()
    for number in range(12):
        paid = _event("order.paid", f"o{number}", 0, channel="auto", promise_ms=promise_ms)
        world.take([paid], SECOND_MS)
    world.take((), HOUR_MS)
    shown = signals.signals(world.engine, None, 6 * HOUR_MS, world.now_ms)
    assert shown.breached == (12 if promise_ms == 1 else 0)
    world.check()
