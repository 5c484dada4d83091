"""The embedded store on a disk that is slow, full or broken: no false acknowledgement, ever."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

import apsw
import pytest
from typing_extensions import Buffer

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.adapters.storage.sqlite_worker import FAILURES_APART_S, JOBS_MAX
from monitor.model.errors import DiskFailedError, StorageError
from monitor.ports import Checkpoint, OutboxRow, Segment

Open = Callable[[str], Awaitable[SqliteStore]]


class Disk(apsw.VFS):
    """The machine's file system, with a journal of syncs and operations that fail on demand."""

    def __init__(self) -> None:
        self.synced: list[str] = []
        self._failing: dict[str, int] = {}
        super().__init__("faulty", "unix", makedefault=True)

    def fail(self, operation: str, times: int) -> None:
        """Let the next calls of `sync` or `write` fail."""
        self._failing[operation] = times

    def meet(self, operation: str) -> None:
        """Fail if it was asked for."""
        if self._failing.get(operation, 0):
            self._failing[operation] -= 1
            raise apsw.IOError("the disk is gone")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return File(self, name, flags)


class File(apsw.VFSFile):
    """One file of that disk."""

    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("unix", name, flags)

    def excepthook(self, *_: object) -> bool:
        """Take the failures that SQLite has nobody to report to: they were asked for."""
        return True

    def xWrite(self, chunk: Buffer, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.meet("write")
        super().xWrite(chunk, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.meet("sync")
        super().xSync(flags)
        self._disk.synced.append(Path(self._name or "").name)


class Gate:
    """Holds the writer just before its commit becomes durable."""

    def __init__(self, store: SqliteStore) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        connection = store._writer._connection
        assert connection is not None
        connection.set_commit_hook(self._wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """A test that fails must not leave the writer hanging."""
        self.opened.set()

    def _wait(self) -> bool:
        self.reached.set()
        return not self.opened.wait(60)


def segment(body: bytes) -> Segment:
    return Segment("entries", 1, 0, 0, body)


async def bodies(store: SqliteStore) -> list[bytes]:
    return [stored.segment.body for stored in await store.read(0)]


async def turn_the_loop() -> None:
    """Let everything happen that an early answer would have set off."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.fixture
async def open_on_disk(disk: Disk, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens stores on that disk; all of them are closed before it goes."""
    opened: list[SqliteStore] = []

    async def open_named(name: str) -> SqliteStore:
        opened.append(await open_sqlite(tmp_path / name))
        return opened[-1]

    yield open_named
    disk.fail("sync", times=0)
    for each in opened:
        await each.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_sqlite(tmp_path / "data")
    yield store
    await store.close()


async def test_append_answers_only_after_its_commit(store: SqliteStore) -> None:
    """While the commit hangs there is no answer, and others do not see the segment."""
    with Gate(store) as gate:
        appending = asyncio.create_task(store.append(segment(b"x")))
        assert await asyncio.to_thread(gate.reached.wait, 60)
        await turn_the_loop()
        assert not appending.done()
        assert await bodies(store) == []
    assert await appending == 1
    assert await bodies(store) == [b"x"]


async def test_claim_answers_only_after_its_mark_is_committed(store: SqliteStore) -> None:
    """The first byte of a submission must not leave before the mark is durable."""
    lease = await store.acquire("core", "me", 0, 10)
    assert lease is not None
    row = OutboxRow("k", "shop", b"", 0, is_repeatable=False)
    await store.commit(lease, Checkpoint(cursor=1, outbox=(row,)))
    with Gate(store) as gate:
        claiming = asyncio.create_task(store.claim(0, 1, 10))
        assert await asyncio.to_thread(gate.reached.wait, 60)
        await turn_the_loop()
        assert not claiming.done()
    assert await claiming == [row]


async def test_full_queue_refuses_and_reads_go_on(store: SqliteStore) -> None:
    """With so many writes waiting the next is refused; once the disk answers all are kept."""
    with Gate(store) as gate:
        waiting = [asyncio.create_task(store.append(segment(b"x"))) for _ in range(JOBS_MAX)]
        assert await asyncio.to_thread(gate.reached.wait, 60)
        await turn_the_loop()
        async with asyncio.timeout(10):
            with pytest.raises(StorageError) as refusal:
                await store.append(segment(b"one too many"))
            assert refusal.value.code == "storage_busy"
            assert await store.depth() == {}
    assert await asyncio.gather(*waiting) == list(range(1, JOBS_MAX + 1))


async def test_every_append_is_synced(disk: Disk, open_on_disk: Open) -> None:
    """One sync of the write-ahead log each, before the answer."""
    store = await open_on_disk("data")
    for _ in range(3):
        disk.synced.clear()
        await store.append(segment(b"x"))
        assert "monitor.db-wal" in disk.synced


@pytest.mark.parametrize("operation", ["sync", "write"])
async def test_broken_disk_keeps_nothing_and_the_next_append_succeeds(
    disk: Disk, open_on_disk: Open, tmp_path: Path, operation: str
) -> None:
    """Neither this process nor a recovery after its crash sees what was refused."""
    store = await open_on_disk("data")
    await store.append(segment(b"before"))
    disk.fail(operation, times=1)
    with pytest.raises(StorageError, match="disk failed") as refusal:
        await store.append(segment(b"refused"))
    assert refusal.value.code == "storage_io"
    assert await bodies(store) == [b"before"]
    shutil.copytree(tmp_path / "data", tmp_path / "crash", ignore=shutil.ignore_patterns("*-shm"))
    crashed = await open_on_disk("crash")
    assert await bodies(crashed) == [b"before"]
    await store.append(segment(b"after"))
    await store.close()
    store = await open_on_disk("data")
    assert await bodies(store) == [b"before", b"after"]


async def test_health_probes_with_a_write_after_a_failure(disk: Disk, open_on_disk: Open) -> None:
    """The disk failed once and works again: nobody has to restart anything."""
    store = await open_on_disk("data")
    disk.fail("sync", times=1)
    with pytest.raises(StorageError):
        await store.append(segment(b"refused"))
    assert "the disk is gone" in str(store.write_trouble)
    assert "the disk is gone" in (await store.health())["last_error"]
    assert store.write_trouble is None
    assert await bodies(store) == []


async def test_second_failure_within_a_minute_gives_up(disk: Disk, open_on_disk: Open) -> None:
    """Nothing is written any more, whatever the disk says then; what was acknowledged is there."""
    store = await open_on_disk("data")
    await store.append(segment(b"before"))
    for error in (StorageError, DiskFailedError):
        disk.fail("sync", times=1)
        with pytest.raises(error):
            await store.append(segment(b"refused"))
    with pytest.raises(DiskFailedError, match="again"):
        await store.append(segment(b"after"))
    assert "the disk is gone" in str(store.write_trouble)
    await store.close()
    assert (await bodies(await open_on_disk("data")))[0] == b"before"


async def test_failures_apart_are_each_met_by_opening_anew(disk: Disk, open_on_disk: Open) -> None:
    """A disk that fails once in a while is not a disk that fails again and again."""
    store = await open_on_disk("data")
    for number in range(3):
        disk.fail("write", times=1)
        with pytest.raises(StorageError, match="disk failed"):
            await store.append(segment(b"refused"))
        assert await store.append(segment(b"kept")) == number + 1
        assert store._writer._failed_s is not None
        store._writer._failed_s -= FAILURES_APART_S


async def test_refused_write_that_cannot_be_overwritten_gives_up_at_once(
    disk: Disk, open_on_disk: Open
) -> None:
    """It may be whole in the log: only a new process, which has not refused it, may read that."""
    store = await open_on_disk("data")
    disk.fail("sync", times=2)
    with pytest.raises(DiskFailedError, match="overwritten"):
        await store.append(segment(b"refused"))


async def test_damage_found_after_a_failure_gives_up(
    disk: Disk, open_on_disk: Open, tmp_path: Path
) -> None:
    """The file is checked when it is opened anew."""
    store = await open_on_disk("data")
    for _ in range(40):
        await store.append(segment(b"x" * 3_000))
    await store._writer.read(lambda sql: sql.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE))
    content = bytearray((tmp_path / "data" / "monitor.db").read_bytes())
    content[8 * 4_096 :] = bytes(len(content) - 8 * 4_096)
    (tmp_path / "data" / "monitor.db").write_bytes(content)
    disk.fail("write", times=1)
    with pytest.raises(DiskFailedError, match="could not be checked"):
        await store.append(segment(b"refused"))


async def test_full_disk_keeps_nothing_and_writing_goes_on_when_there_is_space(
    store: SqliteStore,
) -> None:
    """Append and checkpoint are refused whole, reading works, no restart is needed."""
    lease = await store.acquire("core", "me", 0, 10)
    assert lease is not None
    await store.append(segment(b"before"))

    def limit(pages: int) -> None:
        connection = store._writer._connection
        assert connection is not None
        connection.pragma("max_page_count", pages)

    limit(1)  # SQLite takes the present size when it is larger
    with pytest.raises(StorageError, match="no space left") as refusal:
        await store.append(segment(b"x" * 100_000))
    assert refusal.value.code == "storage_full"
    assert "free disk space" in refusal.value.hint
    with pytest.raises(StorageError, match="no space left"):
        await store.commit(
            lease,
            Checkpoint(
                cursor=9,
                decisions=segment(b"decided"),
                outbox=(OutboxRow("k", "chat", b"", 0),),
                snapshot=b"x" * 100_000,
            ),
        )
    assert await bodies(store) == [b"before"]
    assert (await store.load()).cursor == 0
    assert await store.depth() == {}
    limit(1_000_000)
    position = await store.append(segment(b"after"))
    assert await store.commit(lease, Checkpoint(cursor=position)) == position
    assert await bodies(store) == [b"before", b"after"]
