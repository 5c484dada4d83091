"""One histogram on three wires, and the minute export against a real OTLP receiver."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    ExponentialHistogramDataPoint,
)
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench_histogram import exact_quantile_s, heavy_tailed_ms
from monitor.adapters.http_client import HttpClient
from monitor.adapters.telemetry.metrics import MetricsCollector, WriteTimes
from monitor.adapters.telemetry.metrics_export import OtlpMetricSink
from monitor.adapters.telemetry.reading import read
from monitor.adapters.telemetry.traces import OtlpTraceSink
from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.core.signals.arrays import IntArray
from monitor.model.commands import Batch
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.times import UnixMs
from tests.otlp_receiver import Receiver
from tests.unit.adapters.telemetry.orders import T0, S, delivered, event, row

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ERROR_MAX = 0.011


class At:
    """A clock that stands where the test puts it."""

    def __init__(self, at_ms: int = T0) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)


class Process:
    """A process of which nothing is known."""

    def __init__(self) -> None:
        self.left_out = LeftOut()
        self.blocked: dict[str, int] = {}

    def outbox_rows(self) -> Mapping[str, int]:
        return {}

    def write_times(self) -> WriteTimes | None:
        return None

    def loop_lag_s(self) -> float:
        return 0.0


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def sinking(receiver: Receiver, engine: Engine, clock: At) -> AsyncIterator[OtlpMetricSink]:
    client = HttpClient(config_hosts=(receiver.place,))
    yield OtlpMetricSink(
        lambda: client, receiver.endpoint, lambda: read(engine, clock.at_ms), every_ms=1
    )
    await client.close()


def engine_of(*events: OrderEvent) -> Engine:
    engine = Engine(Settings(channels=(ChannelSettings("auto"),)), RuleSet(()))
    engine.handle(Batch(events), T0)
    return engine


def counted(delays: IntArray) -> Engine:
    engine = engine_of()
    for delay_ms in delays.tolist():
        engine.shard.totals.count_delay("auto", delay_ms)
    return engine


def labels(pairs: list[KeyValue]) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


def points(receiver: Receiver, request: int = -1) -> dict[str, ExponentialHistogramDataPoint]:
    metric = receiver.metrics[request]["order.delivery.duration"]
    return {
        labels(list(point.attributes))["delivery.channel"]: point
        for point in metric.exponential_histogram.data_points
    }


def quantile_of(point: ExponentialHistogramDataPoint, q: float) -> float:
    """As a backend reads it: the bucket of the rank, base 2 ** (2 ** -scale), log-interpolated."""
    base = 2.0 ** (2.0**-point.scale)
    below, wanted = point.zero_count, q * point.count
    for index, count in enumerate(point.positive.bucket_counts, start=point.positive.offset):
        if below + count >= wanted:
            return float(base ** (index + (wanted - below) / count))
        below += count
    raise AssertionError("more than everything")


def classic_buckets(engine: Engine) -> list[tuple[float, float]]:
    """(le, cumulative count) of auto, read back by the library's parser."""
    text = MetricsCollector(engine, At(), Process()).render().decode()
    return [
        (float(sample.labels["le"]), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "delivery_delay_seconds_bucket" and sample.labels["channel"] == "auto"
    ]


@pytest.mark.parametrize("seed", range(2))
async def test_three_wires_tell_the_same_p99(receiver: Receiver, seed: int) -> None:
    """Exact 99th percentile: 1.1 % off at most in OTLP and in ours, inside its classic bucket."""
    delays = heavy_tailed_ms(20_000, seed)
    engine = counted(delays)
    exact_s = exact_quantile_s(np.sort(delays), 0.99)
    async with sinking(receiver, engine, At()) as sink:
        await sink.export()
    assert quantile_of(points(receiver)["auto"], 0.99) == pytest.approx(exact_s, rel=ERROR_MAX)
    ours_s = engine.shard.totals.delays["auto"].histogram().quantile(0.99)
    assert ours_s == pytest.approx(exact_s, rel=ERROR_MAX)
    edges = [(0.0, 0.0), *classic_buckets(engine)]
    ((low, high),) = [
        (below[0], above[0])
        for below, above in itertools.pairwise(edges)
        if below[1] < 0.99 * delays.size <= above[1]
    ]
    assert low < exact_s <= high
    for edge_s, count in edges[1:-1]:
        assert count == np.count_nonzero(delays <= edge_s * 1000)
    assert {60.0, 180.0, 300.0, 1800.0} <= {edge for edge, _ in edges}


async def test_point_holds_every_delivery_in_the_bucket_of_the_standard(receiver: Receiver) -> None:
    """By hand at scale 5: 1 s is index -1, 1.001 s index 0, 2 s index 31; 0 s is in the zero bucket."""
    engine = counted(np.array([0, 1_000, 1_001, 2_000, 2_000]))
    async with sinking(receiver, engine, At(T0 + 5 * S)) as sink:
        await sink.export()
    point = points(receiver)["auto"]
    assert (point.scale, point.count, point.zero_count) == (5, 5, 1)
    assert point.sum == pytest.approx(6.001)
    assert 0.015 < point.zero_threshold < 0.017
    assert point.positive.offset == -1
    assert list(point.positive.bucket_counts) == [1, 1, *[0] * 30, 2]
    assert not point.HasField("min")
    assert not point.HasField("max")
    metric = receiver.metrics[0]["order.delivery.duration"]
    assert metric.unit == "s"
    temporality = metric.exponential_histogram.aggregation_temporality
    assert temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert point.time_unix_nano == (T0 + 5 * S) * 1_000_000


async def test_channel_without_deliveries_has_an_empty_point(receiver: Receiver) -> None:
    """The series is there from the start, so that its first delivery is an increase."""
    async with sinking(receiver, engine_of(), At()) as sink:
        await sink.export()
    point = points(receiver)["auto"]
    assert (point.count, point.sum, list(point.positive.bucket_counts)) == (0, 0.0, [])


async def test_counters_older_than_the_process_start_with_its_first_export(
    receiver: Receiver,
) -> None:
    """A first point of no length, then points from there: nothing is counted a second time."""
    clock, engine = At(), counted(np.array([5_000]))
    async with sinking(receiver, engine, clock) as sink:
        await sink.export()
        clock.at_ms += 60 * S
        engine.shard.totals.count_delay("auto", 7_000)
        await sink.export()
    first, second = (points(receiver, request)["auto"] for request in (0, 1))
    assert first.start_time_unix_nano == first.time_unix_nano == T0 * 1_000_000
    assert second.start_time_unix_nano == first.time_unix_nano
    assert (first.count, second.count) == (1, 2)


async def test_gauges_tell_health_and_who_waits(receiver: Receiver) -> None:
    """One order of 100 s waits; what is idle has no point instead of NaN."""
    engine = engine_of(event(EventType.PAID, -100, "A", channel="auto"))
    async with sinking(receiver, engine, At()) as sink:
        await sink.export()
    metrics = receiver.metrics[0]
    waiting = {
        tuple(labels(list(point.attributes)).values()): point.as_int
        for point in metrics["delivery.open_orders"].gauge.data_points
    }
    assert waiting[("auto", "1m-3m")] == 1
    assert sum(waiting.values()) == 1
    health = {
        labels(list(point.attributes))["delivery.scope"]: point.as_double
        for point in metrics["delivery.health_index"].gauge.data_points
    }
    assert set(health) == {"*", "auto"}
    for name in ("delivery.expected", "delivery.observed"):
        total = metrics[name].sum
        assert (total.is_monotonic, total.aggregation_temporality) == (
            True,
            AGGREGATION_TEMPORALITY_CUMULATIVE,
        )
        assert [labels(list(one.attributes)) for one in total.data_points] == [
            {"delivery.channel": "auto"}
        ]
    (limit,) = metrics["delivery.cusum.limit"].gauge.data_points
    assert limit.as_double > 5
    assert 0 < health["auto"] < 100
    async with sinking(receiver, engine_of(), At()) as sink:
        await sink.export()
    assert list(receiver.metrics[1]["delivery.health_index"].gauge.data_points) == []


async def test_collector_that_is_down_costs_no_count(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused twice and gone once: one line in the log, and the next request says it all."""
    engine, clock = counted(np.array([5_000])), At()
    async with sinking(receiver, engine, clock) as sink:
        receiver.status = 503
        await sink.export()
        await sink.export()
        await receiver.stop()
        await sink.export()
        assert (sink.counts.sent, sink.counts.failed) == (0, 3)
        assert [record.getMessage() for record in caplog.records] == ["metrics_not_sent"]
        engine.shard.totals.count_delay("auto", 7_000)
        receiver.status = 200
        receiver.rejected = 4
        await receiver.start()
        await sink.export()
        assert (sink.counts.sent, sink.counts.refused_points) == (1, 4)
    assert points(receiver)["auto"].count == 2


async def test_export_goes_on_by_itself_until_it_is_stopped(receiver: Receiver) -> None:
    """More than one request without being asked, and cancelling ends it."""
    async with sinking(receiver, engine_of(), At()) as sink:
        task = asyncio.create_task(sink.run())
        await receiver.wait(calls=3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_metrics_and_traces_are_of_one_service(
    receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both carry the same resource attributes, so a backend puts them side by side."""
    client = HttpClient(config_hosts=(receiver.place,))
    traces = OtlpTraceSink(
        client, At(), receiver.endpoint, tmp_path_factory.mktemp("traces"), linger_ms=1
    )
    task = asyncio.create_task(traces.run())
    traces.offer(row(delivered()))
    await receiver.wait(spans=1)
    await traces.close()
    await task
    async with sinking(receiver, engine_of(), At()) as sink:
        await sink.export()
    await client.close()
    of_traces = labels(list(receiver.requests[0].resource_spans[0].resource.attributes))
    of_metrics = labels(list(receiver.metric_requests[0].resource_metrics[0].resource.attributes))
    assert of_metrics == of_traces
    assert of_metrics["service.name"] == "delivery-monitor"
