"""Opening the embedded store: own the directory, check the file, bring its schema up to date."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw

from monitor.adapters.reserve import Reserve
from monitor.adapters.storage.directory import DATABASE_NAME, DirectoryLock, make_private
from monitor.adapters.storage.rebuild import rebuild
from monitor.adapters.storage.sqlite_errors import corrupt, storage_errors
from monitor.adapters.storage.sqlite_log import head
from monitor.adapters.storage.sqlite_schema import (
    check_integrity,
    connect_reader,
    connect_writer,
    refuse_old_sqlite,
    upgrade,
)
from monitor.adapters.storage.sqlite_scrub import findings, is_small
from monitor.adapters.storage.sqlite_store import Opened, SqliteStore
from monitor.adapters.storage.sqlite_worker import Worker
from monitor.adapters.storage.tail import Mark, check_tail
from monitor.model.errors import StorageError

log = logging.getLogger("monitor.storage")


async def open_sqlite(data_dir: Path, *, reserve_bytes: int = 0) -> SqliteStore:
    """Open `<data_dir>/monitor.db`, created when missing (0600, in a directory of 0700).

    Of the disk, `reserve_bytes` are held back, so that a full one can be got out of.

    Raises: FencedError while another process uses the directory; StorageError when it cannot be
    used, the database is damaged, foreign or of a newer release.
    """
    refuse_old_sqlite(apsw.sqlitelibversion())
    path = data_dir / DATABASE_NAME
    lock = await asyncio.to_thread(_own, data_dir)
    reserve = Reserve(data_dir, reserve_bytes)
    writer = Worker("sqlite-writer", path, _connect_first, reserve, reconnect=_connect_checked)
    reader = Worker("sqlite-reader", path, connect_reader)
    is_open = False
    try:
        await asyncio.to_thread(reserve.settle)  # first: opening may need the space
        opened, rebuilt = await _opened(writer, path)
        mark = Mark(data_dir)
        is_open = True
    finally:
        if not is_open:
            await reader.close()
            await writer.close()
            lock.release()
    store = SqliteStore(path, lock, writer, reader, reserve, mark, opened)
    store.damage = rebuilt
    if not is_small(path):
        store.look_through(partial(_all_findings, path))
    return store


async def _opened(writer: Worker, path: Path) -> tuple[Opened, str]:
    """Open and upgrade, a damaged database after it was rebuilt; also returns what was done."""
    try:
        return await writer.read(lambda sql: _prepare(sql, path)), ""
    except StorageError as error:
        if error.code != "storage_corrupt":
            raise
        reason = str(error)
    await writer.disconnect()
    rebuilt = await asyncio.to_thread(rebuild, path.parent, reason)
    log.error("store_rebuilt", extra={"fields": {"report": str(rebuilt)}})
    return await writer.read(lambda sql: _prepare(sql, path)), str(rebuilt)


def _all_findings(path: Path, is_over: threading.Event) -> list[str]:
    """Look at everything on a connection of its own, while the service runs."""
    with storage_errors(path), closing(connect_reader(path)) as connection:
        connection.set_progress_handler(is_over.is_set, 10_000)
        try:
            return findings(connection)
        except apsw.InterruptError:
            return []


def _own(data_dir: Path) -> DirectoryLock:
    make_private(data_dir)
    return DirectoryLock(data_dir)


def _connect_first(path: Path) -> apsw.Connection:
    """A writer connection at the start; a large file is looked through while the service works."""
    return _connect_checked(path, is_all=is_small(path))


def _connect_checked(path: Path, *, is_all: bool = True) -> apsw.Connection:
    """A writer connection to a file without damage.

    Raises: StorageError; then the file and its write-ahead log are as they were.
    """
    with storage_errors(path):
        connection = connect_writer(path)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        is_sound = False
        try:
            check_tail(connection, path)
            if is_all:
                check_integrity(connection, path)
            is_sound = True
        finally:
            if not is_sound:
                connection.close()
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    return connection


def _prepare(connection: apsw.Connection, path: Path) -> Opened:
    """Upgrade the schema and look at everything in it.

    Raises: StorageError; of a small database also for a row that is not what was written.
    """
    upgrade(connection, path)
    if is_small(path) and (found := findings(connection)):
        raise corrupt(path, found[0])
    row = connection.execute("SELECT session, commits FROM meta").fetchone()
    assert row is not None, "the schema inserts the only row of meta"
    return Opened(session=row[0] + 1, position=head(connection), commits=row[1])
