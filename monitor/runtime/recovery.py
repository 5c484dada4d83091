"""Bringing the engine back to where it was: snapshot, then the log behind it.

Up to the cursor everything was folded and decided before, so it is only folded again. Entries
beyond the cursor were acknowledged but nothing was decided about them yet: the loop takes them in
as one batch, as if they arrived now.

The stored row of an order may be newer than the snapshot. What the log behind the snapshot says of
it is taken out of the row first, so that folding the log counts it exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.ids import hash64
from monitor.model.records import Audited, Entry, MessageTaken, Note, Record, record_decoder
from monitor.ports import OrderRow, Restart, StoredSegment

LOOKUP_IDS = 2_000  # orders read from the store at a time

_ORDER_ENCODER = msgspec.json.Encoder()
_ORDER_DECODER = msgspec.json.Decoder(Order)


class Recovered(msgspec.Struct, frozen=True):
    """Log position reached, cursor, and entries still to be taken in live, up to their position.

    `tail_records` were folded behind the snapshot: the next restart would have to do it again.
    `notes` are behind the cursor, so they may not be in their tables yet.
    """

    position: int
    cursor: int
    undecided: tuple[Entry, ...]
    undecided_position: int
    tail_records: int
    notes: tuple[Note, ...] = ()


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
    """Hashes of all orders that left memory, so that a late event never starts a second one.

    Of half a million they take a second: they are read while the service works already, and until
    then the store is asked about every order that memory does not hold.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self.is_complete = True

    def add(self, order_ids: Iterable[str]) -> None:
        """Remember ids; 8 bytes each instead of the id (design D4a)."""
        self._hashes.update(hash64(order_id) for order_id in order_ids)

    def holds(self, order_id: str) -> bool:
        """Whether the store may know the order; one in 10^12 that it does not is taken for known."""
        return not self.is_complete or hash64(order_id) in self._hashes

    async def load(self, store: Readable) -> None:
        """Read all of them, giving way every few milliseconds."""
        order_ids = await store.closed_ids()
        for start in range(0, len(order_ids), LOOKUP_IDS):
            self.add(order_ids[start : start + LOOKUP_IDS])
            await asyncio.sleep(0)
        self.is_complete = True

    async def bring_back(
        self, store: Readable, engine: Engine, entries: Iterable[Record], now_ms: int
    ) -> None:
        """Load the orders that entries speak of and memory does not hold."""
        self.add(engine.shard.dormant)  # left since the last commit: stored, but not yet as closed
        events = [entry for entry in entries if isinstance(entry, OrderEvent)]
        wanted = [one for one in engine.missing(events) if self.holds(one)]
        if wanted:
            rows = await store.lookup(wanted)
            engine.hydrate([order_of(rows[one]) for one in wanted if one in rows], now_ms)


class Readable(Protocol):
    """What a restart reads."""

    async def load(self) -> Restart:
        """See StateStore."""
        ...

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """See StateStore."""
        ...

    async def closed_ids(self) -> list[str]:
        """See StateStore."""
        ...

    async def read(self, after: int, max_bytes: int = ...) -> list[StoredSegment]:
        """See EventLog."""
        ...


async def recover(store: Readable, engine: Engine, known: KnownOrders, now_ms: int) -> Recovered:
    """Rebuild the engine's state from the store; raises StorageError if it cannot be read.

    `known` is not complete afterwards: `KnownOrders.load` may come later.
    """
    restart: Restart = await store.load()
    known.is_complete = False
    if restart.snapshot is not None:
        engine.restore(restart.snapshot, now_ms)
    position = restart.snapshot_position
    await _bring_back_as_of(store, engine, restart, now_ms)
    undecided: list[Entry] = []
    undecided_position = restart.cursor
    tail_records = 0
    notes: list[Note] = []
    while segments := await store.read(position):
        for stored in segments:
            records = decode_segment(stored)
            position = stored.position
            tail_records += len(records)
            facts = [
                record for record in records if not isinstance(record, (MessageTaken, Audited))
            ]
            if _is_undecided(stored, restart):
                notes += [one for one in records if isinstance(one, (MessageTaken, Audited))]
                undecided.extend(facts)  # type: ignore[arg-type]  # by the kind of the segment
                undecided_position = position
                continue
            engine.refold(*facts)  # as one batch, like the one that it was
    engine.resume(now_ms)
    return Recovered(
        position, restart.cursor, tuple(undecided), undecided_position, tail_records, tuple(notes)
    )


async def _bring_back_as_of(store: Readable, engine: Engine, restart: Restart, now_ms: int) -> None:
    """Load the stored orders that the log behind the snapshot speaks of, as they were before it.

    All of them, not only closed ones: an order that lay dormant and was woken by this log is stored
    as open, and the snapshot is without it.
    """
    later: dict[str, set[tuple[str, str, int]]] = {}
    position = restart.snapshot_position
    while segments := await store.read(position):
        for stored in segments:
            position = stored.position
            if stored.segment.kind != "entries" or _is_undecided(stored, restart):
                continue
            for event in decode_segment(stored):
                if isinstance(event, OrderEvent):
                    later.setdefault(event.order_id, set()).add(_identity(event))
    named = list(later)
    for start in range(0, len(named), LOOKUP_IDS):
        rows = await store.lookup(named[start : start + LOOKUP_IDS])
        orders = [order_of(row) for row in rows.values()]
        engine.shard.promises.recall(orders)
        absent = [order for order in orders if order.order_id not in engine.shard.orders]
        for order in absent:
            _take_out(order, later[order.order_id], engine)
        engine.hydrate([order for order in absent if order.timeline], now_ms)


def _take_out(order: Order, later: set[tuple[str, str, int]], engine: Engine) -> None:
    """Take some of its events out of an order; without any other it has not been seen yet."""
    rest = tuple(event for event in order.timeline if _identity(event) not in later)
    order.facts = engine.shard.promises.derive(order, rest, engine.settings.promise)
    order.timeline = rest


def _identity(event: OrderEvent) -> tuple[str, str, int]:
    return event.source, event.event_id, event.received_ms


def _is_undecided(stored: StoredSegment, restart: Restart) -> bool:
    return stored.segment.kind == "entries" and stored.position > restart.cursor


def decode_segment(stored: StoredSegment) -> list[Record]:
    """The records of a stored segment."""
    return [record_decoder.decode(line) for line in stored.segment.body.splitlines()]
