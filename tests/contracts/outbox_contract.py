"""What every storage engine promises about effects: the suite of `Outbox`, and of closing."""

from __future__ import annotations

import pytest

from monitor.model.commands import Rewind
from monitor.model.errors import StorageError
from monitor.model.times import HOUR_MS
from monitor.ports import AggregateRow, Checkpoint, OrderRow, OutboxRow, Store
from tests.contracts.storage_contract import Bench, owned, segment


def effect(key: str, due_ms: int = 0, *, is_repeatable: bool = True) -> OutboxRow:
    return OutboxRow(key, "chat", key.encode(), due_ms, is_repeatable)


async def put(store: Store, *rows: OutboxRow) -> None:
    await store.commit(await owned(store), Checkpoint(cursor=1, outbox=rows))


async def end(store: Store, *, done: tuple[str, ...] = (), cancelled: tuple[str, ...] = ()) -> None:
    await store.commit(await owned(store), Checkpoint(cursor=1, done=done, cancelled=cancelled))


async def claimed(store: Store, now_ms: int, limit: int = 100, lease_ms: int = 100) -> list[str]:
    return [row.key for row in await store.claim(now_ms, limit, lease_ms)]


class OutboxContract:
    """Promises of `Outbox` and of the outbox part of `StateStore.commit`."""

    async def test_due_rows_are_claimed_oldest_first_and_once(self, store: Store) -> None:
        """Due at the very millisecond counts; ties keep the order in which they were written."""
        await put(store, effect("c", 3), effect("a", 1), effect("tie", 1), effect("d", 4))
        assert await claimed(store, 0) == []
        assert await claimed(store, 3, limit=2) == ["a", "tie"]
        assert await claimed(store, 3) == ["c"]
        assert await claimed(store, 3) == []

    async def test_claim_gives_the_row_as_it_was_written(self, store: Store) -> None:
        """Every field; an expired row is claimed too, so that its end can be recorded."""
        row = OutboxRow("k", "webhook", b"\x00body", 5, False, 6, 3)
        await put(store, row)
        assert await store.claim(7, 10, 100) == [row]

    async def test_key_that_exists_is_ignored(self, store: Store) -> None:
        """Same cause, same effect: neither body, due time nor state of the first one changes."""
        first = OutboxRow("k", "chat", b"first", 1, is_repeatable=False)
        await put(store, first, OutboxRow("k", "chat", b"twin", 0))
        assert await store.claim(1, 10, 100) == [first]
        await put(store, OutboxRow("k", "chat", b"again", 0))
        assert await claimed(store, 1_000_000) == []
        assert await store.depth() == {"chat": 1}

    async def test_done_rows_are_gone_whatever_their_state(self, store: Store) -> None:
        """Under way or waiting; an unknown key changes nothing."""
        await put(store, effect("sent", 0), effect("waiting", 50), effect("other", 50))
        assert await claimed(store, 0) == ["sent"]
        await end(store, done=("sent", "waiting", "unknown"))
        assert await store.depth() == {"chat": 1}
        assert await claimed(store, 1_000) == ["other"]

    async def test_row_that_is_written_and_ended_at_once_is_gone(self, store: Store) -> None:
        """Within one checkpoint the end wins."""
        lease = await owned(store)
        rows = (effect("done"), effect("cancelled"))
        both = Checkpoint(cursor=1, outbox=rows, done=("done",), cancelled=("cancelled",))
        await store.commit(lease, both)
        assert await store.depth() == {}

    async def test_repeatable_row_is_claimed_again_when_its_claim_expires(
        self, store: Store
    ) -> None:
        """At the end of the claim, not before."""
        await put(store, effect("k"))
        assert await claimed(store, 0, lease_ms=100) == ["k"]
        assert await claimed(store, 99) == []
        assert await claimed(store, 100) == ["k"]

    async def test_other_row_is_never_claimed_again(self, bench: Bench, store: Store) -> None:
        """Not when the claim expires, not after a crash: it may have been done."""
        await put(store, effect("k", is_repeatable=False))
        assert await claimed(store, 0) == ["k"]
        assert await claimed(store, 10**12) == []
        revived = await bench.crash(store)
        await revived.interrupted()
        assert await claimed(revived, 10**12) == []
        assert await revived.depth() == {"chat": 1}

    async def test_refused_claim_marks_nothing(self, bench: Bench, store: Store) -> None:
        """What could not be marked durably is not under way."""
        await put(store, effect("k", is_repeatable=False))
        bench.refuse_next_write(store)
        with pytest.raises(StorageError):
            await store.claim(0, 10, 100)
        assert await claimed(store, 0) == ["k"]

    async def test_retried_row_comes_back_later_one_try_older(self, store: Store) -> None:
        """Also one that is not repeatable: its performer knows that nothing was done."""
        for key, is_repeatable in (("a", True), ("b", False)):
            await put(store, effect(key, is_repeatable=is_repeatable))
            assert await claimed(store, 0) == [key]
            await store.retry(key, 50)
            assert await claimed(store, 49) == []
            again = OutboxRow(key, "chat", key.encode(), 50, is_repeatable, None, 1)
            assert await store.claim(50, 10, 100) == [again]

    async def test_retry_leaves_rows_alone_that_are_not_under_way(self, store: Store) -> None:
        """An unknown key, and a row that waits."""
        await put(store, effect("k", 5))
        await store.retry("k", 0)
        await store.retry("unknown", 0)
        assert await store.claim(5, 10, 100) == [effect("k", 5)]

    async def test_row_that_was_put_back_was_never_tried(self, store: Store) -> None:
        """It comes back with its tries; one that was cancelled meanwhile, or waits, does not move."""
        await put(store, effect("a"), effect("gone", is_repeatable=False), effect("later", 9))
        assert await claimed(store, 0) == ["a", "gone"]
        await end(store, cancelled=("gone",))
        await store.put_back(["a", "gone", "later", "unknown"], 5)
        assert await store.claim(5, 10, 100) == [effect("a", 5)]
        assert await claimed(store, 9) == ["later"]
        assert await store.depth() == {"chat": 2}

    async def test_discarded_rows_are_gone(self, store: Store) -> None:
        """Unknown keys are ignored."""
        await put(store, effect("a"), effect("b"))
        await store.discard(["a", "unknown"])
        assert await claimed(store, 0) == ["b"]

    async def test_interrupted_names_what_the_previous_process_had_under_way(
        self, bench: Bench, store: Store
    ) -> None:
        """Oldest first; the repeatable one is due again at once, the other one waits for its end."""
        rows = (effect("once", 2, is_repeatable=False), effect("often", 1), effect("idle", 9))
        await put(store, *rows)
        assert await claimed(store, 2, lease_ms=10**9) == ["often", "once"]
        revived = await bench.crash(store)
        assert await revived.interrupted() == [rows[1], rows[0]]
        assert await claimed(revived, 2) == ["often"]
        await end(revived, done=("once",))
        assert await revived.depth() == {"chat": 2}

    async def test_interrupted_leaves_the_claims_of_this_process_alone(
        self, bench: Bench, store: Store
    ) -> None:
        """Only the previous process ended; in the next start it is the other way round."""
        await put(store, effect("a"), effect("b", is_repeatable=False))
        assert await claimed(store, 0) == ["a", "b"]
        assert await store.interrupted() == []
        assert await claimed(store, 0) == []
        revived = await bench.restart(store)
        assert [row.key for row in await revived.interrupted()] == ["a", "b"]
        assert await claimed(revived, 0) == ["a"]
        assert [row.key for row in await revived.interrupted()] == ["b"]

    async def test_rows_follow_a_clock_that_was_set_back(self, bench: Bench, store: Store) -> None:
        """An hour ahead, then right again: who was to wait for ten seconds waits no hour."""
        rows = (effect("soon", HOUR_MS + 10_000), effect("now", HOUR_MS), effect("right", 30_000))
        await put(store, *rows)
        revived = await bench.crash(store)
        assert await claimed(revived, 29_999) == []
        back = Checkpoint(cursor=1, rewind=Rewind(1_000, HOUR_MS - 1_000))
        await revived.commit(await owned(revived), back)
        assert await claimed(revived, 10_999, lease_ms=HOUR_MS) == ["now"]
        assert await claimed(revived, 11_000, lease_ms=HOUR_MS) == ["soon"]
        assert await claimed(revived, 29_999) == []
        assert await claimed(revived, 30_000) == ["right"]

    async def test_cancelled_rows_are_not_sent(self, store: Store) -> None:
        """Waiting ones go at once; a repeatable one under way is not sent again."""
        await put(store, effect("sent"), effect("waiting", 5, is_repeatable=False))
        assert await claimed(store, 0) == ["sent"]
        await end(store, cancelled=("sent", "waiting", "unknown"))
        await store.retry("sent", 0)
        assert await claimed(store, 10**12) == []
        assert await store.depth() == {}

    async def test_cancelled_row_that_may_have_been_done_is_remembered(
        self, bench: Bench, store: Store
    ) -> None:
        """A crash still finds its unknown outcome, and nothing sends it again."""
        await put(store, effect("k", is_repeatable=False))
        assert await claimed(store, 0) == ["k"]
        await end(store, cancelled=("k",))
        revived = await bench.crash(store)
        assert [row.key for row in await revived.interrupted()] == ["k"]
        await store.retry("k", 0)
        assert await claimed(store, 10**12) == []
        assert await store.depth() == {}

    async def test_depth_counts_waiting_and_under_way_by_lane(self, store: Store) -> None:
        """A lane without rows is absent."""
        await put(store, effect("a"), effect("b", 9), OutboxRow("c", "shop", b"", 0))
        assert await store.depth() == {"chat": 2, "shop": 1}
        assert await claimed(store, 0) == ["a", "c"]
        assert await store.depth() == {"chat": 2, "shop": 1}
        await store.discard(["c"])
        assert await store.depth() == {"chat": 2}


