"""One moment of a database for those who only look: the service may go on beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import apsw

from monitor.adapters.storage import sqlite_log, sqlite_state
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import connect_reader
from monitor.adapters.storage.sqlite_worker import Job, T
from monitor.ports import OrderRow, Restart, StoredSegment


class MomentReader:
    """What a restart reads, all of one commit; never writes, never checkpoints.

    It holds one reading transaction until it is closed, which keeps the write-ahead log from being
    begun anew: not for hours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path):
            self.connection = connect_reader(path)
            self.connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema")

    async def load(self) -> Restart:
        """See StateStore."""
        return await self._run(sqlite_state.load)

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """See StateStore."""
        return await self._run(lambda sql: sqlite_state.lookup(sql, order_ids))

    async def closed_ids(self) -> list[str]:
        """See StateStore."""
        return await self._run(sqlite_state.closed_ids)

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        """See EventLog."""
        return await self._run(lambda sql: sqlite_log.read(sql, after, max_bytes))

    def close(self) -> None:
        """Let go of the moment."""
        self.connection.close()

    async def _run(self, job: Job[T]) -> T:
        def work() -> T:
            with storage_errors(self._path):
                return job(self.connection)

        return await asyncio.to_thread(work)


def positions(connection: apsw.Connection) -> tuple[int, int, int]:
    """First and newest position of the log, and how many segments there are."""
    row = connection.execute("SELECT ifnull(min(position), 0), count(*) FROM segments").fetchone()
    assert row is not None, "an aggregate has a row"
    return row[0], sqlite_log.head(connection), row[1]
