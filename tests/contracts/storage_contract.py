"""What every storage engine promises: one suite per port, run over each adapter in test_storage.

An adapter joins by offering a `Bench`; nothing here knows which one it is talking to.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from monitor.model.errors import FencedError, StorageError
from monitor.ports import (
    AggregateRow,
    Checkpoint,
    Lease,
    OrderRow,
    OutboxRow,
    Restart,
    Segment,
    Store,
)

HOUR_MS = 3_600_000


class Bench(Protocol):
    """How a suite opens, restarts, crashes and disturbs the engine under test."""

    async def open(self) -> Store:
        """An empty store."""
        ...

    async def restart(self, store: Store) -> Store:
        """Close the store and open what it left."""
        ...

    async def crash(self, store: Store) -> Store:
        """Open what a kill -9 of the store's process would leave now."""
        ...

    def refuse_next_write(self, store: Store) -> None:
        """Let the next write fail at the last moment, when it is about to become durable."""
        ...


def segment(body: bytes, at_ms: int = 0, kind: str = "entries") -> Segment:
    return Segment(kind, 1, at_ms, at_ms, body)


async def owned(store: Store) -> Lease:
    """The lease that most suites only need in order to commit."""
    lease = await store.acquire("core", "me", now_ms=0, ttl_ms=10_000)
    assert lease is not None
    return lease


async def bodies(store: Store, after: int = 0) -> list[bytes]:
    return [stored.segment.body for stored in await store.read(after)]


class EventLogContract:
    """Promises of `EventLog`."""

    async def test_empty_log_reads_as_nothing(self, store: Store) -> None:
        """There is no position 0."""
        assert await store.read(0) == []

    async def test_segments_come_back_whole_and_in_order(self, store: Store) -> None:
        """Every field of every segment survives, positions grow, NUL bytes are bytes."""
        written = [
            Segment("entries", 3, 10, 30, b'{"a":1}\n\x00\xff'),
            Segment("decisions", 1, 31, 31, b""),
            Segment("entries", 2, 5, 40, b"later"),
        ]
        positions = [await store.append(each) for each in written]
        stored = await store.read(0)
        assert [each.segment for each in stored] == written
        assert [each.position for each in stored] == positions
        assert positions == sorted(set(positions))

    async def test_read_starts_after_the_position(self, store: Store) -> None:
        """The named position itself is not read again, the end is empty."""
        first, second, third = [await store.append(segment(body)) for body in (b"a", b"b", b"c")]
        assert await bodies(store, first) == [b"b", b"c"]
        assert await bodies(store, second) == [b"c"]
        assert await bodies(store, third) == []

    async def test_read_stops_at_its_size_but_gives_at_least_one(self, store: Store) -> None:
        """Of three segments of 4 bytes 8 bytes hold two, and 1 byte still gives one."""
        for body in (b"aaaa", b"bbbb", b"cccc"):
            await store.append(segment(body))
        assert len(await store.read(0, max_bytes=8)) == 2
        assert len(await store.read(0, max_bytes=7)) == 1
        assert len(await store.read(0, max_bytes=1)) == 1

    async def test_acknowledged_segments_survive_a_crash(self, bench: Bench, store: Store) -> None:
        """Acknowledged means durable: nothing waits for a close."""
        positions = [await store.append(segment(body)) for body in (b"a", b"b")]
        revived = await bench.crash(store)
        assert [each.position for each in await revived.read(0)] == positions
        assert await bodies(revived) == [b"a", b"b"]

    async def test_positions_grow_over_restart_even_after_all_was_trimmed(
        self, bench: Bench, store: Store
    ) -> None:
        """A position is never given twice."""
        last = [await store.append(segment(b"x", at_ms=1)) for _ in range(3)][-1]
        assert await store.trim(before_ms=2, up_to=last) == 3
        revived = await bench.restart(store)
        assert await revived.append(segment(b"y")) > last

    async def test_refused_append_keeps_nothing_and_the_next_succeeds(
        self, bench: Bench, store: Store
    ) -> None:
        """A StorageError means that not a trace is left, also after a crash."""
        await store.append(segment(b"before"))
        bench.refuse_next_write(store)
        with pytest.raises(StorageError):
            await store.append(segment(b"refused"))
        assert await bodies(store) == [b"before"]
        await store.append(segment(b"after"))
        assert await bodies(await bench.crash(store)) == [b"before", b"after"]

    async def test_trim_deletes_only_what_is_older_and_not_beyond(self, store: Store) -> None:
        """`last_ms` decides about age (equal is not older), and `up_to` is inclusive."""
        spans = [(0, 10), (0, 20), (0, 30), (5, 10)]
        positions = [
            await store.append(Segment("entries", 1, first_ms, last_ms, b"%d" % index))
            for index, (first_ms, last_ms) in enumerate(spans)
        ]
        assert await store.trim(before_ms=10, up_to=positions[-1]) == 0
        assert await store.trim(before_ms=30, up_to=positions[1]) == 2
        assert await bodies(store) == [b"2", b"3"]
        assert await store.trim(before_ms=30, up_to=positions[3]) == 1
        assert await bodies(store) == [b"2"]

    async def test_trim_deletes_more_than_one_portion(self, store: Store) -> None:
        """An engine may delete in portions, but not stop after the first."""
        positions = [await store.append(segment(b"x")) for _ in range(120)]
        assert await store.trim(before_ms=1, up_to=positions[-1]) == 120
        assert await store.read(0) == []


