"""`/metrics`: names and labels of the contract, values by hand, and no counter reset by a restart."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.adapters.telemetry.catalogue import CATALOGUE
from monitor.adapters.telemetry.metrics import MetricsCollector, WriteTimes, collect
from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.core.views import signals as views
from monitor.model.alerts import Alert
from monitor.model.commands import Batch, Tick
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import CaseMoved, Notified
from monitor.model.rules import Comparison, Number, Rule, RuleSet, Signal, Slo
from monitor.model.settings import (
    ChannelSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
    WebhookSettings,
)
from monitor.model.takeovers import Attempt, TakeoverCase
from monitor.model.times import UnixMs
from tests.unit.adapters.telemetry.orders import T0, S, event

SETTINGS = Settings(
    sources=(SourceSettings("shop"),),
    channels=(ChannelSettings("auto"), ChannelSettings("pool", "stock")),
    fallback=FallbackSettings(order=("pool",)),
    receivers=(ReceiverSettings("ops"),),
    webhooks=(WebhookSettings("webhooks/0"),),
)
RULES = RuleSet(
    (
        Rule(
            alert="Late",
            group="delivery",
            expr=Comparison(">", Signal("open_orders"), Number(1_000_000.0)),
            expr_text="open_orders > 1000000",
            interval_ms=15_000,
        ),
    )
)


class Process:
    """Runtime facts as a test sets them."""

    def __init__(self) -> None:
        self.times: WriteTimes | None = None
        self.left_out = LeftOut()
        self.blocked = Counter[str]()

    def outbox_rows(self) -> dict[str, int]:
        return {"notify/ops/dingtalk/0": 3}

    def write_times(self) -> WriteTimes | None:
        return self.times

    def loop_lag_s(self) -> float:
        return 0.25


class At:
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> UnixMs:
        return UnixMs(self._now_ms)


def engine_of(*events: OrderEvent, now_s: float = 0) -> Engine:
    engine = Engine(SETTINGS, RULES)
    engine.handle(Batch(events), T0 + round(now_s * S))
    return engine


def exposed(engine: Engine, now_s: float, process: Process | None = None) -> dict[str, float]:
    """Series as `name{label=value,…}` in the order of labels, read back by the library's parser."""
    at = At(T0 + round(now_s * S))
    text = MetricsCollector(engine, at, process or Process()).render().decode()
    return {
        sample.name
        + "{"
        + ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        + "}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def story() -> list[OrderEvent]:
    """On auto: good after 20 s, late after 200 s, one waiting; on pool: refunded."""
    return [
        event(EventType.PAID, 0, "A", channel="auto"),
        event(EventType.DELIVERED, 20, "A"),
        event(EventType.PAID, 0, "B", channel="auto"),
        event(EventType.PAID, 100, "C", channel="auto"),
        event(EventType.PAID, 10, "D", channel="pool"),
        event(EventType.REFUNDED, 30, "D"),
        event(EventType.DELIVERED, 200, "B"),
    ]


def told() -> Engine:
    engine = Engine(SETTINGS, RULES)
    for one in story():
        engine.handle(Tick(), one.time_ms - 1)  # the promise of B breaks before its delivery
        engine.handle(Batch((one,)), one.time_ms)
    engine.handle(Tick(), T0 + 200 * S)
    return engine


def test_everything_configured_is_there_from_the_start() -> None:
    """Before the first event every counter of every channel, source and receiver stands at 0."""
    series = exposed(engine_of(), 0)
    for name in (
        "delivery_events_total{outcome=accepted,source=shop,type=order.paid}",
        "delivery_orders_total{channel=pool,verdict=late_pending}",
        "delivery_delay_seconds_count{channel=auto}",
        "delivery_expected_total{channel=pool}",
        "delivery_observed_total{channel=auto}",
        "delivery_cusum{channel=*}",
        "delivery_delay_seconds_bucket{channel=auto,le=180.0}",
        "delivery_open_orders{age=30m+,channel=pool}",
        "delivery_oldest_open_order_age_seconds{channel=auto}",
        "delivery_at_risk_orders{channel=auto}",
        "delivery_takeovers_total{channel=pool,outcome=delivered}",
        "delivery_notifications_total{outcome=failed,receiver=ops}",
        "delivery_notifications_total{outcome=ok,receiver=webhooks/0}",
        "delivery_alerts{rule=Late,state=firing}",
        "delivery_ambiguous_open{}",
        "delivery_double_deliveries_total{}",
        "delivery_monitor_invariant_violations{}",
        "delivery_switch_epoch{scope=*}",
        "delivery_monitor_commit_seconds_count{}",
        "delivery_monitor_fsync_seconds_count{}",
        "delivery_monitor_label_overflow_total{label=channel}",
        "delivery_monitor_label_overflow_total{label=alerts}",
    ):
        assert series[name] == 0, name
    for name in (
        "delivery_late_ratio{channel=auto,window=15m}",
        "delivery_delay_window_seconds{channel=auto,stat=p95,window=5m}",
        "delivery_health_index{scope=*}",
    ):
        assert math.isnan(series[name]), name


def test_values_are_those_counted_by_hand() -> None:
    """A small story gives exactly the numbers that a person would write down."""
    series = exposed(told(), 200)
    expected = {
        "delivery_events_total{outcome=accepted,source=shop,type=order.paid}": 4,
        "delivery_orders_total{channel=auto,verdict=good}": 1,
        "delivery_orders_total{channel=auto,verdict=late_delivered}": 1,
        "delivery_orders_total{channel=auto,verdict=late_pending}": 1,
        "delivery_orders_total{channel=pool,verdict=refunded}": 1,
        "delivery_delay_seconds_bucket{channel=auto,le=12.0}": 0,
        "delivery_delay_seconds_bucket{channel=auto,le=20.0}": 1,
        "delivery_delay_seconds_bucket{channel=auto,le=180.0}": 1,
        "delivery_delay_seconds_bucket{channel=auto,le=240.0}": 2,
        "delivery_delay_seconds_bucket{channel=auto,le=+Inf}": 2,
        "delivery_delay_seconds_count{channel=auto}": 2,
        "delivery_delay_seconds_sum{channel=auto}": 220,
        "delivery_late_ratio{channel=auto,window=5m}": 0.5,
        "delivery_late_ratio{channel=pool,window=5m}": 0,
        "delivery_delay_window_seconds{channel=auto,stat=mean,window=5m}": 110,
        "delivery_delay_window_seconds{channel=auto,stat=max,window=5m}": 200,
        "delivery_open_orders{age=1m-3m,channel=auto}": 1,
        "delivery_open_orders{age=0-1m,channel=auto}": 0,
        "delivery_oldest_open_order_age_seconds{channel=auto}": 100,
        "delivery_oldest_open_order_age_seconds{channel=pool}": 0,
        "delivery_channel_weight_ratio{channel=auto}": 1,
        "delivery_channel_weight_ratio{channel=pool}": 0,
        "delivery_channel_state{channel=auto,state=closed}": 1,
        "delivery_channel_state{channel=auto,state=open}": 0,
        "delivery_channel_state{channel=pool,state=idle}": 1,
        "delivery_monitor_outbox_rows{sink=notify/ops/dingtalk/0}": 3,
        "delivery_monitor_loop_lag_seconds{}": 0.25,
    }
    assert {name: series[name] for name in expected} == expected


def test_health_counts_waiting_orders() -> None:
    """Health of auto by hand: losses 0, L(200 s) and L(100 s) of three; pool lost its only order."""

    def loss(age_s: float) -> float:  # straight in ln age from (60 s, 0) to (300 s, 0.5)
        return 0.5 * math.log(age_s / 60) / math.log(300 / 60)

    series = exposed(told(), 200)
    auto = 100 - 100 * (loss(200) + loss(100)) / 3
    assert series["delivery_health_index{scope=auto}"] == pytest.approx(auto, abs=1e-6)
    assert series["delivery_health_index{scope=pool}"] == 0
    everything = 100 - 100 * (loss(200) + loss(100) + 1) / 4
    assert series["delivery_health_index{scope=*}"] == pytest.approx(everything, abs=1e-6)


def test_windows_equal_what_the_api_says() -> None:
    """Percentiles, mean and late share are those of `/v1/signals`."""
    engine = told()
    now_ms = T0 + 200 * S
    series = exposed(engine, 200)
    view = views.signals(engine, "auto", 900_000, now_ms)
    for stat, percentile in view.delay_s.items():
        name = f"delivery_delay_window_seconds{{channel=auto,stat={stat},window=15m}}"
        assert series[name] == pytest.approx(percentile.lower_bound)
    assert series["delivery_late_ratio{channel=auto,window=15m}"] == view.delayed_ratio
    index = views.health(engine, None, 900_000, now_ms).value
    assert series["delivery_health_index{scope=*}"] == index


def test_ages_fall_into_their_classes() -> None:
    """Exactly 3 min belongs to the class up to 3 min, a millisecond more to the next."""
    ages_s = (5, 60, 60.001, 180, 299, 300, 301, 1800, 1801)
    events = [event(EventType.PAID, -age_s, f"o{age_s}", channel="auto") for age_s in ages_s]
    series = exposed(engine_of(*events), 0)
    counts = [
        series[f"delivery_open_orders{{age={age},channel=auto}}"]
        for age in ("0-1m", "1m-3m", "3m-5m", "5m-30m", "30m+")
    ]
    assert counts == [2, 2, 2, 2, 1]


def test_restart_is_no_counter_reset() -> None:
    """A restored engine goes on counting where the old one stopped."""
    before = exposed(told(), 200)
    again = Engine(SETTINGS, RULES)
    again.restore(told().snapshot(), T0 + 200 * S)
    counters = [name for name in before if "_total{" in name or "_seconds_count{" in name]
    after = exposed(again, 200)
    assert {name: after[name] for name in counters} == {name: before[name] for name in counters}


def test_decisions_and_answers_are_counted() -> None:
    """Alerts, takeovers in doubt, messages, double deliveries, writes."""
    engine = told()
    engine.control.watch.alerts["Late{}"] = Alert("Late", (), "firing", "warning")
    attempt = Attempt("att_1", "pool", 1, "unknown", T0, T0)
    case = TakeoverCase("tko_1", "C", "unknown", "clm_1", 1, T0, T0, "auto", attempts=(attempt,))
    engine.refold(CaseMoved(case, T0 + 201 * S))
    engine.refold(Notified("n1", "ops", "ok", T0 + 202 * S))
    engine.shard.totals.double_deliveries = 2
    engine.shard.totals.overflow = {"source": 7}
    engine.control.watch.refused = 3
    process = Process()
    process.times = WriteTimes(
        count=9, sum_s=0.5, p50_s=0.01, p99_s=0.2, sync=WriteTimes(9, 0.4, 0.008, 0.1)
    )
    series = exposed(engine, 203, process)
    expected = {
        "delivery_alerts{rule=Late,state=firing}": 1,
        "delivery_alerts{rule=Late,state=pending}": 0,
        "delivery_ambiguous_open{}": 1,
        "delivery_takeovers_total{channel=pool,outcome=unknown}": 1,
        "delivery_notifications_total{outcome=ok,receiver=ops}": 1,
        "delivery_double_deliveries_total{}": 2,
        "delivery_monitor_label_overflow_total{label=source}": 7,
        "delivery_monitor_label_overflow_total{label=alerts}": 3,
        "delivery_monitor_commit_seconds_count{}": 9,
        "delivery_monitor_commit_seconds_sum{}": 0.5,
        "delivery_monitor_commit_seconds{quantile=0.99}": 0.2,
        "delivery_monitor_fsync_seconds{quantile=0.5}": 0.008,
        "delivery_monitor_fsync_seconds{quantile=0.99}": 0.1,
    }
    assert {name: series[name] for name in expected} == expected


def test_words_of_the_outside_are_escaped() -> None:
    """A channel named with quotes, line feeds and tabs stays one label value."""
    odd = 'a"b\\c\nd\te'
    events = [
        event(EventType.PAID, 0, "A", channel=odd, source="shop\tx"),
        event(EventType.DELIVERED, 1, "A", channel=odd, source="shop\tx"),
    ]
    series = exposed(engine_of(*events), 1)
    assert series["delivery_orders_total{channel=" + odd + ",verdict=good}"] == 1
    assert series["delivery_events_total{outcome=accepted,source=shop\tx,type=order.paid}"] == 1


def test_exposition_is_what_the_catalogue_declares() -> None:
    """Every family has its declared type and help, every sample its declared labels, at least one."""
    text = MetricsCollector(told(), At(T0), Process()).render().decode()
    for family in CATALOGUE:
        assert f"# TYPE {family.name} {family.kind}\n" in text
        assert f"# HELP {family.name} {family.help}\n" in text
    engine = told()
    engine.handle(Batch((event(EventType.CREATED, 200, "E", provider="alipay"),)), T0 + 200 * S)
    engine.configure(SETTINGS, msgspec.structs.replace(RULES, slos=(Slo("prompt", 0.98),)))
    samples = collect(engine, T0 + 200 * S, Process())
    assert [name for name, found in samples.items() if not found] == []


def test_contract_names_are_declared() -> None:
    """The names of contract §7 that exist by now, with their labels."""
    assert {family.name: set(family.labels) for family in CATALOGUE} == {
        "delivery_events_total": {"source", "type", "outcome"},
        "delivery_orders_total": {"channel", "verdict"},
        "delivery_delay_seconds": {"channel"},
        "delivery_delay_window_seconds": {"channel", "window", "stat"},
        "delivery_late_ratio": {"channel", "window"},
        "delivery_health_index": {"scope"},
        "delivery_open_orders": {"channel", "age"},
        "delivery_oldest_open_order_age_seconds": {"channel"},
        "delivery_at_risk_orders": {"channel"},
        "delivery_expected_total": {"channel"},
        "delivery_observed_total": {"channel"},
        "delivery_cusum": {"channel"},
        "delivery_cusum_limit": {"channel"},
        "delivery_speed_ratio": {"channel"},
        "delivery_arrival_ratio": {"source"},
        "delivery_paid_ratio": {"provider"},
        "delivery_slo_burn_rate": {"slo", "window"},
        "delivery_slo_budget_remaining_ratio": {"slo"},
        "delivery_channel_state": {"channel", "state"},
        "delivery_channel_weight_ratio": {"channel"},
        "delivery_switch_epoch": {"scope"},
        "delivery_takeovers_total": {"channel", "outcome"},
        "delivery_ambiguous_open": set(),
        "delivery_double_deliveries_total": set(),
        "delivery_monitor_invariant_violations": set(),
        "delivery_shop_faults_total": {"fault"},
        "delivery_notifications_total": {"receiver", "outcome"},
        "delivery_alerts": {"rule", "state"},
        "delivery_monitor_outbox_rows": {"sink"},
        "delivery_monitor_commit_seconds": set(),
        "delivery_monitor_fsync_seconds": set(),
        "delivery_monitor_loop_lag_seconds": set(),
        "delivery_monitor_label_overflow_total": {"label"},
        "delivery_monitor_ignored_fields_total": set(),
        "delivery_monitor_shed_total": {"what"},
        "delivery_monitor_egress_blocked_total": {"reason"},
        "delivery_monitor_build_info": {"version"},
    }


def test_no_order_id_is_a_label() -> None:
    """Ids of orders, events and takeovers appear nowhere in the exposition."""
    secret = "order-4711"
    engine = engine_of(
        event(EventType.PAID, 0, secret, channel="auto", event_id="event-4711", sku="sku-4711"),
        event(EventType.DELIVERED, 5, secret, event_id="event-4712", customer_hash="buyer-4711"),
        now_s=6,
    )
    assert b"471" not in MetricsCollector(engine, At(T0 + 6 * S), Process()).render()


def test_promtool_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """Prometheus' own linter takes the exposition."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    body = MetricsCollector(told(), At(T0 + 200 * S), Process()).render()
    done = subprocess.run(
        [promtool, "check", "metrics"], check=False, input=body, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_stored_orders_are_what_the_trace_sink_reads() -> None:
    """An order of the engine survives the JSON that rows are stored in."""
    order = told().shard.orders["B"]
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order
