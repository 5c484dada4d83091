"""Do the stored orders say what the log says? Both are brought to one moment and hashed.

Only a log that is complete from its first position on can answer; after old events were trimmed,
snapshot and rows are all there is.
"""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.fingerprint import StateHasher
from monitor.model.commands import Batch
from monitor.model.errors import StorageError
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import Decision, Entry
from monitor.runtime.found import Readable, decode_segment
from monitor.runtime.order_rows import order_of
from monitor.runtime.recovery import LOOKUP_IDS, KnownOrders, recover


class Books(msgspec.Struct, frozen=True):
    """`state_hash` of what a restart brings back; `log_hash` of the log alone, None if trimmed."""

    orders: int
    open_orders: int
    entries: int
    decisions: int
    state_hash: str
    log_hash: str | None


async def compare(store: Readable, engine: Engine, fresh: Engine, *, is_whole: bool) -> Books:
    """Recover into one engine and fold the whole log into another; both must be new.

    Raises: StorageError when something cannot be read.
    """
    recovered = await recover(store, engine, KnownOrders(), 0)
    entries, decisions = await _fold_all(store, fresh if is_whole else None)
    judged_ms = max(fresh.latest_ms, engine.latest_ms)
    # What was acknowledged and not decided about yet is part of both.
    engine.handle(Batch(recovered.undecided), judged_ms)
    state = StateHasher(judged_ms)
    await _add_all(store, engine, state)
    log = StateHasher(judged_ms)
    for order in sorted(fresh.shard.orders.values(), key=lambda one: one.order_id):
        log.add(order.order_id, order.facts)
    return Books(
        orders=state.orders,
        open_orders=len(engine.shard.orders),
        entries=entries,
        decisions=decisions,
        state_hash=state.hexdigest(),
        log_hash=log.hexdigest() if is_whole else None,
    )


async def _fold_all(store: Readable, fresh: Engine | None) -> tuple[int, int]:
    """Count what the log holds, and fold it."""
    counts = {"entries": 0, "decisions": 0}
    position = 0
    while segments := await store.read(position):
        for stored in segments:
            position = stored.position
            records = decode_segment(stored)
            counts[stored.segment.kind] += len(records)
            facts = [one for one in records if not isinstance(one, (MessageTaken, Audited))]
            if fresh is not None:
                _fold(fresh, facts, position)
    return counts["entries"], counts["decisions"]


def _fold(fresh: Engine, facts: list[Entry | Decision], position: int) -> None:
    try:
        fresh.refold(*facts)
    except KeyError as error:
        raise StorageError(
            f"log position {position} decides about {error}, of which the log says nothing",
            code="storage_corrupt",
        ) from error


async def _add_all(store: Readable, engine: Engine, hasher: StateHasher) -> None:
    held = {order.order_id: order.facts for order in engine.shard.orders.values()}
    held |= {order.order_id: order.facts for order in engine.shard.dormant.values()}
    ids = sorted({*held, *await store.closed_ids()})
    for start in range(0, len(ids), LOOKUP_IDS):
        some = ids[start : start + LOOKUP_IDS]
        rows = await store.lookup([one for one in some if one not in held])
        for order_id in some:
            facts = held.get(order_id)
            hasher.add(order_id, order_of(rows[order_id]).facts if facts is None else facts)