class StateStoreContract:
    """Promises of `StateStore`."""

    async def test_empty_store_loads_as_nothing(self, store: Store) -> None:
        """No snapshot, positions 0."""
        assert await store.load() == Restart(None, 0, 0)
        assert await store.lookup(["o1"]) == {}
        assert await store.closed_ids() == []

    async def test_checkpoint_writes_all_its_parts(self, bench: Bench, store: Store) -> None:
        """Cursor, decisions, orders, outbox, aggregates and snapshot are there after a crash."""
        folded = await store.append(segment(b"facts"))
        order = OrderRow("o1", None, b"order")
        effect = OutboxRow("k1", "chat", b"effect", 5, is_repeatable=False, expires_ms=9, tries=2)
        hour = AggregateRow(HOUR_MS, "main", "s", {3: 4}, 1)
        end = await store.commit(
            await owned(store),
            Checkpoint(
                cursor=folded,
                decisions=segment(b"decided", kind="decisions"),
                orders=(order,),
                outbox=(effect,),
                aggregates=(hour,),
                snapshot=b"state",
            ),
        )
        revived = await bench.crash(store)
        assert await revived.load() == Restart(b"state", end, folded)
        assert [each.segment.kind for each in await revived.read(0)] == ["entries", "decisions"]
        assert (await revived.read(folded))[0].position == end
        assert await revived.lookup(["o1"]) == {"o1": order}
        assert await revived.claim(5, 10, 100) == [effect]
        assert await revived.merge(0, "main", "s") == AggregateRow(0, "main", "s", {3: 4}, 1)

    async def test_commit_returns_the_end_of_the_log(self, store: Store) -> None:
        """With decisions it is their position, without any the newest one there is."""
        lease = await owned(store)
        assert await store.commit(lease, Checkpoint(cursor=0)) == 0
        first = await store.append(segment(b"a"))
        later = await store.append(segment(b"b"))
        assert await store.commit(lease, Checkpoint(cursor=first)) == later
        decided = await store.commit(lease, Checkpoint(cursor=first, decisions=segment(b"c")))
        assert decided > later
        assert [each.position for each in await store.read(later)] == [decided]

    async def test_snapshot_stands_for_decisions_logged_before_it(self, store: Store) -> None:
        """They would be taken in twice otherwise: they lie behind the cursor of their entries."""
        lease = await owned(store)
        decided = await store.commit(lease, Checkpoint(cursor=0, decisions=segment(b"c")))
        await store.commit(lease, Checkpoint(cursor=0, position=decided, snapshot=b"all"))
        assert await store.load() == Restart(b"all", decided, 0)

    async def test_snapshot_stays_at_its_cursor_while_the_cursor_moves(self, store: Store) -> None:
        """A checkpoint without a snapshot moves the cursor only; a new snapshot replaces the old."""
        lease = await owned(store)
        await store.commit(lease, Checkpoint(cursor=3, snapshot=b"at 3"))
        await store.commit(lease, Checkpoint(cursor=7))
        assert await store.load() == Restart(b"at 3", 3, 7)
        await store.commit(lease, Checkpoint(cursor=8, snapshot=b""))
        assert await store.load() == Restart(b"", 8, 8)

    async def test_order_is_replaced_by_its_newer_row(self, store: Store) -> None:
        """One row per order, the last one written; ids are text of any kind."""
        lease = await owned(store)
        ids = ["o1", 'quo"te', "订单\u2028", "O1"]
        rows = tuple(OrderRow(order_id, None, order_id.encode()) for order_id in ids)
        await store.commit(lease, Checkpoint(cursor=1, orders=rows))
        await store.commit(lease, Checkpoint(cursor=2, orders=(OrderRow("o1", 9, b"new"),)))
        found = await store.lookup([*ids, "absent", "o1"])
        assert found == {row.order_id: row for row in rows} | {"o1": OrderRow("o1", 9, b"new")}

    async def test_closed_ids_names_every_closed_order_and_no_open_one(self, store: Store) -> None:
        """An order that is opened again is no longer closed."""
        lease = await owned(store)
        rows = (OrderRow("open", None, b""), OrderRow("b", 2, b""), OrderRow("a", 0, b""))
        await store.commit(lease, Checkpoint(cursor=1, orders=rows))
        assert sorted(await store.closed_ids()) == ["a", "b"]
        await store.commit(lease, Checkpoint(cursor=2, orders=(OrderRow("b", None, b""),)))
        assert await store.closed_ids() == ["a"]

    async def test_purge_deletes_what_was_closed_before(self, store: Store) -> None:
        """Open orders and one closed at exactly the time stay."""
        rows = [OrderRow(f"old{number}", number % 10, b"") for number in range(1_200)]
        rows += [OrderRow("open", None, b""), OrderRow("new", 10, b"")]
        await store.commit(await owned(store), Checkpoint(cursor=1, orders=tuple(rows)))
        assert await store.purge(10) == 1_200
        assert sorted(await store.lookup([row.order_id for row in rows])) == ["new", "open"]
        assert await store.purge(10) == 0

    async def test_refused_commit_keeps_nothing_and_the_next_succeeds(
        self, bench: Bench, store: Store
    ) -> None:
        """All or nothing: no part of a refused checkpoint is seen, now or after a crash."""
        lease = await owned(store)
        first = Checkpoint(cursor=1, outbox=(OutboxRow("k0", "chat", b"", 0),), snapshot=b"one")
        await store.commit(lease, first)
        second = Checkpoint(
            cursor=2,
            decisions=segment(b"decided"),
            orders=(OrderRow("o1", 1, b""),),
            outbox=(OutboxRow("k1", "chat", b"", 0),),
            done=("k0",),
            aggregates=(AggregateRow(0, "main", "s", {1: 1}, 0),),
            snapshot=b"two",
        )
        bench.refuse_next_write(store)
        with pytest.raises(StorageError) as refusal:
            await store.commit(lease, second)
        assert not isinstance(refusal.value, FencedError)
        for witness in (store, await bench.crash(store)):
            assert await witness.load() == Restart(b"one", 1, 1)
            assert await witness.read(0) == []
            assert await witness.closed_ids() == []
            assert await witness.depth() == {"chat": 1}
            assert (await witness.merge(0)).delivered == {}
        await store.commit(lease, second)
        decided = (await store.read(0))[-1].position
        assert await store.load() == Restart(b"two", decided, 2)
        assert [row.key for row in await store.claim(0, 10, 1)] == ["k1"]

    async def test_older_epoch_is_fenced_and_writes_nothing(self, store: Store) -> None:
        """After somebody else took the lease the old owner's checkpoint leaves no trace."""
        old = await owned(store)
        new = await store.acquire("core", "other", now_ms=10_000, ttl_ms=10_000)
        assert new is not None
        late = Checkpoint(
            cursor=9,
            decisions=segment(b"late"),
            orders=(OrderRow("o1", 1, b""),),
            outbox=(OutboxRow("k1", "chat", b"", 0),),
            snapshot=b"late",
        )
        with pytest.raises(FencedError):
            await store.commit(old, late)
        assert await store.load() == Restart(None, 0, 0)
        assert await store.read(0) == []
        assert await store.closed_ids() == []
        assert await store.depth() == {}
        await store.commit(new, late)
        assert (await store.load()).cursor == 9

    async def test_lease_that_was_never_given_is_fenced(self, store: Store) -> None:
        """A made-up or a future epoch is not the newest either."""
        lease = await owned(store)
        for forged in (Lease("nobody", "me", 1), Lease("core", "me", lease.epoch + 1)):
            with pytest.raises(FencedError):
                await store.commit(forged, Checkpoint(cursor=1))
        assert await store.load() == Restart(None, 0, 0)


