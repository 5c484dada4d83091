"""Reading what the store holds: orders that have left memory, and what was decided of alerts.

Nothing here changes the engine: an order that is only looked at stays in the store.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.fingerprint import StateHasher
from monitor.core.orders.order import Order
from monitor.model.errors import CapacityError
from monitor.model.records import AlertMoved, record_decoder
from monitor.ports import EventLog, Notebook, Segment, StateStore, StoredAudit
from monitor.runtime.order_rows import order_of

ORDERS_PER_STEP = 500  # hashed without giving way: about 10 ms
_ALERT = b'"t":"alert"'


class ReadableStore(StateStore, EventLog, Notebook, Protocol):
    """What is read of the store."""


class StateHash(msgspec.Struct, frozen=True):
    """The hash of all orders' facts and verdicts at `judged_ms`, and how many orders it covers."""

    state_hash: str
    judged_ms: int
    orders: int


class Archive:
    """All orders and decisions of one service; only reads the store."""

    def __init__(self, store: ReadableStore, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._is_hashing = False
        self._is_reading = False

    async def find(self, order_id: str) -> Order | None:
        """The order by its id; None if nobody ever spoke of it, or it is past its retention."""
        order = self._engine.shard.orders.get(order_id)
        if order is not None:
            return order
        row = (await self._store.lookup([order_id])).get(order_id)
        return None if row is None else order_of(row)

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """Entries of the audit, the newest first, from the one before a place on."""
        return await self._store.audits(before, limit)

    async def state_hash(self, at_ms: int | None) -> StateHash:
        """Hash every order, wherever it is (default: judged at the time of the latest fact).

        Orders in memory are those of this moment. A stored one that changes during the walk is
        taken as it is when the walk reaches it, so only a quiet service gives an exact instant.
        Equal to `Engine.state_hash` of an engine that forgets nothing.

        Raises: CapacityError while another walk is under way, StorageError.
        """
        if self._is_hashing:
            raise CapacityError("a state hash is being computed already", retry_after_s=1)
        self._is_hashing = True
        try:
            return await self._walk(at_ms)
        finally:
            self._is_hashing = False

    async def alert_moves(self, rule: str, until_ms: int) -> list[AlertMoved] | None:
        """What was logged of a rule's alerts up to a time, oldest first; None if the log begins later.

        The whole log up to then is gone through, so only one does so at a time.

        Raises: CapacityError while another one is under way, StorageError.
        """
        if self._is_reading:
            raise CapacityError("the log is being read already", retry_after_s=1)
        self._is_reading = True
        try:
            return await self._moves(rule, until_ms)
        finally:
            self._is_reading = False

    async def _moves(self, rule: str, until_ms: int) -> list[AlertMoved] | None:
        found: list[AlertMoved] = []
        after, is_first = 0, True
        while segments := await self._store.read(after):
            for stored in segments:
                segment, after = stored.segment, stored.position
                if is_first and segment.first_ms > until_ms:
                    return None
                is_first = False
                if segment.kind != "decisions":
                    continue
                if segment.first_ms > until_ms:
                    return found
                found += [one for one in _moves_in(segment, rule) if one.at_ms <= until_ms]
        return found

    async def _walk(self, at_ms: int | None) -> StateHash:
        hasher = StateHasher(self._engine.latest_ms if at_ms is None else at_ms)
        facts = {order.order_id: order.facts for order in self._engine.shard.orders.values()}
        stored = [one for one in await self._store.closed_ids() if one not in facts]
        ids = sorted([*facts, *stored])
        for start in range(0, len(ids), ORDERS_PER_STEP):
            some = ids[start : start + ORDERS_PER_STEP]
            rows = await self._store.lookup([one for one in some if one not in facts])
            for order_id in some:
                if order_id in facts:
                    hasher.add(order_id, facts[order_id])
                elif order_id in rows:  # else purged since we asked for the ids
                    hasher.add(order_id, order_of(rows[order_id]).facts)
        return StateHash(hasher.hexdigest(), hasher.judged_ms, hasher.orders)


def _moves_in(segment: Segment, rule: str) -> list[AlertMoved]:
    """The moves of a rule's alerts in a segment; lines about anything else are not decoded."""
    lines = segment.body.splitlines() if _ALERT in segment.body else []
    decoded = [record_decoder.decode(line) for line in lines if _ALERT in line]
    return [one for one in decoded if isinstance(one, AlertMoved) and one.alert.rule == rule]
