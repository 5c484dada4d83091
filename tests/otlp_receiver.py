"""A real OTLP/HTTP collector on a loopback port: decodes what arrives and remembers it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Receiver:
    """Answers with `status`; `hang` takes the request in and never answers."""

    port: int = 0
    status: int = 200
    hang: bool = False
    rejected: int = 0
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    metric_requests: list[ExportMetricsServiceRequest] = field(default_factory=list)
    calls: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.ServerRunner | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self) -> list[dict[str, Metric]]:
        """Metrics by name, one dictionary per request."""
        return [
            {
                metric.name: metric
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            for request in self.metric_requests
        ]

    async def start(self) -> None:
        self._stop = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._take))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._stop.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def wait(self, *, spans: int = 0, calls: int = 0) -> None:
        """Return once so many spans and calls have arrived."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.spans) >= spans and self.calls >= calls)

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Content-Type"] == "application/x-protobuf"
        status, body = self.status, await request.read()
        async with self._changed:
            self.calls += 1
            if status == 200:
                self._keep(request.path, body)
            self._changed.notify_all()
        if self.hang:
            await self._stop.wait()
        return web.Response(status=status, body=self._answer(request.path))

    def _keep(self, path: str, body: bytes) -> None:
        if path == "/v1/metrics":
            self.metric_requests.append(ExportMetricsServiceRequest.FromString(body))
            return
        assert path == "/v1/traces"
        self.requests.append(ExportTraceServiceRequest.FromString(body))

    def _answer(self, path: str) -> bytes:
        if path == "/v1/metrics":
            of_metrics = ExportMetricsServiceResponse()
            of_metrics.partial_success.rejected_data_points = self.rejected
            return bytes(of_metrics.SerializeToString())
        of_traces = ExportTraceServiceResponse()
        of_traces.partial_success.rejected_spans = self.rejected
        return bytes(of_traces.SerializeToString())


def attributes(span: Span | Span.Event) -> dict[str, str | int | float | bool]:
    """Attributes as plain values."""
    return {pair.key: _plain(pair.value) for pair in span.attributes}


def _plain(value: AnyValue) -> str | int | float | bool:
    kind = value.WhichOneof("value")
    assert kind is not None
    found: str | int | float | bool = getattr(value, kind)
    return found