class LeaseStoreContract:
    """Promises of `LeaseStore`."""

    async def test_held_lease_is_refused_to_others_until_it_expires(self, store: Store) -> None:
        """At the end of its time, not before, it is free."""
        mine = await store.acquire("core", "me", now_ms=100, ttl_ms=50)
        assert mine is not None
        assert (mine.name, mine.owner) == ("core", "me")
        assert await store.acquire("core", "other", now_ms=149, ttl_ms=50) is None
        theirs = await store.acquire("core", "other", now_ms=150, ttl_ms=50)
        assert theirs is not None
        assert theirs.epoch > mine.epoch

    async def test_own_lease_is_given_again_with_a_newer_epoch(self, store: Store) -> None:
        """A restarted owner fences what is left of itself."""
        first = await owned(store)
        second = await owned(store)
        assert second.epoch > first.epoch
        with pytest.raises(FencedError):
            await store.commit(first, Checkpoint(cursor=1))
        assert not await store.renew(first, now_ms=1, ttl_ms=10)
        assert await store.renew(second, now_ms=1, ttl_ms=10)

    async def test_renewed_lease_runs_longer(self, store: Store) -> None:
        """The new time counts from the renewal."""
        lease = await store.acquire("core", "me", now_ms=0, ttl_ms=10)
        assert lease is not None
        assert await store.renew(lease, now_ms=9, ttl_ms=10)
        assert await store.acquire("core", "other", now_ms=18, ttl_ms=10) is None
        assert await store.acquire("core", "other", now_ms=19, ttl_ms=10) is not None

    async def test_lost_lease_is_neither_renewed_nor_released(self, store: Store) -> None:
        """The former owner cannot touch the new one's lease."""
        lost = await store.acquire("core", "me", now_ms=0, ttl_ms=10)
        held = await store.acquire("core", "other", now_ms=10, ttl_ms=10)
        assert lost is not None
        assert held is not None
        assert not await store.renew(lost, now_ms=11, ttl_ms=1_000)
        await store.release(lost)
        assert await store.acquire("core", "third", now_ms=19, ttl_ms=10) is None
        await store.commit(held, Checkpoint(cursor=1))

    async def test_released_lease_is_free_at_once_and_not_renewed(self, store: Store) -> None:
        """Its epoch is not used again."""
        mine = await owned(store)
        await store.release(mine)
        assert not await store.renew(mine, now_ms=1, ttl_ms=10)
        theirs = await store.acquire("core", "other", now_ms=1, ttl_ms=10)
        assert theirs is not None
        assert theirs.epoch > mine.epoch

    async def test_leases_survive_a_crash(self, bench: Bench, store: Store) -> None:
        """Neither the holder nor the epoch is forgotten."""
        mine = await owned(store)
        revived = await bench.crash(store)
        assert await revived.acquire("core", "other", now_ms=9_999, ttl_ms=10) is None
        theirs = await revived.acquire("core", "other", now_ms=10_000, ttl_ms=10)
        assert theirs is not None
        assert theirs.epoch > mine.epoch

    async def test_names_are_independent(self, store: Store) -> None:
        """Holding one name says nothing about another."""
        await owned(store)
        assert await store.acquire("other", "other", now_ms=0, ttl_ms=10) is not None


