"""Reading orders wherever they are: in memory, or in the store once they have left it.

Nothing here changes the engine: an order that is only looked at stays in the store.
"""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.fingerprint import StateHasher
from monitor.core.orders.order import Order
from monitor.model.errors import CapacityError
from monitor.ports import StateStore
from monitor.runtime.recovery import order_of

ORDERS_PER_STEP = 500  # hashed without giving way: about 10 ms


class StateHash(msgspec.Struct, frozen=True):
    """The hash of all orders' facts and verdicts at `judged_ms`, and how many orders it covers."""

    state_hash: str
    judged_ms: int
    orders: int


class Archive:
    """All orders of one service; needs only `lookup` and `closed_ids` of the store."""

    def __init__(self, store: StateStore, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._is_hashing = False

    async def find(self, order_id: str) -> Order | None:
        """The order by its id; None if nobody ever spoke of it, or it is past its retention."""
        order = self._engine.shard.orders.get(order_id)
        if order is not None:
            return order
        row = (await self._store.lookup([order_id])).get(order_id)
        return None if row is None else order_of(row)

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