class StoreContract:
    """Promises of `Store` itself."""

    async def test_closed_store_refuses(self, store: Store) -> None:
        """Closing twice is harmless; using it afterwards is a StorageError."""
        await store.close()
        await store.close()
        with pytest.raises(StorageError):
            await store.append(segment(b"late"))
        with pytest.raises(StorageError):
            await store.load()
        with pytest.raises(StorageError):
            await store.health()

    async def test_health_names_the_engine_and_the_last_error(
        self, bench: Bench, store: Store
    ) -> None:
        """Empty without an error; afterwards what it was."""
        health = await store.health()
        assert health["engine"]
        assert health["last_error"] == ""
        bench.refuse_next_write(store)
        with pytest.raises(StorageError) as refusal:
            await store.append(segment(b"refused"))
        assert (await store.health())["last_error"] == str(refusal.value)

    async def test_crash_is_a_fork(self, bench: Bench, store: Store) -> None:
        """What the crashed store does afterwards is unseen by its successor, and the reverse."""
        lease = await owned(store)
        first, second = effect("first"), effect("second")
        await store.commit(lease, Checkpoint(cursor=1, outbox=(first,)))
        revived = await bench.crash(store)
        late = Checkpoint(
            cursor=2,
            decisions=segment(b"late"),
            orders=(OrderRow("o1", 1, b""),),
            outbox=(second,),
            aggregates=(AggregateRow(0, "main", "s", {1: 1}, 1),),
        )
        await store.commit(lease, late)
        await owned(store)
        assert await claimed(store, 0) == ["first", "second"]
        assert await revived.read(0) == []
        assert await revived.closed_ids() == []
        assert (await revived.merge(0)).never == 0
        await revived.commit(lease, Checkpoint(cursor=3))
        assert await claimed(revived, 0) == ["first"]
        assert (await store.load()).cursor == 2
