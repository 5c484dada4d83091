"""Spans as an OTLP request, by the official encoder. Imported only where traces are configured.

Importing OpenTelemetry costs 120 ms and 15 MB, so nothing else may import this module at its top.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs inside
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from monitor import __version__
from monitor.adapters.telemetry.spans import Span

_NS_PER_MS = 1_000_000
_NAME = "delivery-monitor"


# Nothing about this process: a span sent again after a restart must be the same span.
RESOURCE = Resource({"service.name": _NAME, "service.version": __version__})
SCOPE = InstrumentationScope(_NAME, __version__)


def encode(spans: Sequence[Span]) -> bytes:
    """Write an `ExportTraceServiceRequest`; the same spans give the same bytes."""
    request = encode_spans([_readable(span) for span in spans])
    return bytes(request.SerializeToString(deterministic=True))


def rejected_spans(answer: bytes) -> int:
    """How many spans the collector refused in an answer of success (`partial_success`)."""
    try:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:
        return 0  # collectors answer 200 with all kinds of bodies; the status is what counts


def _readable(span: Span) -> ReadableSpan:
    attributes = dict(span.attributes)
    if span.error:
        attributes["error.type"] = span.error
    parent = None
    if span.parent_id is not None:
        parent = _context(span.trace_id, span.parent_id, is_remote=span.is_parent_remote)
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id, is_remote=False),
        parent=parent,
        resource=RESOURCE,
        instrumentation_scope=SCOPE,
        attributes=attributes,
        events=[
            Event(event.name, dict(event.attributes), event.at_ms * _NS_PER_MS)
            for event in span.events
        ],
        kind=SpanKind.CONSUMER if span.is_root else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
        start_time=span.start_ms * _NS_PER_MS,
        end_time=span.end_ms * _NS_PER_MS,
    )


def _context(trace_id: bytes, span_id: bytes, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote,
        TraceFlags(TraceFlags.SAMPLED),
    )
