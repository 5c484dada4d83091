"""Bringing the engine back to where it was: snapshot, then the log behind it.

Up to the cursor everything was folded and decided before, so it is only folded again. Entries
beyond the cursor were acknowledged but nothing was decided about them yet: the loop takes them in
as one batch, as if they arrived now.

The stored row of an order may be newer than the snapshot. What the log behind the snapshot says of
it is taken out of the row first, so that folding the log counts it exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.notes import Note
from monitor.model.records import Entry, Record
from monitor.runtime.found import Found, Readable, SnapshotOrders, look
from monitor.runtime.order_rows import order_of

LOOKUP_IDS = 2_000  # orders read from the store at a time
RESTORED_AT_ONCE = 200  # two milliseconds: senders are answered meanwhile


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


class KnownOrders:
    """Hashes of all orders that left memory, so that a late event never starts a second one.

    Of half a million they take a second: they are read while the service works already, and until
    then the store is asked about every order that memory does not hold.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self.is_complete = True

    def add(self, order_ids: Iterable[str]) -> None:
        """Remember ids; 8 bytes each instead of the id (design D4a).

        Python's hash will do: it is of this process alone, and a wrong guess is a look for nothing.
        """
        self._hashes.update(map(hash, order_ids))

    def holds(self, order_id: str) -> bool:
        """Whether the store may know the order; one in 10^12 that it does not is taken for known."""
        return not self.is_complete or hash(order_id) in self._hashes

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


async def recover(store: Readable, engine: Engine, known: KnownOrders, now_ms: int) -> Recovered:
    """Rebuild the engine's state from the store; raises StorageError if it cannot be read.

    `known` is not complete afterwards: `KnownOrders.load` may come later.
    """
    return await rebuild(await look(store), store, engine, known, now_ms)


async def rebuild(
    found: Found, store: Readable, engine: Engine, known: KnownOrders, now_ms: int
) -> Recovered:
    """Like `recover`, from what was read already; others get to work every few milliseconds."""
    known.is_complete = False
    await _restore(found.orders, engine, now_ms)
    await _bring_back_as_of(store, engine, found, now_ms)
    plans = engine.shard.plans
    plans.made_ms = found.orders.made_ms  # by another clock, perhaps one ahead of ours
    undecided: list[Entry] = []
    undecided_position = found.restart.cursor
    for piece in found.log:
        if piece.is_undecided:
            undecided.extend(piece.facts)  # type: ignore[arg-type]  # by the kind of the segment
            undecided_position = piece.position
        else:
            engine.refold(*piece.facts)  # as one batch, like the one that it was
            plans.made_ms = max(plans.made_ms, piece.last_ms)
            await asyncio.sleep(0)
    engine.resume(now_ms, found.told_ms)
    return Recovered(
        position=found.position,
        cursor=found.restart.cursor,
        undecided=tuple(undecided),
        undecided_position=undecided_position,
        tail_records=found.records,
        notes=found.notes,
    )


async def _restore(orders: SnapshotOrders, engine: Engine, now_ms: int) -> None:
    """Take over the snapshot, its orders a few at a time."""
    rest = orders.rest()
    if rest is None:
        return
    engine.restore(rest, now_ms)
    for batch in orders.batches(RESTORED_AT_ONCE):
        engine.hydrate(batch, now_ms)
        await asyncio.sleep(0)
    dirty = engine.shard.dirty
    dirty.clear()
    dirty.update((one, None) for one in orders.unsaved if one in engine.shard.orders)


async def _bring_back_as_of(store: Readable, engine: Engine, found: Found, now_ms: int) -> None:
    """Load the stored orders that the log behind the snapshot speaks of, as they were before it.

    All of them, not only closed ones: an order that lay dormant and was woken by this log is stored
    as open, and the snapshot is without it.
    """
    later = {
        order_id: set(map(_identity, events))
        for order_id, events in found.events(decided_only=True).items()
    }
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
