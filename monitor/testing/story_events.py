"""From the lines of a rule test to the events that arrive, and when they do.

An outage of the way to us holds events back: they arrive together when it ends, each with the time
at which it happened; or they are lost. While we do not run ourselves, senders hold back in the same
way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent
from monitor.model.records import Gauged
from monitor.model.rule_tests import OrderLine, Outage, Restart, RuleTest


def arrivals(test: RuleTest, start_ms: int) -> dict[int, tuple[OrderEvent | Gauged, ...]]:
    """All entries of a story by the time of their arrival; what is lost is left out."""
    found: dict[int, list[OrderEvent]] = defaultdict(list)
    outages = _outages(test)
    for number, line in enumerate(test.events):
        for turn in range(line.count):
            order_id = line.order_id or f"{number + 1}-{turn + 1}"
            for event in _events(line, order_id, start_ms + line.at_ms + turn * line.every_ms):
                at_ms = _arrival_ms(event, event.time_ms + line.lag_ms, outages, start_ms)
                if at_ms == event.time_ms:
                    found[at_ms].append(event)
                elif at_ms is not None:
                    found[at_ms].append(msgspec.structs.replace(event, received_ms=at_ms))
    measured: dict[int, list[Gauged]] = defaultdict(list)
    for one in test.measures:
        at_ms = start_ms + one.at_ms
        measured[at_ms].append(Gauged(one.kind, one.name, one.value, at_ms))
    return {
        at_ms: (*sorted(found[at_ms], key=_happened), *measured[at_ms])
        for at_ms in sorted({*found, *measured})
    }


def _arrival_ms(
    event: OrderEvent, at_ms: int, outages: Sequence[Outage], start_ms: int
) -> int | None:
    """When an event sent then gets through; None if it never does. One outage may follow another."""
    for outage in outages:
        from_ms = start_ms + outage.at_ms
        is_meant = outage.source in (None, event.source)
        if is_meant and from_ms <= at_ms < from_ms + outage.for_ms:
            if outage.is_lost:
                return None
            at_ms = from_ms + outage.for_ms
    return at_ms


def _outages(test: RuleTest) -> list[Outage]:
    """All times at which nothing gets through, in their order; our own downtimes are among them."""
    down = [
        Outage(one.at_ms, one.down_ms)
        for one in test.interruptions
        if isinstance(one, Restart) and one.down_ms
    ]
    return sorted([*test.outages, *down], key=lambda one: one.at_ms)


def _happened(event: OrderEvent) -> tuple[int, int]:
    return event.time_ms, LIFECYCLE_RANK[event.type]


def _events(line: OrderLine, order_id: str, at_ms: int) -> Iterator[OrderEvent]:
    if line.type is not None:
        yield _event(line, line.type, order_id, at_ms)
        return
    if line.is_created_first:
        yield _event(line, EventType.CREATED, order_id, at_ms)
    if line.pay_ms is None:
        return
    paid_ms = at_ms + line.pay_ms
    yield _event(line, EventType.PAID, order_id, paid_ms)
    if line.attempt_ms is not None:
        yield _event(line, EventType.ATTEMPTED, order_id, paid_ms + line.attempt_ms)
    if line.delay_ms is not None:
        yield _event(line, line.end, order_id, paid_ms + line.delay_ms)


def _event(line: OrderLine, kind: str, order_id: str, at_ms: int) -> OrderEvent:
    is_heartbeat = kind == EventType.HEARTBEAT
    return OrderEvent(
        type=str(kind),
        order_id="" if is_heartbeat else order_id,
        source=line.source,
        event_id=f"{kind}@{at_ms}",
        time_ms=at_ms,
        received_ms=at_ms,
        is_unique=is_heartbeat,
        channel=line.channel,
        sku=line.sku,
        provider=line.provider,
        meaning=line.meaning,
        promise_ms=line.promise_ms,
    )
