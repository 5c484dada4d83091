"""Rewrites what a stopped service has stored, so that what is taken out is on no page any more.

The log is append-only for the service. This is the one exception, for erasure: segments, orders and
snapshot get a new body and the checksum that belongs to it, in one transaction. Then every file is
written anew (VACUUM) and the write-ahead log is emptied: no old page remains.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.storage import sqlite_log, sqlite_notes, sqlite_state
from monitor.adapters.storage.directory import DATABASE_NAME, DirectoryLock
from monitor.adapters.storage.sqlite_checks import checksum
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import connect_writer, transaction, upgrade
from monitor.ports import AuditRow, OrderRow, Segment

TRACES_NAME = "traces.db"
READ_BYTES = 8_000_000


class Rewrite(msgspec.Struct, frozen=True):
    """How to rewrite: each function gets a body and gives the new one, None where nothing changes.

    `audit` is what the audit says of it; `order_ids` whose waiting traces are deleted.
    """

    segment: Callable[[Segment], bytes | None]
    order: Callable[[OrderRow], bytes | None]
    snapshot: Callable[[bytes], bytes | None]
    audit: AuditRow
    order_ids: Sequence[str] = ()


class Rewritten(msgspec.Struct, frozen=True):
    """How many rows of each kind have a new body."""

    segments: int
    orders: int
    snapshots: int


class StoppedStore:
    """The database of a service that does not run; holds the lock of its directory."""

    def __init__(self, data_dir: Path, connection: apsw.Connection) -> None:
        self._data_dir = data_dir
        self._connection = connection

    def segments(self) -> Iterator[tuple[int, Segment]]:
        """Every segment with its position, checked."""
        position = 0
        while found := sqlite_log.read(self._connection, position, READ_BYTES):
            for stored in found:
                position = stored.position
                yield position, stored.segment

    def orders(self) -> Iterator[OrderRow]:
        """Every stored order, checked."""
        ids = [row[0] for row in self._connection.execute("SELECT order_id FROM orders")]
        for start in range(0, len(ids), 500):
            yield from sqlite_state.lookup(self._connection, ids[start : start + 500]).values()

    def snapshot(self) -> bytes | None:
        """The snapshot, checked."""
        return sqlite_state.load(self._connection).snapshot

    def rewrite(self, how: Rewrite) -> Rewritten:
        """Change all that `how` says, in one transaction, and leave nothing of the old pages."""
        self._connection.pragma("secure_delete", "on")
        with transaction(self._connection):
            counts = Rewritten(
                self._rewrite_segments(how.segment),
                self._rewrite_orders(how.order),
                self._rewrite_snapshot(how.snapshot),
            )
            sqlite_notes.put_audits(self._connection, [how.audit])
        _clean(self._connection)
        self._forget_traces(how.order_ids)
        return counts

    def _rewrite_segments(self, change: Callable[[Segment], bytes | None]) -> int:
        count = 0
        for position, segment in self.segments():
            body = change(segment)
            if body is None:
                continue
            crc32 = sqlite_log.crc32_of(msgspec.structs.replace(segment, body=body))
            self._connection.execute(
                "UPDATE segments SET body = ?, crc32 = ? WHERE position = ?",
                (body, crc32, position),
            )
            count += 1
        return count

    def _rewrite_orders(self, change: Callable[[OrderRow], bytes | None]) -> int:
        count = 0
        for row in list(self.orders()):
            body = change(row)
            if body is None:
                continue
            self._connection.execute(
                "UPDATE orders SET body = ?, crc32 = ? WHERE order_id = ?",
                (body, checksum(body, row.order_id, row.closed_ms), row.order_id),
            )
            count += 1
        return count

    def _rewrite_snapshot(self, change: Callable[[bytes], bytes | None]) -> int:
        snapshot = self.snapshot()
        body = None if snapshot is None else change(snapshot)
        if body is None:
            return 0
        self._connection.execute(
            "UPDATE snapshots SET body = ?, crc32 = ?", (body, zlib.crc32(body))
        )
        return 1

    def _forget_traces(self, order_ids: Sequence[str]) -> None:
        """Traces that still wait for the collector hold whole orders."""
        path = self._data_dir / TRACES_NAME
        if not path.exists():
            return
        with storage_errors(path), closing(apsw.Connection(str(path))) as connection:
            connection.pragma("secure_delete", "on")
            ids = [(order_id,) for order_id in order_ids]
            connection.executemany("DELETE FROM queue WHERE order_id = ?", ids)
            connection.executemany("DELETE FROM sent WHERE order_id = ?", ids)
            _clean(connection)


@contextmanager
def stopped_store(data_dir: Path) -> Iterator[StoppedStore]:
    """Open the database of a stopped service.

    Raises: FencedError while a service uses it; StorageError when it cannot be used.
    """
    path = data_dir / DATABASE_NAME
    lock = DirectoryLock(data_dir)
    try:
        with storage_errors(path), closing(connect_writer(path)) as connection:
            upgrade(connection, path)
            yield StoppedStore(data_dir, connection)
    finally:
        lock.release()


def files_with(folder: Path, needles: Sequence[bytes]) -> list[str]:
    """Names of the files below a folder that hold any of the texts, sorted; links are not followed."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and _holds(path, needles)
    )


def _holds(path: Path, needles: Sequence[bytes]) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(needle) >= 0 for needle in needles)


def _clean(connection: apsw.Connection) -> None:
    """Write the file anew and empty its write-ahead log."""
    connection.execute("VACUUM")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
