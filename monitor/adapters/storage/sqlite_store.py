"""The six storage ports on one SQLite file: which thread does what, and what is reported."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import apsw

from monitor.adapters.reserve import Reserve
from monitor.adapters.storage import sqlite_log, sqlite_notes, sqlite_outbox, sqlite_state
from monitor.adapters.storage.directory import DirectoryLock
from monitor.adapters.storage.durations import Durations
from monitor.adapters.storage.sqlite_errors import full
from monitor.adapters.storage.sqlite_schema import probe
from monitor.adapters.storage.sqlite_worker import Job, T, Worker
from monitor.adapters.storage.tail import Mark
from monitor.model.errors import DiskFailedError, FencedError, StorageError
from monitor.ports import (
    AggregateRow,
    Checkpoint,
    Lease,
    MessagePage,
    OrderRow,
    OutboxRow,
    Restart,
    Segment,
    StoredAudit,
    StoredSegment,
)

log = logging.getLogger("monitor.storage")


class Opened(NamedTuple):
    """Where the database stood when it was opened; `session` is one above every earlier one."""

    session: int
    position: int
    commits: int


class SqliteStore:
    """One writer (thread and connection) for everything that changes, one reader for the rest.

    Reads have their own read-only connection: a long one (a month of aggregates, the log of a
    replay) would otherwise hold up acknowledgements. WAL shows it every commit that was
    acknowledged before the read began.
    """

    def __init__(
        self,
        path: Path,
        lock: DirectoryLock,
        writer: Worker,
        reader: Worker,
        reserve: Reserve,
        mark: Mark,
        opened: Opened,
    ) -> None:
        self._path = path
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._reserve = reserve
        self._mark = mark
        self.damage = ""  # what was found broken at the start or since, and what was done
        self._look: Callable[[threading.Event], list[str]] | None = None
        self._is_closing = threading.Event()  # a look at gigabytes ends early
        self._session = opened.session
        self._position, self._commits = opened.position, opened.commits
        self._last_error = ""
        self._failure: str | None = None  # of the latest write

    @property
    def commit_seconds(self) -> Durations:
        """How long the last durable writes took, sync included."""
        return self._writer.commit_seconds

    @property
    def sync_seconds(self) -> Durations:
        """How long the disk took of that: handing over a page or two, and the sync."""
        return self._writer.sync_seconds

    @property
    def write_trouble(self) -> str | None:
        """Why events would be refused now; None when they would be taken."""
        return self._failure or self._reserve.shortage

    # EventLog

    async def append(self, segment: Segment) -> int:
        """See EventLog; while the disk is short of space only what was decided is written."""
        if (shortage := self._reserve.shortage) is not None:
            raise full(self._path, shortage)
        position = await self._write(lambda sql: sqlite_log.append(sql, segment), is_statement=True)
        self._position = max(self._position, position)
        self._mark.set(self._position, self._commits)
        return position

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        """See EventLog."""
        return await self._read(lambda sql: sqlite_log.read(sql, after, max_bytes))

    async def trim(self, before_ms: int, up_to: int) -> int:
        """See EventLog; many small transactions, so that appends come in between."""
        return await self._repeat(lambda sql: sqlite_log.trim(sql, before_ms, up_to))

    # StateStore

    async def load(self) -> Restart:
        """See StateStore."""
        return await self._read(sqlite_state.load)

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """See StateStore."""
        return await self._read(lambda sql: sqlite_state.lookup(sql, order_ids))

    async def closed_ids(self) -> list[str]:
        """See StateStore."""
        return await self._read(sqlite_state.closed_ids)

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        """See StateStore."""
        position = await self._write(lambda sql: sqlite_state.commit(sql, lease, checkpoint))
        self._note_commit(position)
        return position

    async def purge(self, closed_before_ms: int) -> int:
        """See StateStore; many small transactions, so that appends come in between."""
        return await self._repeat(lambda sql: sqlite_state.purge(sql, closed_before_ms))

    # LeaseStore

    async def acquire(self, name: str, owner: str, now_ms: int, ttl_ms: int) -> Lease | None:
        """See LeaseStore."""
        return await self._write(lambda sql: sqlite_state.acquire(sql, name, owner, now_ms, ttl_ms))

    async def renew(self, lease: Lease, now_ms: int, ttl_ms: int) -> bool:
        """See LeaseStore."""
        return await self._write(lambda sql: sqlite_state.renew(sql, lease, now_ms, ttl_ms))

    async def release(self, lease: Lease) -> None:
        """See LeaseStore."""
        await self._write(lambda sql: sqlite_state.release(sql, lease))

    # Outbox

    async def claim(self, now_ms: int, limit: int, lease_ms: int) -> list[OutboxRow]:
        """See Outbox; oldest by the time from which a row could be claimed."""
        session = self._session
        rows = await self._write(
            lambda sql: sqlite_outbox.claim(sql, session, now_ms, limit, lease_ms)
        )
        if rows:
            self._note_commit(self._position)
        return rows

    async def retry(self, key: str, due_ms: int) -> None:
        """See Outbox; a row that is not under way is left alone."""
        await self._write(lambda sql: sqlite_outbox.retry(sql, key, due_ms))

    async def put_back(self, keys: Sequence[str], due_ms: int) -> None:
        """See Outbox; rows that are not under way are left alone."""
        await self._write(lambda sql: sqlite_outbox.put_back(sql, keys, due_ms))

    async def discard(self, keys: Sequence[str]) -> None:
        """See Outbox; unknown keys are ignored."""
        await self._write(lambda sql: sqlite_outbox.delete(sql, keys))

    async def interrupted(self) -> list[OutboxRow]:
        """See Outbox; rows claimed by this very process are not among them."""
        return await self._write(lambda sql: sqlite_outbox.interrupted(sql, self._session))

    async def depth(self) -> dict[str, int]:
        """See Outbox."""
        return await self._read(sqlite_outbox.depth)

    # Aggregates

    async def merge(
        self, since_ms: int, channel: str | None = None, sku: str | None = None
    ) -> AggregateRow:
        """See Aggregates; without a filter `channel` and `sku` of the sum are empty."""
        return await self._read(lambda sql: sqlite_state.merge(sql, since_ms, channel, sku))

    # Notebook

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """See Notebook."""
        return await self._read(lambda sql: sqlite_notes.audits(sql, before, limit))

    async def messages(self, since_ms: int) -> list[MessagePage]:
        """See Notebook."""
        return await self._read(lambda sql: sqlite_notes.messages(sql, since_ms))

    # Store

    async def close(self) -> None:
        """See Store; moves the write-ahead log into the database file. Repeating is harmless."""
        self._is_closing.set()
        try:
            await self._reader.close()  # first: the last connection to go checkpoints
            await self._writer.close()
        finally:
            self._mark.close()
            self._lock.release()

    async def health(self) -> dict[str, str]:
        """See Store; after a failed write a probing write tells whether writing works again."""
        if self._failure is not None:
            await self._write(probe)
        if self._look is not None:
            looking = asyncio.get_running_loop().run_in_executor(None, self._look, self._is_closing)
            looking.add_done_callback(self._looked)
            self._look = None
        facts = await self._writer.read(self._facts)
        return facts | {"last_error": self._last_error, "damage": self.damage}

    def look_through(self, look: Callable[[threading.Event], list[str]]) -> None:
        """Look at all of the database beside the work; what is found is in `damage` and the log.

        It begins when somebody asks for `health` first: the start itself has enough to do.
        """
        self._look = look

    def _looked(self, looking: asyncio.Future[list[str]]) -> None:
        if looking.cancelled():
            return
        error = looking.exception()
        found = [str(error)] if error is not None else looking.result()
        if found:
            self.damage = f"{self._path} is damaged: {'; '.join(found[:3])}"
            log.critical("store_damaged", extra={"fields": {"findings": found}})

    def _note_commit(self, position: int) -> None:
        self._position = max(self._position, position)
        self._commits += 1
        self._mark.set(self._position, self._commits)

    async def _read(self, job: Job[T]) -> T:
        try:
            return await self._reader.read(job)
        except StorageError as error:
            self._last_error = str(error)
            raise

    async def _write(self, job: Job[T], *, is_statement: bool = False) -> T:
        try:
            result = await self._writer.write(job, is_statement=is_statement)
        except StorageError as error:
            if not isinstance(error, FencedError) or isinstance(error, DiskFailedError):
                self._last_error = self._failure = str(error)
            raise
        self._failure = None
        return result

    async def _repeat(self, delete_some: Callable[[apsw.Connection], int]) -> int:
        deleted = 0
        while some := await self._write(delete_some):
            deleted += some
        return deleted

    def _facts(self, sql: apsw.Connection) -> dict[str, str]:
        is_held = self._reserve.settle()
        disk = os.statvfs(self._path.parent)
        wal = self._path.with_name(self._path.name + "-wal")
        return {
            "engine": "sqlite",
            "sqlite_version": apsw.sqlitelibversion(),
            "schema_version": str(sql.pragma("user_version")),
            "journal_mode": str(sql.pragma("journal_mode")),
            "synchronous": str(sql.pragma("synchronous")),
            "file_bytes": str(self._path.stat().st_size),
            "wal_bytes": str(wal.stat().st_size if wal.exists() else 0),
            "disk_reserve": "held" if is_held else "given up" if self._reserve.is_short else "off",
            "free_disk_bytes": str(disk.f_bavail * disk.f_frsize),
            "commits": str(self.commit_seconds.count),
            "commit_p50_ms": _milliseconds(self.commit_seconds.quantile(0.5)),
            "commit_p99_ms": _milliseconds(self.commit_seconds.quantile(0.99)),
            "fsync_p50_ms": _milliseconds(self.sync_seconds.quantile(0.5)),
            "fsync_p99_ms": _milliseconds(self.sync_seconds.quantile(0.99)),
        }


def _milliseconds(duration_s: float | None) -> str:
    return "" if duration_s is None else f"{duration_s * 1_000:.3f}"