class AggregatesContract:
    """Promises of `Aggregates`."""

    async def test_sum_covers_hours_channels_and_skus_as_asked(self, store: Store) -> None:
        """Hours from `since_ms` on, buckets added one by one; a missing filter takes all."""
        rows = (
            AggregateRow(0, "main", "s", {1: 100}, 100),
            AggregateRow(HOUR_MS, "main", "s", {1: 1, 2: 2}, 1),
            AggregateRow(HOUR_MS, "main", "t", {2: 10}, 2),
            AggregateRow(2 * HOUR_MS, "spare", "s", {1: 20, 1023: 1}, 4),
        )
        await store.commit(await owned(store), Checkpoint(cursor=1, aggregates=rows))
        since = HOUR_MS
        assert await store.merge(since) == AggregateRow(since, "", "", {1: 21, 2: 12, 1023: 1}, 7)
        main = AggregateRow(since, "main", "", {1: 1, 2: 12}, 3)
        assert await store.merge(since, channel="main") == main
        s = AggregateRow(since, "", "s", {1: 21, 2: 2, 1023: 1}, 5)
        assert await store.merge(since, sku="s") == s
        both = AggregateRow(since, "main", "s", {1: 1, 2: 2}, 1)
        assert await store.merge(since, "main", "s") == both
        assert await store.merge(since, "absent") == AggregateRow(since, "absent", "", {}, 0)

    async def test_row_replaces_the_one_with_its_key(self, store: Store) -> None:
        """Writing an hour again does not count it twice."""
        lease = await owned(store)
        for never in (1, 2):
            row = AggregateRow(0, "main", "s", {never: 5}, never)
            await store.commit(lease, Checkpoint(cursor=never, aggregates=(row,)))
        assert await store.merge(0) == AggregateRow(0, "", "", {2: 5}, 2)
