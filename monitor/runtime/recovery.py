"""Bringing the engine back to where it was: snapshot, then the log behind it.

Up to the cursor everything was folded and decided before, so it is only folded again. Entries
beyond the cursor were acknowledged but nothing was decided about them yet: the loop takes them in
as if they arrived now.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from monitor.core.engine import Engine, Entry
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.ids import hash64
from monitor.model.records import Record, record_decoder
from monitor.ports import OrderRow, Restart, Store, StoredSegment

_ORDER_ENCODER = msgspec.json.Encoder()
_ORDER_DECODER = msgspec.json.Decoder(Order)


class Recovered(msgspec.Struct, frozen=True):
    """Log position reached, cursor, and segments of entries still to be taken in live."""

    position: int
    cursor: int
    undecided: tuple[tuple[int, tuple[Entry, ...]], ...]


def row_of(order: Order, dormant_ms: int | None = None) -> OrderRow:
    """The order as it is stored; `dormant_ms` closes one that nobody spoke of for long."""
    done_ms = order.facts.done_ms if order.facts.paid_ms is not None else order.facts.closed_ms
    return OrderRow(
        order_id=order.order_id,
        closed_ms=dormant_ms if done_ms is None else done_ms,
        body=_ORDER_ENCODER.encode(order),
    )


def order_of(row: OrderRow) -> Order:
    """The order in a stored row."""
    return _ORDER_DECODER.decode(row.body)


class KnownOrders:
    """Hashes of all orders that left memory, so that a late event never starts a second one."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, order_ids: Iterable[str]) -> None:
        """Remember ids; 8 bytes each instead of the id (design D4a)."""
        self._hashes.update(hash64(order_id) for order_id in order_ids)

    async def bring_back(
        self, store: Store, engine: Engine, entries: Iterable[Record], now_ms: int
    ) -> None:
        """Load the orders that entries speak of and memory does not hold."""
        events = [entry for entry in entries if isinstance(entry, OrderEvent)]
        wanted = [one for one in engine.missing(events) if hash64(one) in self._hashes]
        if wanted:
            rows = await store.lookup(wanted)
            engine.hydrate([order_of(rows[one]) for one in wanted if one in rows], now_ms)


async def recover(store: Store, engine: Engine, known: KnownOrders, now_ms: int) -> Recovered:
    """Rebuild the engine's state from the store; raises StorageError if it cannot be read."""
    restart: Restart = await store.load()
    known.add(await store.closed_ids())
    if restart.snapshot is not None:
        engine.restore(restart.snapshot, now_ms)
    position = restart.snapshot_position
    undecided: list[tuple[int, tuple[Entry, ...]]] = []
    while segments := await store.read(position):
        for stored in segments:
            records = decode_segment(stored)
            position = stored.position
            if stored.segment.kind == "entries" and position > restart.cursor:
                undecided.append((position, tuple(records)))  # type: ignore[arg-type]  # by kind
                continue
            await known.bring_back(store, engine, records, now_ms)
            for record in records:
                engine.refold(record)
    return Recovered(position, restart.cursor, tuple(undecided))


def decode_segment(stored: StoredSegment) -> list[Record]:
    """The records of a stored segment."""
    return [record_decoder.decode(line) for line in stored.segment.body.splitlines()]
