"""What a restart finds: the snapshot, the orders in it still encoded, and the log behind it.

All of it is read, and every event behind the snapshot decoded, within a fraction of a second; bringing
the engine back (`monitor/runtime/recovery.py`) takes seconds. What was read is enough to say of any
event whether it is known already: see `monitor/runtime/early.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.notes import Audited, MessageTaken, Note
from monitor.model.records import Decision, Entry, Record, record_decoder
from monitor.ports import OrderRow, Restart, StoredSegment


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


class SnapshotOrders:
    """The orders of a snapshot, each decoded when it is wanted; a snapshot has them sorted by id."""

    def __init__(self, body: bytes | None) -> None:
        self._body = body
        found = _Snapshot(_Shard([])) if body is None else _snapshot_decoder.decode(body)
        self._orders = found.shard.orders
        self.made_ms = found.made_ms
        self.unsaved = found.unsaved  # changed later than their rows in the store

    def find(self, order_id: str) -> Order | None:
        """The order by its id."""
        place = bisect_left(self._orders, order_id, key=_id_of)
        if place == len(self._orders) or _id_of(self._orders[place]) != order_id:
            return None
        return order_decoder.decode(self._orders[place])

    def batches(self, size: int) -> Iterator[list[Order]]:
        """All of them, so many at a time."""
        for start in range(0, len(self._orders), size):
            yield [order_decoder.decode(one) for one in self._orders[start : start + size]]

    def rest(self) -> bytes | None:
        """The snapshot as if there were no orders; None if there is no snapshot."""
        if self._body is None:
            return None
        snapshot = _parts_decoder.decode(self._body)
        shard = _parts_decoder.decode(snapshot["shard"])
        shard["orders"] = msgspec.Raw(b"[]")
        snapshot["shard"] = msgspec.Raw(msgspec.json.encode(shard))
        return msgspec.json.encode(snapshot)


class Piece(msgspec.Struct, frozen=True, eq=False):
    """One segment of the log behind the snapshot; undecided: it lies behind the cursor.

    `last_ms` is the latest time in it, by our clock of then.
    """

    position: int
    last_ms: int
    is_undecided: bool
    facts: tuple[Entry | Decision, ...]


class Found(msgspec.Struct, frozen=True, eq=False):
    """Everything a restart reads first; `records` of the log lie behind the snapshot.

    `notes` are behind the cursor, so they may not be in their tables yet.
    """

    restart: Restart
    orders: SnapshotOrders
    log: tuple[Piece, ...]
    position: int
    records: int
    notes: tuple[Note, ...]

    @property
    def told_ms(self) -> int:
        """What our clock told last, right or wrong; 0 if it never did."""
        return self.log[-1].last_ms if self.log else self.orders.made_ms

    def events(self, *, decided_only: bool) -> dict[str, list[OrderEvent]]:
        """The events of the log by order, in the order they came in."""
        found: dict[str, list[OrderEvent]] = {}
        for piece in self.log:
            if decided_only and piece.is_undecided:
                continue
            for fact in piece.facts:
                if isinstance(fact, OrderEvent):
                    found.setdefault(fact.order_id, []).append(fact)
        return found


async def look(store: Readable) -> Found:
    """Read what there is; raises StorageError if it cannot be read."""
    restart = await store.load()
    position, records = restart.snapshot_position, 0
    pieces: list[Piece] = []
    notes: list[Note] = []
    while segments := await store.read(position):
        for stored in segments:
            position = stored.position
            said = decode_segment(stored)
            is_undecided = stored.segment.kind == "entries" and position > restart.cursor
            facts = tuple(one for one in said if not isinstance(one, (MessageTaken, Audited)))
            if is_undecided and len(facts) < len(said):
                notes += [one for one in said if isinstance(one, (MessageTaken, Audited))]
            pieces.append(Piece(position, stored.segment.last_ms, is_undecided, facts))
            records += len(said)
    orders = SnapshotOrders(restart.snapshot)
    return Found(restart, orders, tuple(pieces), position, records, tuple(notes))


def decode_segment(stored: StoredSegment) -> list[Record]:
    """The records of a stored segment."""
    return record_decoder.decode_lines(stored.segment.body)


def as_made(snapshot: bytes, made_ms: int, unsaved: Sequence[str]) -> bytes:
    """A snapshot of the engine, with the time, and with orders that changed later than their rows."""
    facts = msgspec.json.encode({"made_ms": made_ms, "unsaved": unsaved})
    return snapshot[:-1] + b"," + facts[1:]


class _Shard(msgspec.Struct):
    orders: list[msgspec.Raw]


class _Snapshot(msgspec.Struct):
    shard: _Shard
    made_ms: int = 0
    unsaved: list[str] = []


class _Named(msgspec.Struct):
    order_id: str


order_decoder = msgspec.json.Decoder(Order)
_snapshot_decoder = msgspec.json.Decoder(_Snapshot)
_parts_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_id_decoder = msgspec.json.Decoder(_Named)


def _id_of(order: msgspec.Raw) -> str:
    return _id_decoder.decode(order).order_id
