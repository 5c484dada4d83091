"""A day in the life of a store: seeded actions on its ports, and a fingerprint of what it holds.

The same actions go to the in-memory twin. Its fingerprint after each one is what a store may hold
after a power cut: some whole number of actions, none in part, none out of order.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from monitor.adapters.storage.memory import MemoryStore
from monitor.ports import (
    AggregateRow,
    Checkpoint,
    Lease,
    OrderRow,
    OutboxRow,
    Segment,
    Store,
)

ORDERS = 12
LEASE_MS = 30_000
Action = Callable[[Store], Awaitable[object]]


def actions(seed: int, count: int, *, is_deleting: bool = True) -> list[Action]:
    """A lease, then appends, commits, claims, retries, each in one transaction; trims and purges.

    Those delete in one transaction and find in a second one that nothing is left.
    """
    chance = random.Random(f"actions {seed}")
    lease = Lease("loop", "test", 1)
    chosen: list[Action] = [lambda store: store.acquire("loop", "test", 0, LEASE_MS)]
    for number in range(1, count):
        kind = chance.random()
        if kind < 0.5:
            chosen.append(_append(_segment("entries", number, chance)))
        elif kind < 0.85:
            chosen.append(_commit(lease, _checkpoint(number, chance)))
        elif kind < 0.90:
            chosen.append(lambda store, now_ms=number: store.claim(now_ms, 3, 50))  # type: ignore[misc]  # bound now
        elif kind < 0.94 or not is_deleting:
            key = f"effect-{chance.randrange(number)}"
            chosen.append(lambda store, key=key, due_ms=number + 9: store.retry(key, due_ms))  # type: ignore[misc]  # bound now
        elif kind < 0.97:
            chosen.append(lambda store, number=number: store.trim(number - 30, number))  # type: ignore[misc]  # bound now
        else:
            chosen.append(lambda store, number=number: store.purge(number - 20))  # type: ignore[misc]  # bound now
    return chosen


async def fingerprints(chosen: Sequence[Action]) -> list[str]:
    """What a store holds after none, the first, the first two … of the actions."""
    twin = MemoryStore()
    found = [await fingerprint(twin.clone_durable())]
    for action in chosen:
        await action(twin)
        found.append(await fingerprint(twin.clone_durable()))
    return found


async def fingerprint(store: Store) -> str:
    """A hash of everything that can be read back from a store after a restart."""
    held: list[object] = []
    position = 0
    while segments := await store.read(position):
        held += segments
        position = segments[-1].position
    rows = await store.lookup([f"order-{one}" for one in range(ORDERS)])
    merged = await store.merge(0)
    held += [await store.load(), sorted(rows.items()), await store.closed_ids()]
    held += [await store.depth(), await store.interrupted()]
    held += [sorted(merged.delivered.items()), merged.never]
    return hashlib.sha256(msgspec.msgpack.encode(held)).hexdigest()


def _append(segment: Segment) -> Action:
    return lambda store: store.append(segment)


def _commit(lease: Lease, checkpoint: Checkpoint) -> Action:
    return lambda store: store.commit(lease, checkpoint)


def _segment(kind: str, number: int, chance: random.Random) -> Segment:
    """Mostly a few hundred bytes, sometimes dozens of pages."""
    size = chance.choice((200, 200, 200, 3_000, 40_000))
    return Segment(kind, 1, number, number, chance.randbytes(size))


def _checkpoint(number: int, chance: random.Random) -> Checkpoint:
    closed_ms = number if chance.random() < 0.5 else None
    return Checkpoint(
        cursor=number,
        position=number,
        decisions=_segment("decisions", number, chance) if chance.random() < 0.5 else None,
        orders=tuple(
            OrderRow(f"order-{chance.randrange(ORDERS)}", closed_ms, chance.randbytes(300))
            for _ in range(3)
        ),
        outbox=tuple(
            OutboxRow(f"effect-{number + part}", f"lane-{part}", chance.randbytes(80), number,
                      is_repeatable=part > 0)
            for part in range(2)
        ),
        done=(f"effect-{number - 7}",),
        cancelled=(f"effect-{number - 4}",),
        aggregates=(AggregateRow(0, "auto", f"sku-{number % 5}", {number % 9: number}, number),),
        snapshot=chance.randbytes(30_000) if chance.random() < 0.1 else None,
    )  # fmt: skip
