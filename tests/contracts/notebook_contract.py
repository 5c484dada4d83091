"""What every storage engine promises about the audit and the pages of signed messages."""

from __future__ import annotations

import pytest

from monitor.model.errors import FencedError, StorageError
from monitor.ports import AuditRow, Checkpoint, Lease, MessagePage, Store
from tests.contracts.storage_contract import Bench, owned


def rows(*names: str) -> tuple[AuditRow, ...]:
    return tuple(AuditRow(name, 1, name.encode()) for name in names)


async def bodies(store: Store, before: int | None = None, limit: int = 100) -> list[bytes]:
    return [one.body for one in await store.audits(before, limit)]


class NotebookContract:
    """Promises of `Notebook`."""

    async def test_entries_come_back_newest_first_page_by_page(self, store: Store) -> None:
        """A place is where the next page starts."""
        await store.commit(await owned(store), Checkpoint(cursor=0, audits=rows("a", "b", "c")))
        first = await store.audits(None, 2)
        assert [one.body for one in first] == [b"c", b"b"]
        assert await bodies(store, first[-1].place) == [b"a"]

    async def test_entry_is_written_once_however_often_it_comes(self, store: Store) -> None:
        """A restart may hand over what was written already; it stays as it was."""
        lease = await owned(store)
        await store.commit(lease, Checkpoint(cursor=0, audits=rows("a", "b")))
        changed = AuditRow("a", 2, b"other")
        await store.commit(lease, Checkpoint(cursor=0, audits=(changed, *rows("c"))))
        assert await bodies(store) == [b"c", b"b", b"a"]

    async def test_entries_and_pages_survive_a_crash(self, bench: Bench, store: Store) -> None:
        """They are as durable as the checkpoint they came with."""
        page = MessagePage(5, b"\x00\xff" * 12)
        await store.commit(
            await owned(store), Checkpoint(cursor=0, audits=rows("a"), messages=page)
        )
        revived = await bench.crash(store)
        assert await bodies(revived) == [b"a"]
        assert [(one.last_ms, one.body) for one in await revived.messages(0)] == [(5, page.body)]

    async def test_refused_commit_keeps_neither(self, bench: Bench, store: Store) -> None:
        """All of a checkpoint or nothing."""
        lease = await owned(store)
        bench.refuse_next_write(store)
        checkpoint = Checkpoint(cursor=0, audits=rows("a"), messages=MessagePage(5, b"x"))
        with pytest.raises(StorageError):
            await store.commit(lease, checkpoint)
        with pytest.raises(FencedError):
            await store.commit(Lease("core", "other", lease.epoch + 1), checkpoint)
        assert (await bodies(store), await store.messages(0)) == ([], [])

    async def test_pages_are_read_by_age_and_forgotten_with_a_later_one(self, store: Store) -> None:
        """A page that ends at the time itself still counts."""
        lease = await owned(store)
        for last_ms in (10, 20, 30):
            page = MessagePage(last_ms, str(last_ms).encode())
            await store.commit(lease, Checkpoint(cursor=0, messages=page))
        assert [page.body for page in await store.messages(20)] == [b"20", b"30"]
        page = MessagePage(40, b"40", forget_before_ms=30)
        await store.commit(lease, Checkpoint(cursor=0, messages=page))
        assert [page.body for page in await store.messages(0)] == [b"30", b"40"]
