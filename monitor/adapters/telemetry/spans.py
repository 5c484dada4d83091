"""One trace per order, built after the fact: which spans an order has, with ids that never change.

    order                 paid ────────────────────────────────────────────────► done
    ├─ payment callback   paid ──► callback
    ├─ accept                      └──► accepted
    ├─ stock                              └──► reserved
    ├─ delivery attempt                              attempted ──► failed | delivered | next
    ├─ verify                                                                    └──► verified
    └─ takeover                                             opened ──────► closed
       ├─ takeover attempt                                    submitted ──► next | closed
       └─ hand over                                                       │ delivered

A pure function of the stored order, so late and repeated events lead to the same ids, and a span
exported twice is recognised by any back end that looks. Ids hash what a span is about: an attempt's
event, not its number, because an earlier attempt may still arrive. Free text (`reason`) stays out:
nobody knows what a shop writes into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from monitor.core.orders.lifecycle import Verdict, verdict
from monitor.core.orders.order import Order
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import UNNAMED_CHANNEL, digest
from monitor.model.takeovers import AttemptState, CaseState, TakeoverCase

ROOT = "order"
EVENTS_MAX = 128  # of one span; the default of the OpenTelemetry SDK

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_FAILED_ATTEMPT = (AttemptState.DISPROVED, AttemptState.UNKNOWN, AttemptState.QUARANTINED)

Value = str | int | float | bool


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened within a span."""

    name: str
    at_ms: int
    attributes: dict[str, Value]


