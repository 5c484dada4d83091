"""Which spans an order has: stages, attempts, takeover, errors, and ids that never change."""

from __future__ import annotations

from hashlib import blake2b
from itertools import permutations

import msgspec
import pytest

from monitor.adapters.telemetry.spans import Span, span_id, spans_of, trace_context
from monitor.core.orders.order import Order
from monitor.model.events import EventType, OrderEvent
from monitor.model.takeovers import Attempt, TakeoverCase
from tests.unit.adapters.telemetry.orders import T0, S, delivered, event, folded

PARENT = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"


def by_name(order: Order) -> dict[str, Span]:
    return {span.name: span for span in spans_of(order)}


def interval(span: Span) -> tuple[float, float]:
    return ((span.start_ms - T0) / S, (span.end_ms - T0) / S)


def whole_story() -> list[OrderEvent]:
    return [
        event(EventType.PAID, 0, channel="auto", sku="gift-10"),
        event(EventType.CALLBACK, 1, meaning="paid"),
        event(EventType.ACCEPTED, 3),
        event(EventType.RESERVED, 4),
        event(EventType.ATTEMPTED, 6, channel="auto", attempt=1),
        event(EventType.ATTEMPT_FAILED, 10, channel="auto", attempt=1, reason="card 1234"),
        event(EventType.ATTEMPTED, 12, channel="backup", attempt=2),
        event(EventType.DELIVERED, 30, channel="backup"),
        event(EventType.VERIFIED, 31),
    ]


def test_order_becomes_its_stages() -> None:
    """Each stage lasts from the milestone before it; attempts from their own beginning."""
    spans = spans_of(folded(*whole_story()))
    assert [(span.name, interval(span)) for span in spans] == [
        ("order", (0, 30)),
        ("payment callback", (0, 1)),
        ("accept", (1, 3)),
        ("stock", (3, 4)),
        ("verify", (30, 31)),
        ("delivery attempt", (6, 10)),
        ("delivery attempt", (12, 30)),
    ]
    root = spans[0]
    assert root.attributes == {
        "shop.order.id": "A1",
        "shop.source": "shop",
        "shop.product.sku": "gift-10",
        "delivery.channel": "backup",
        "delivery.verdict": "good",
        "delivery.promise_s": 180.0,
        "delivery.tier": 0,
    }
    assert [span.error for span in spans[-2:]] == ["attempt_failed", ""]
    assert [span.attributes["delivery.channel"] for span in spans[-2:]] == ["auto", "backup"]
    assert all(span.parent_id == root.span_id for span in spans[1:])
    assert "1234" not in str(spans)


def test_any_order_of_arrival_gives_the_same_spans() -> None:
    """Late and repeated events lead to the very same trace."""
    story = whole_story()
    expected = spans_of(folded(*story))
    for shuffled in list(permutations(story[:5]))[::17]:
        assert spans_of(folded(*shuffled, *reversed(story[5:]), *story)) == expected


def test_ids_are_hashes_of_what_they_name() -> None:
    """Ids computed by hand: BLAKE2b over length-prefixed parts."""
    digest = blake2b(b"\x00\x00\x00\x02A1", digest_size=16).digest()
    assert trace_context(delivered()) == (digest, None)
    expected = blake2b(b"\x00\x00\x00\x02A1\x00\x00\x00\x05stock\x00\x00\x00\x00", digest_size=8)
    assert span_id("A1", "stock") == expected.digest()


def test_shop_context_becomes_trace_and_parent() -> None:
    """The order joins the trace that the shop began."""
    order = folded(event(EventType.PAID, 0, traceparent=PARENT), event(EventType.DELIVERED, 2))
    root = spans_of(order)[0]
    assert root.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert root.parent_id is not None
    assert root.parent_id.hex() == "eee19b7ec3c1b174"
    assert root.is_parent_remote


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00-00000000000000000000000000000000-eee19b7ec3c1b174-01",
        "00-5b8efff798038103d269b633813fc60c-0000000000000000-01",
        "ff-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01",
        "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01-more",
        "00-5B8EFFF798038103D269B633813FC60C-eee19b7ec3c1b174-01",
        "x" * 1000,
    ],
)
def test_invalid_context_is_ignored(bad: str) -> None:
    """What the W3C recommendation calls invalid does not become a trace id."""
    order = folded(event(EventType.PAID, 0, traceparent=bad), event(EventType.DELIVERED, 2))
    assert trace_context(order) == trace_context(delivered())


def test_future_version_of_the_context_is_read() -> None:
    """A higher version may carry more after the flags."""
    later = PARENT.replace("00-", "01-", 1) + "-what-comes"
    order = folded(event(EventType.PAID, 0, traceparent=later), event(EventType.DELIVERED, 2))
    assert trace_context(order)[0].hex() == "5b8efff798038103d269b633813fc60c"


