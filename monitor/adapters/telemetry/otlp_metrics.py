"""Metrics as an OTLP request, by the official encoder. Imported only where they are configured.

The histogram of the core has OpenTelemetry's buckets, so a data point is its array and an offset:
nothing is recorded a second time, and the collector sees the counts that `/metrics` shows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs inside
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from monitor.adapters.telemetry.otlp import RESOURCE, SCOPE
from monitor.adapters.telemetry.reading import Reading
from monitor.core.signals.histogram import OTEL_SHIFT, SCALE, UPPER_S, LogHistogram
from monitor.model.times import SECOND_MS

DURATION = "order.delivery.duration"
HEALTH = "delivery.health_index"
OPEN_ORDERS = "delivery.open_orders"
EXPECTED = "delivery.expected"
OBSERVED = "delivery.observed"
CUSUM = "delivery.cusum"
CUSUM_LIMIT = "delivery.cusum.limit"

_NS_PER_MS = 1_000_000
_NONE = Buckets(offset=0, bucket_counts=())


def encode(reading: Reading, start_ms: int) -> bytes:
    """Write an `ExportMetricsServiceRequest`; `start_ms` is when this process exported first.

    The counters are older than the process. A first point that starts at its own time says just
    that to a collector, and adds nothing to a rate (metrics data model, unknown start time).
    """
    request = encode_metrics(
        MetricsData(
            [ResourceMetrics(RESOURCE, [ScopeMetrics(SCOPE, _metrics(reading, start_ms), "")], "")]
        )
    )
    _widen_zero(request)
    return bytes(request.SerializeToString(deterministic=True))


def rejected_points(answer: bytes) -> int:
    """How many data points the collector refused in an answer of success (`partial_success`)."""
    try:
        found = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0  # collectors answer 200 with all kinds of bodies; the status is what counts
    return int(found.rejected_data_points)


def _metrics(reading: Reading, start_ms: int) -> list[Metric]:
    """The histogram and the gauges; a gauge without a value has no point."""
    duration = ExponentialHistogram(
        [
            _point(channel, delays, start_ms, reading.at_ms)
            for channel, delays in reading.delays.items()
        ],
        AggregationTemporality.CUMULATIVE,
    )
    health = [
        _gauge({"delivery.scope": scope}, value, reading.at_ms)
        for scope, value in reading.health.items()
        if value is not None
    ]
    waiting = [
        _gauge({"delivery.channel": channel, "delivery.age": age}, count, reading.at_ms)
        for (channel, age), count in reading.open_orders.items()
    ]
    return [
        Metric(DURATION, "From payment to delivery, of delivered orders.", "s", duration),
        Metric(HEALTH, "Delivery health of the last 15 min, 0 to 100.", "{point}", Gauge(health)),
        Metric(OPEN_ORDERS, "Paid orders whose buyer still waits.", "{order}", Gauge(waiting)),
        *_charts(reading, start_ms),
    ]


def _charts(reading: Reading, start_ms: int) -> list[Metric]:
    """Deliveries expected and seen as sums that only grow, and how far they lie apart."""
    at_ms = reading.at_ms

    def total(name: str, text: str, values: Mapping[str, float]) -> Metric:
        points = _by_channel(values, start_ms, at_ms)
        growing = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        return Metric(name, text, "{order}", growing)

    def level(name: str, text: str, values: Mapping[str, float]) -> Metric:
        return Metric(name, text, "1", Gauge(_by_channel(values, 0, at_ms)))

    return [
        total(EXPECTED, "Deliveries that healthy channels would have made.", reading.expected),
        total(OBSERVED, "Deliveries seen.", reading.observed),
        level(CUSUM, "How far deliveries have fallen behind.", reading.cusum),
        level(CUSUM_LIMIT, "What delivery.cusum exceeds in a stall.", reading.cusum_limit),
    ]


def _by_channel(values: Mapping[str, float], start_ms: int, at_ms: int) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(
            {"delivery.channel": channel}, start_ms * _NS_PER_MS, at_ms * _NS_PER_MS, value
        )
        for channel, value in values.items()
    ]


def _point(
    channel: str, delays: LogHistogram, start_ms: int, at_ms: int
) -> ExponentialHistogramDataPoint:
    used = np.flatnonzero(delays.counts[1:]) + 1
    first, last = (int(used[0]), int(used[-1])) if used.size else (0, -1)
    return ExponentialHistogramDataPoint(
        attributes={"delivery.channel": channel},
        start_time_unix_nano=start_ms * _NS_PER_MS,
        time_unix_nano=at_ms * _NS_PER_MS,
        count=delays.total,
        sum=delays.sum_ms / SECOND_MS,
        scale=SCALE,
        zero_count=int(delays.counts[0]),
        positive=Buckets(first - OTEL_SHIFT, delays.counts[first : last + 1].tolist()),
        negative=_NONE,
        flags=0,
        min=None,  # type: ignore[arg-type]  # optional on the wire, and not known to the ms
        max=None,  # type: ignore[arg-type]  # as above
    )


def _gauge(attributes: dict[str, str], value: float, at_ms: int) -> NumberDataPoint:
    return NumberDataPoint(attributes, 0, at_ms * _NS_PER_MS, value)


def _widen_zero(request: ExportMetricsServiceRequest) -> None:
    """Say that the zero bucket reaches to the end of ours; the SDK's class has no such field."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.exponential_histogram.data_points:
                    point.zero_threshold = float(UPPER_S[0])
