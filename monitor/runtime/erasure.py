"""Taking a person out of what is stored: which facts go, and what every kind of body is without them.

What could lead to a person goes: the buyer's name, the region, free text, the shop's trace. The
order itself stays, with its times and verdicts: it is nobody any more, and every count, curve and
hash of the log remains true. Pure functions; `adapters/storage/rewrite.py` applies them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import msgspec

from monitor.core.orders.order import Order
from monitor.core.orders.stored import write_order
from monitor.core.snapshot import snapshot_decoder, snapshot_encoder
from monitor.model.events import OrderEvent
from monitor.model.records import record_decoder, record_encoder
from monitor.ports import OrderRow, Segment
from monitor.runtime.found import SnapshotOrders, as_made
from monitor.runtime.order_rows import order_of

PERSONAL = ("customer_hash", "region", "reason", "traceparent")
_EVENT = b'"t":"e"'


class Stored(Protocol):
    """Everything that is stored, as often as it is asked for."""

    def segments(self) -> Iterable[tuple[int, Segment]]:
        """Segments of the log with their positions."""
        ...

    def orders(self) -> Iterable[OrderRow]:
        """Rows of orders."""
        ...

    def snapshot(self) -> bytes | None:
        """The snapshot."""
        ...


class Erasure:
    """Finds the orders of a person, then rewrites bodies without the person.

    `customers` are names as they are stored. `found` are those of its orders that are stored.
    """

    def __init__(self, order_ids: Iterable[str], customers: Collection[str]) -> None:
        self.customers = frozenset(customers)
        self.found: dict[str, None] = {}
        self._order_ids = set(order_ids)

    def look(self, stored: Stored) -> None:
        """Go through everything for the orders of the customers, and for which orders there are."""
        known: dict[str, None] = {}
        for order_id, customer in _said(stored):
            known[order_id] = None
            if customer in self.customers:
                self._order_ids.add(order_id)
        self.found = {order_id: None for order_id in sorted(known) if order_id in self._order_ids}

    def is_left(self, stored: Stored) -> bool:
        """Whether anything that leads to the person is still stored."""
        return (
            any(self.segment(segment) is not None for _, segment in stored.segments())
            or any(self.order(row) is not None for row in stored.orders())
            or ((body := stored.snapshot()) is not None and self.snapshot(body) is not None)
        )

    def segment(self, segment: Segment) -> bytes | None:
        """See Rewrite; other lines stay as they are, byte for byte."""
        if _EVENT not in segment.body:
            return None
        lines = segment.body.splitlines()
        rewritten = [self._line(line) for line in lines]
        return None if rewritten == lines else b"\n".join(rewritten) + b"\n"

    def order(self, row: OrderRow) -> bytes | None:
        """See Rewrite."""
        if row.order_id not in self._order_ids:
            return None
        order = order_of(row)
        return write_order(order) if self._strip(order) else None

    def snapshot(self, body: bytes) -> bytes | None:
        """See Rewrite."""
        snapshot = snapshot_decoder.decode(body)
        mine = [one for one in snapshot.shard.orders if one.order_id in self._order_ids]
        changed = [self._strip(one) for one in mine]
        if not any(changed):
            return None
        stored = SnapshotOrders(body)
        return as_made(snapshot_encoder.encode(snapshot), stored.made_ms, stored.unsaved)

    def _line(self, line: bytes) -> bytes:
        if _EVENT not in line:
            return line
        record = record_decoder.decode(line)
        if not isinstance(record, OrderEvent) or record.order_id not in self._order_ids:
            return line
        return record_encoder.encode(_without(record))

    def _strip(self, order: Order) -> bool:
        """Take the person out of an order; whether that changed anything."""
        timeline = tuple(_without(event) for event in order.timeline)
        facts = msgspec.structs.replace(order.facts, customer_hash=None, region=None)
        before = (order.timeline, order.facts)
        order.timeline, order.facts = timeline, facts
        return before != (timeline, facts)


def _without(event: OrderEvent) -> OrderEvent:
    if all(getattr(event, name) is None for name in PERSONAL):
        return event
    return msgspec.structs.replace(event, **dict.fromkeys(PERSONAL))


def _said(stored: Stored) -> Iterator[tuple[str, str | None]]:
    """Every order that something is stored of, with the names of buyers said of it."""
    for _, segment in stored.segments():
        if _EVENT in segment.body:
            for line in segment.body.splitlines():
                record = record_decoder.decode(line) if _EVENT in line else None
                if isinstance(record, OrderEvent):
                    yield record.order_id, record.customer_hash
    body = stored.snapshot()
    orders = [] if body is None else snapshot_decoder.decode(body).shard.orders
    for order in (*(order_of(row) for row in stored.orders()), *orders):
        yield order.order_id, None
        for event in order.timeline:
            yield order.order_id, event.customer_hash
