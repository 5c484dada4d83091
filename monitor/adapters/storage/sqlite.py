"""Opening the embedded store: own the directory, check the file, bring its schema up to date."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw

from monitor.adapters.storage.directory import DATABASE_NAME, DirectoryLock, make_private
from monitor.adapters.storage.reserve import Reserve
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import (
    check_integrity,
    connect_reader,
    connect_writer,
    refuse_old_sqlite,
    upgrade,
)
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.adapters.storage.sqlite_worker import Worker


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
    writer = Worker("sqlite-writer", path, _connect_checked, reserve)
    reader = Worker("sqlite-reader", path, connect_reader)
    is_open = False
    try:
        await asyncio.to_thread(reserve.settle)  # first: opening may need the space
        session = await writer.read(lambda sql: _prepare(sql, path))
        is_open = True
    finally:
        if not is_open:
            await reader.close()
            await writer.close()
            lock.release()
    return SqliteStore(path, lock, writer, reader, reserve, session)


def _own(data_dir: Path) -> DirectoryLock:
    make_private(data_dir)
    return DirectoryLock(data_dir)


def _connect_checked(path: Path) -> apsw.Connection:
    """A writer connection to a file without damage."""
    with storage_errors(path):
        connection = connect_writer(path)
        is_sound = False
        try:
            check_integrity(connection, path)
            is_sound = True
        finally:
            if not is_sound:
                connection.close()
    return connection


def _prepare(connection: apsw.Connection, path: Path) -> int:
    """Upgrade the schema; returns the number of this session, one above every earlier one."""
    upgrade(connection, path)
    session: int = connection.execute("SELECT session FROM meta").get
    return session + 1