@pytest.mark.parametrize(
    ("end", "at_s", "verdict", "error"),
    [
        (EventType.DELIVERED, 180, "good", ""),
        (EventType.DELIVERED, 181, "late_delivered", "late_delivered"),
        (EventType.FAILED, 5, "failed", "failed"),
        (EventType.REFUNDED, 5, "refunded", ""),
        (EventType.REFUNDED, 181, "refunded", "refunded"),
        (EventType.CANCELLED, 5, "cancelled", ""),
    ],
)
def test_late_and_failed_orders_are_errors(
    end: EventType, at_s: float, verdict: str, error: str
) -> None:
    """A broken promise and a failure are errors; an early cancellation is not."""
    events = [event(EventType.PAID, 0), event(end, at_s)]
    order = folded(*events)
    if at_s > 180:
        order.breach_ms = T0 + 180 * S
    root = spans_of(order)[0]
    assert (root.attributes["delivery.verdict"], root.error) == (verdict, error)


def test_unfinished_and_unpaid_orders_have_no_trace() -> None:
    """A trace is built once the wait has ended, and only of a wait that somebody paid for."""
    assert spans_of(folded(event(EventType.PAID, 0))) == []
    assert spans_of(folded(event(EventType.CANCELLED, 0))) == []


def test_unnamed_failure_belongs_to_the_latest_attempt() -> None:
    """A failure without channel or number ends the attempt just before it, not an earlier one."""
    order = folded(
        event(EventType.PAID, 0),
        event(EventType.ATTEMPTED, 1),
        event(EventType.ATTEMPTED, 2),
        event(EventType.ATTEMPT_FAILED, 4),
        event(EventType.DELIVERED, 9),
    )
    attempts = [span for span in spans_of(order) if span.name == "delivery attempt"]
    assert [(interval(span), span.error) for span in attempts] == [
        ((1, 2), ""),
        ((2, 4), "attempt_failed"),
    ]


def test_earlier_attempt_that_arrives_late_keeps_the_other_id() -> None:
    """Ids name the attempt's event: a late first attempt does not rename the second."""

    def backup(events: list[OrderEvent]) -> bytes:
        spans = spans_of(folded(*events))
        return next(
            span.span_id
            for span in spans
            if span.name == "delivery attempt" and span.attributes["delivery.channel"] == "backup"
        )

    story = whole_story()
    assert backup([one for one in story if one.attempt != 1]) == backup(story)


def case(resolution: str | None, state: str = "delivered") -> TakeoverCase:
    return TakeoverCase(
        takeover_id="tko_1",
        order_id="A1",
        state=state,
        claim_id="clm_1",
        fence=1,
        opened_ms=T0 + 300 * S,
        changed_ms=T0 + 340 * S,
        held_by_channel="auto",
        attempts=(
            Attempt("att_1", "supplier", 1, "disproved", T0 + 301 * S, T0 + 900 * S),
            Attempt("att_2", "pool", 2, "obtained", T0 + 320 * S, T0 + 900 * S),
        ),
        resolution=resolution,
    )


def rescued(resolution: str | None, state: str = "delivered") -> Order:
    order = folded(event(EventType.PAID, 0), event(EventType.DELIVERED, 340, takeover_id="tko_1"))
    order.case = case(resolution, state)
    return order


def test_takeover_and_its_attempts_are_spans() -> None:
    """The rescue shows each channel that was tried, and the hand-over, below the takeover."""
    spans = {
        span.attributes.get("delivery.attempt", span.name): span
        for span in spans_of(rescued("delivered_fallback"))
    }
    takeover = spans["takeover"]
    assert interval(takeover) == (300, 340)
    assert takeover.error == ""
    assert takeover.attributes["delivery.takeover.resolution"] == "delivered_fallback"
    assert interval(spans[1]) == (301, 320)
    assert spans[1].error == "disproved"
    assert interval(spans[2]) == (320, 340)
    assert spans[2].error == ""
    assert interval(spans["hand over"]) == (340, 340)
    assert {spans[key].parent_id for key in (1, 2, "hand over")} == {takeover.span_id}


def test_takeover_in_progress_waits_for_its_end() -> None:
    """A case that is not resolved may still change, so it is not exported yet."""
    assert "takeover" not in by_name(rescued(None, "escalated"))


def test_voided_takeover_is_an_error() -> None:
    """A rescue that came to nothing says why."""
    assert by_name(rescued("delivered_primary", "voided"))["takeover"].error == "delivered_primary"


def test_spans_survive_the_store() -> None:
    """The stored JSON of an order leads to the same spans as the order itself."""
    order = rescued("delivered_fallback")
    again = msgspec.json.decode(msgspec.json.encode(order), type=Order)
    assert spans_of(again) == spans_of(order)
