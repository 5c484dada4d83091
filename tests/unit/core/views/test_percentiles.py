"""Percentiles as the API gives them: with an interval, with what they rest on, never NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from monitor.core.engine import Engine
from monitor.core.signals.scope import Scope
from monitor.core.views.signals import SignalsView, signals
from monitor.model.commands import Batch, Tick
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from tests.unit.core.signals.strategies import unhurried

T0 = 1_790_000_000_000
YEAR_MS = 365 * DAY_MS


def event(kind: EventType, at_ms: int, order_id: str) -> OrderEvent:
    return OrderEvent(kind, order_id, "shop", f"{order_id} {kind}", T0 + at_ms, T0 + at_ms)


def in_order(events: Iterable[OrderEvent]) -> tuple[OrderEvent, ...]:
    return tuple(sorted(events, key=lambda one: one.time_ms))


def seen(*events: OrderEvent, now_ms: int) -> SignalsView:
    """What the API says of the last quarter of an hour."""
    engine = Engine(Settings(), RuleSet(()))
    engine.handle(Batch(in_order(events)), T0 + now_ms)
    engine.handle(Tick(), T0 + now_ms)
    return signals(engine, None, 15 * MINUTE_MS, T0 + now_ms)


def closed(kind: EventType, number: int, delay_ms: int) -> list[OrderEvent]:
    name = f"o{number}"
    return [event(EventType.PAID, 0, name), event(kind, delay_ms, name)]


def test_percentile_says_how_sure_it_is_and_what_it_rests_on() -> None:
    """Forty deliveries at 1 … 40 s and ten that wait: p50 in its interval, p90 not reached."""
    events = [one for n in range(40) for one in closed(EventType.DELIVERED, n, (n + 1) * SECOND_MS)]
    waiting = [event(EventType.PAID, 0, f"w{n}") for n in range(10)]
    view = seen(*events, *waiting, now_ms=100 * SECOND_MS)
    median, p90 = view.delay_s["p50"], view.delay_s["p90"]
    assert median.value == pytest.approx(25.0, abs=1.0)  # one delivery of fifty
    assert median.ci_low is not None
    assert median.ci_high is not None
    assert 15.0 < median.ci_low < 25.0 < median.ci_high < 35.0
    assert (median.n_events, median.n_censored, median.estimator) == (40, 10, "km_period")
    assert (p90.value, p90.ci_high) == (None, None)
    assert 97.0 < p90.lower_bound <= 100.0
    assert view.mean_restricted_tau_s == 1_800.0
    assert view.mean_lower_bound_s == pytest.approx((sum(range(1, 41)) + 10 * 100) / 50)


def test_cancelled_orders_count_as_late() -> None:
    """Ten of a hundred stuck, and cancelled by the staff at 100 s: a tenth is late, not nobody."""
    events = [one for n in range(90) for one in closed(EventType.DELIVERED, n, 8_000 + 50 * n)]
    for number in range(90, 100):
        events += closed(EventType.CANCELLED, number, 100 * SECOND_MS)
    engine = Engine(Settings(), RuleSet(()))
    now_ms = T0 + 10 * MINUTE_MS
    engine.handle(Batch(in_order(events)), now_ms)
    rows = engine.shard.observe()
    curve = Scope(rows, rows.paid_ms > 0, now_ms).curve(now_ms - 15 * MINUTE_MS)
    assert curve.at(180.0) == pytest.approx(0.10, abs=0.006)
    view = signals(engine, None, 15 * MINUTE_MS, now_ms)
    assert (view.delay_s["p95"].value, view.verdicts.cancelled) == (None, 10)


def test_probability_of_exceeding_the_target_is_that_of_the_posterior() -> None:
    """Two of twenty late: Beta(2.5, 18.5) above 2 %, by scipy."""
    events = [one for n in range(18) for one in closed(EventType.DELIVERED, n, 8 * SECOND_MS)]
    for number in (18, 19):
        events += closed(EventType.DELIVERED, number, 200 * SECOND_MS)
    view = seen(*events, now_ms=300 * SECOND_MS)
    assert (view.breached, view.judged) == (2, 20)
    assert view.jeffreys_p_over_target == pytest.approx(float(beta.sf(0.02, 2.5, 18.5)), abs=1e-9)


def test_no_order_has_no_number() -> None:
    """An idle shop: null everywhere, zero counts, no probability."""
    view = seen(now_ms=0)
    assert view.jeffreys_p_over_target is None
    assert view.mean_lower_bound_s is None
    for one in view.delay_s.values():
        assert (one.value, one.lower_bound, one.ci_low, one.ci_high) == (None, 0.0, None, None)
        assert (one.n_events, one.n_censored) == (0, 0)


def test_all_refunded_is_no_speed_but_an_age() -> None:
    """Nothing was delivered: no percentile, and the mean cannot be below the age they have now."""
    events = [one for n in range(5) for one in closed(EventType.REFUNDED, n, 30 * SECOND_MS)]
    view = seen(*events, now_ms=120 * SECOND_MS)
    assert all(one.value is None for one in view.delay_s.values())
    assert view.mean_lower_bound_s == 120.0
    assert view.mean_restricted_s == 1_800.0


def finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@unhurried
@given(
    st.lists(
        st.tuples(
            st.sampled_from([one for one in EventType if one != EventType.HEARTBEAT]),
            st.one_of(
                st.integers(-HOUR_MS, HOUR_MS), st.sampled_from([-YEAR_MS, 0, HOUR_MS, YEAR_MS])
            ),
            st.integers(0, 4),
        ),
        max_size=15,
    )
)
def test_any_history_gives_defined_signals(facts: list[tuple[EventType, int, int]]) -> None:
    """Clock skew, deliveries before payment, a year, refunds of everything: null or a number."""
    events = [
        msgspec.structs.replace(event(kind, at_ms, f"o{order}"), event_id=str(index))
        for index, (kind, at_ms, order) in enumerate(facts)
    ]
    view = seen(*events, now_ms=HOUR_MS)
    assert finite(msgspec.to_builtins(view))
    for one in view.delay_s.values():
        assert one.lower_bound >= 0.0
        assert one.value is None or one.value == one.lower_bound
        if one.value is not None and one.ci_low is not None:
            assert one.ci_low <= one.value
        assert one.ci_high is None or one.ci_high >= one.lower_bound