class Span(msgspec.Struct, frozen=True):
    """One span; ids are 16 and 8 bytes, `error` is a word of a short list or empty."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    start_ms: int
    end_ms: int
    attributes: dict[str, Value]
    is_root: bool = False
    is_parent_remote: bool = False
    error: str = ""
    events: tuple[SpanEvent, ...] = ()


def trace_context(order: Order) -> tuple[bytes, bytes | None]:
    """Trace id and parent span id of an order: those of the shop's `traceparent`, else a hash.

    Source: W3C Trace Context, level 1; ids of zeros and version ff are invalid.
    """
    match = _TRACEPARENT.fullmatch(order.traceparent or "")
    if match is not None:
        version, trace_id, parent_id, more = match.groups()
        is_known = version != "ff" and (version != "00" or more is None)
        if is_known and int(trace_id, 16) and int(parent_id, 16):
            return bytes.fromhex(trace_id), bytes.fromhex(parent_id)
    return digest(order.order_id, size=16), None


def span_id(order_id: str, stage: str, attempt: str = "") -> bytes:
    """Id of a stage of an order; the same in every process and on every repeat."""
    return digest(order_id, stage, attempt, size=8)


def spans_of(order: Order) -> list[Span]:
    """All spans of a finished order, the root first; none while it is open or nobody paid.

    A takeover joins once it is resolved, so a span never changes after its first export.
    """
    facts = order.facts
    if facts.paid_ms is None or facts.done_ms is None:
        return []
    spans = [_root(order, facts.paid_ms, facts.done_ms)]
    spans += _stages(order, facts.paid_ms)
    spans += _attempts(order, facts.done_ms)
    if order.case is not None and order.case.resolution is not None:
        spans += _takeover(order, order.case)
    return spans


def _root(order: Order, paid_ms: int, done_ms: int) -> Span:
    facts = order.facts
    trace_id, parent_id = trace_context(order)
    judged = verdict(facts, done_ms)
    is_late = order.breach_ms is not None or judged == Verdict.LATE_DELIVERED
    attributes: dict[str, Value] = {
        "shop.order.id": order.order_id,
        "shop.source": facts.source,
        "delivery.channel": order.counts_for or UNNAMED_CHANNEL,
        "delivery.verdict": judged.value,
        "delivery.promise_s": facts.promise_ms / 1000,
        "delivery.tier": order.tier,
    }
    if facts.sku is not None:
        attributes["shop.product.sku"] = facts.sku
    error = ""
    if is_late or judged == Verdict.FAILED:
        error = judged.value if judged != Verdict.GOOD else "late"
    return Span(
        name=ROOT,
        trace_id=trace_id,
        span_id=span_id(order.order_id, ROOT),
        parent_id=parent_id,
        start_ms=paid_ms,
        end_ms=max(paid_ms, done_ms),
        attributes=attributes,
        is_root=True,
        is_parent_remote=parent_id is not None,
        error=error,
        events=tuple(_happened(event) for event in order.timeline[:EVENTS_MAX]),
    )


def _happened(event: OrderEvent) -> SpanEvent:
    told = (
        ("shop.source", event.source),
        ("delivery.channel", event.channel),
        ("payment.meaning", event.meaning),
        ("payment.outcome", event.outcome),
        ("delivery.attempt", event.attempt),
    )
    known: dict[str, Value] = {name: value for name, value in told if value is not None}
    return SpanEvent(event.type, event.time_ms, known)


def _stages(order: Order, paid_ms: int) -> Iterator[Span]:
    """Stages with one end each; a stage begins where the latest one before it ended."""
    facts = order.facts
    callbacks = [event.time_ms for event in order.timeline if event.type == EventType.CALLBACK]
    ends = (
        ("payment callback", min(callbacks, default=None)),
        ("accept", facts.accepted_ms),
        ("stock", facts.reserved_ms),
        ("verify", facts.verified_ms),
    )
    milestones = sorted(
        time_ms
        for time_ms in (paid_ms, facts.delivered_ms, *(end_ms for _, end_ms in ends))
        if time_ms is not None
    )
    for stage, end_ms in ends:
        if end_ms is None:
            continue
        earlier = [time_ms for time_ms in milestones if time_ms < end_ms]
        yield _child(order, stage, earlier[-1] if earlier else end_ms, end_ms)


def _attempts(order: Order, done_ms: int) -> Iterator[Span]:
    """One span per attempt of the shop, until it failed, the next began, or the wait was over."""
    for index, event in enumerate(order.timeline):
        if event.type != EventType.ATTEMPTED:
            continue
        failed_ms, next_ms = _after(event, order.timeline[index + 1 :])
        ends = [time_ms for time_ms in (failed_ms, next_ms, done_ms) if time_ms is not None]
        error = ""
        if failed_ms is not None:
            error = "attempt_failed"
        elif order.facts.delivered_ms is None:
            error = "not_delivered"
        attributes: dict[str, Value] = {}
        if event.channel is not None:
            attributes["delivery.channel"] = event.channel
        if event.attempt is not None:
            attributes["delivery.attempt"] = event.attempt
        key = f"{event.source}\t{event.event_id}"
        yield _child(
            order,
            "delivery attempt",
            event.time_ms,
            ends[0],
            attributes,
            attempt=key,
            error=error,
        )


def _after(attempted: OrderEvent, later: Sequence[OrderEvent]) -> tuple[int | None, int | None]:
    """When an attempt failed, and when the next one began.

    A failure that names neither attempt nor channel is about the latest attempt before it.
    """
    next_ms = None
    for event in later:
        is_named = event.attempt is not None or event.channel is not None
        if event.type == EventType.ATTEMPTED and next_ms is None:
            next_ms = event.time_ms
        is_failure = event.type == EventType.ATTEMPT_FAILED and _is_about(event, attempted)
        if is_failure and (is_named or next_ms is None):
            return event.time_ms, next_ms
    return None, next_ms


def _is_about(failed: OrderEvent, attempted: OrderEvent) -> bool:
    """Whether a failure belongs to an attempt: nothing that both say may differ."""
    pairs = ((failed.attempt, attempted.attempt), (failed.channel, attempted.channel))
    return all(one is None or other is None or one == other for one, other in pairs)


def _takeover(order: Order, case: TakeoverCase) -> Iterator[Span]:
    parent = span_id(order.order_id, "takeover", case.takeover_id)
    is_delivered = case.state == CaseState.DELIVERED
    yield _child(
        order,
        "takeover",
        case.opened_ms,
        case.changed_ms,
        {
            "delivery.takeover.id": case.takeover_id,
            "delivery.takeover.resolution": case.resolution or "",
            "delivery.channel": case.held_by_channel,
        },
        attempt=case.takeover_id,
        error="" if is_delivered else case.resolution or case.state,
    )
    for index, attempt in enumerate(case.attempts):
        following = case.attempts[index + 1 :]
        yield _child(
            order,
            "takeover attempt",
            attempt.submitted_ms,
            following[0].submitted_ms if following else case.changed_ms,
            {
                "delivery.channel": attempt.channel,
                "delivery.attempt": attempt.number,
                "delivery.attempt.state": attempt.state,
            },
            attempt=attempt.ref,
            error=attempt.state if attempt.state in _FAILED_ATTEMPT else "",
            parent_id=parent,
        )
    if is_delivered:
        at_ms = case.changed_ms
        yield _child(order, "hand over", at_ms, at_ms, attempt=case.takeover_id, parent_id=parent)


def _child(
    order: Order,
    stage: str,
    start_ms: int,
    end_ms: int,
    attributes: dict[str, Value] | None = None,
    *,
    attempt: str = "",
    error: str = "",
    parent_id: bytes | None = None,
) -> Span:
    return Span(
        name=stage,
        trace_id=trace_context(order)[0],
        span_id=span_id(order.order_id, stage, attempt),
        parent_id=parent_id or span_id(order.order_id, ROOT),
        start_ms=start_ms,
        end_ms=max(start_ms, end_ms),
        attributes={"shop.order.id": order.order_id, **(attributes or {})},
        error=error,
    )
