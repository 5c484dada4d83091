"""`/metrics`: deliveries expected and seen, budgets and payments, and whom a channel answers for."""

from __future__ import annotations

import math

import msgspec
import pytest

from monitor.adapters.telemetry.scopes import order_gauges
from monitor.core.engine import Engine
from monitor.core.views.signals import signals
from monitor.model.commands import Batch
from monitor.model.events import EventType
from monitor.model.records import CaseMoved
from monitor.model.rules import Slo
from monitor.model.takeovers import Attempt, TakeoverCase
from tests.unit.adapters.telemetry.orders import T0, S, event
from tests.unit.adapters.telemetry.test_metrics import RULES, SETTINGS, engine_of, exposed, told


def test_charts_are_those_of_the_channels_and_of_all_together() -> None:
    """Two deliveries were seen on auto, none on pool; what was expected adds up."""
    engine = told()
    series = exposed(engine, 200)

    def of(name: str) -> dict[str, float]:
        return {one: series[f"delivery_{name}{{channel={one}}}"] for one in ("auto", "pool", "*")}

    assert of("observed_total") == {"auto": 2, "pool": 0, "*": 2}
    expected, chart = of("expected_total"), engine.control.charts.readings()["auto"]
    assert expected["auto"] == chart.expected_total > 0
    assert expected["*"] == pytest.approx(expected["auto"] + expected["pool"], abs=1e-4)
    assert of("cusum")["auto"] == chart.cusum
    assert all(limit > 5 for limit in of("cusum_limit").values())


def test_one_channel_needs_no_second_chart_of_all_orders() -> None:
    """A sum over the series is then what it seems to be."""
    engine = Engine(msgspec.structs.replace(SETTINGS, channels=SETTINGS.channels[:1]), RULES)
    names = [name for name in exposed(engine, 0) if name.startswith("delivery_expected_total")]
    assert names == ["delivery_expected_total{channel=auto}"]


def test_budgets_and_payments_are_told() -> None:
    """One of three judged orders broke its promise, two thirds of a budget of 50 %."""
    engine = told()
    engine.handle(Batch((event(EventType.CREATED, 200, "E", provider="alipay"),)), T0 + 200 * S)
    engine.configure(SETTINGS, msgspec.structs.replace(RULES, slos=(Slo("prompt", 0.5),)))
    series = exposed(engine, 200)
    judged = {name: series[f"delivery_orders_total{{channel={channel},verdict={name}}}"]
              for channel, name in (("auto", "good"), ("auto", "late_pending"), ("pool", "refunded"))}  # fmt: skip
    assert judged == {"good": 1, "late_pending": 1, "refunded": 1}
    assert series["delivery_slo_burn_rate{slo=prompt,window=1h}"] == pytest.approx(1 / 3 / 0.5)
    left = series["delivery_slo_budget_remaining_ratio{slo=prompt}"]
    assert left == pytest.approx(1 - 1 / 3 / 0.5)
    assert math.isnan(series["delivery_paid_ratio{provider=alipay}"])
    assert math.isnan(series["delivery_arrival_ratio{source=*}"])


def test_order_that_was_taken_over_is_censored_for_its_channel_and_not_for_the_shop() -> None:
    """Auto lost it after 60 s, the pool brought it after 90: a delay of the shop, not of auto."""
    engine = engine_of(event(EventType.PAID, 0, "A", channel="auto"))
    at_ms = T0 + 60 * S
    tried = (Attempt("att_1", "pool", 1, "unknown", at_ms, at_ms),)
    case = TakeoverCase("tko_1", "A", "unknown", "clm_1", 1, at_ms, at_ms, "auto", attempts=tried)
    engine.refold(CaseMoved(case, at_ms))
    engine.handle(Batch((event(EventType.DELIVERED, 90, "A", takeover_id="tko_1"),)), T0 + 90 * S)
    assert engine.shard.orders["A"].taken_ms == at_ms
    now_ms = T0 + 100 * S
    of = {one: signals(engine, one, 300_000, now_ms) for one in (None, "auto")}
    assert (of[None].n_events, of[None].n_censored) == (1, 0)
    assert (of["auto"].n_events, of["auto"].n_censored) == (0, 1)
    window = order_gauges(engine, now_ms).channels["auto"].windows["5m"]
    assert window.delay_s["p50"] == of["auto"].delay_s["p50"].lower_bound
