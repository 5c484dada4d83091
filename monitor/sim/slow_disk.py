"""A store that takes its time: before a write is durable, and before anybody hears that it is.

In memory everything would happen at once, and no crash could fall between a write and its answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from monitor.ports import (
    AggregateRow,
    Checkpoint,
    Lease,
    OrderRow,
    OutboxRow,
    Restart,
    Segment,
    Store,
    StoredSegment,
)

DELAY_MAX_S = 0.01


class SlowDisk:
    """Keeps `ports.Store` on top of another one; reads are slow once, writes twice."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self._store = store
        self._chance = chance

    async def _turn(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, DELAY_MAX_S))

    async def append(self, segment: Segment) -> int:
        """See EventLog."""
        await self._turn()
        position = await self._store.append(segment)
        await self._turn()
        return position

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        """See EventLog."""
        await self._turn()
        return await self._store.read(after, max_bytes)

    async def trim(self, before_ms: int, up_to: int) -> int:
        """See EventLog."""
        await self._turn()
        return await self._store.trim(before_ms, up_to)

    async def load(self) -> Restart:
        """See StateStore."""
        await self._turn()
        return await self._store.load()

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """See StateStore."""
        await self._turn()
        return await self._store.lookup(order_ids)

    async def closed_ids(self) -> list[str]:
        """See StateStore."""
        await self._turn()
        return await self._store.closed_ids()

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        """See StateStore."""
        await self._turn()
        position = await self._store.commit(lease, checkpoint)
        await self._turn()
        return position

    async def purge(self, closed_before_ms: int) -> int:
        """See StateStore."""
        await self._turn()
        return await self._store.purge(closed_before_ms)

    async def acquire(self, name: str, owner: str, now_ms: int, ttl_ms: int) -> Lease | None:
        """See LeaseStore."""
        await self._turn()
        return await self._store.acquire(name, owner, now_ms, ttl_ms)

    async def renew(self, lease: Lease, now_ms: int, ttl_ms: int) -> bool:
        """See LeaseStore."""
        await self._turn()
        return await self._store.renew(lease, now_ms, ttl_ms)

    async def release(self, lease: Lease) -> None:
        """See LeaseStore."""
        await self._turn()
        await self._store.release(lease)

    async def claim(self, now_ms: int, limit: int, lease_ms: int) -> list[OutboxRow]:
        """See Outbox."""
        await self._turn()
        rows = await self._store.claim(now_ms, limit, lease_ms)
        await self._turn()
        return rows

    async def retry(self, key: str, due_ms: int) -> None:
        """See Outbox."""
        await self._turn()
        await self._store.retry(key, due_ms)
        await self._turn()

    async def put_back(self, keys: Sequence[str], due_ms: int) -> None:
        """See Outbox."""
        await self._turn()
        await self._store.put_back(keys, due_ms)
        await self._turn()

    async def discard(self, keys: Sequence[str]) -> None:
        """See Outbox."""
        await self._turn()
        await self._store.discard(keys)

    async def interrupted(self) -> list[OutboxRow]:
        """See Outbox."""
        await self._turn()
        rows = await self._store.interrupted()
        await self._turn()
        return rows

    async def depth(self) -> dict[str, int]:
        """See Outbox."""
        await self._turn()
        return await self._store.depth()

    async def merge(
        self, since_ms: int, channel: str | None = None, sku: str | None = None
    ) -> AggregateRow:
        """See Aggregates."""
        await self._turn()
        return await self._store.merge(since_ms, channel, sku)

    async def close(self) -> None:
        """See Store."""
        await self._store.close()

    async def health(self) -> dict[str, str]:
        """See Store."""
        return await self._store.health()
