"""A data directory made of a backup: the base, and the log that was shipped after it."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec

from monitor.adapters.storage import sqlite_takeovers
from monitor.adapters.storage.backup import BESIDE
from monitor.adapters.storage.directory import DATABASE_NAME, PRIVATE_FILE, make_private
from monitor.adapters.storage.shipment import BASE, Point, Segmented, frames, generation, logs
from monitor.adapters.storage.sqlite_checks import checksum, damaged
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_log import crc32_of, head
from monitor.adapters.storage.sqlite_schema import connect_writer, transaction
from monitor.model.errors import StorageError
from monitor.ports import Segment


class Restored(msgspec.Struct, frozen=True):
    """Where the copy began, how far it reaches, and which files came with it."""

    base_position: int
    position: int
    segments: int
    ignored_bytes: int
    files: tuple[str, ...]


def restore(backup: Path, data_dir: Path) -> Restored:
    """Make a data directory of the newest moment of a backup; nothing is overwritten.

    Raises: StorageError when there is no backup, the backup is damaged, or the directory is in use.
    """
    folder = generation(backup)
    if folder is None or not (folder / BASE).exists():
        raise StorageError(f"{backup} is not a backup",
                           hint="name the directory that `delivery-monitor backup` wrote to")  # fmt: skip
    path = data_dir / DATABASE_NAME
    if path.exists() and path.stat().st_size:
        raise StorageError(f"{path} exists already",
                           hint="move the old data directory away, or name an empty one")  # fmt: skip
    make_private(data_dir)
    files = [name for name in BESIDE if (folder / name).exists()]
    for name in files:
        _copy(folder / name, data_dir / name)
    _copy(folder / BASE, path)
    with storage_errors(path), closing(connect_writer(path)) as connection:
        base_position = head(connection)
        with transaction(connection):
            count = _replay(connection, folder)
            sqlite_takeovers.refill(connection)
        position = head(connection)
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return Restored(base_position, position, count, _ignored_bytes(folder), tuple(files))


def _replay(connection: apsw.Connection, folder: Path) -> int:
    """Add everything up to the last point; returns how many segments."""
    waiting: dict[int, Segmented] = {}  # a copy that was interrupted is repeated behind itself
    count = 0
    for path in logs(folder):
        for frame, _ in frames(path):
            if isinstance(frame, Segmented):
                waiting[frame.position] = frame
                continue
            for position in sorted(waiting):
                _add(connection, waiting[position])
            count += len(waiting)
            waiting.clear()
            _reach(connection, frame)
    return count


def _ignored_bytes(folder: Path) -> int:
    """Bytes behind the last point: half a copy, or damage."""
    ignored = 0
    for path in logs(folder):
        end = 0
        for frame, offset in frames(path):
            if isinstance(frame, Point):
                ignored, end = 0, offset
        ignored += path.stat().st_size - end
    return ignored


def _add(connection: apsw.Connection, shipped: Segmented) -> None:
    facts = (shipped.kind, shipped.count, shipped.first_ms, shipped.last_ms, shipped.body)
    if crc32_of(Segment(*facts)) != shipped.crc32:
        raise damaged(f"log position {shipped.position} of the backup is damaged")
    if shipped.position != head(connection) + 1:
        raise damaged(f"log position {head(connection) + 1} is missing in the backup")
    connection.execute(
        "INSERT INTO segments (position, crc32, kind, count, first_ms, last_ms, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (shipped.position, shipped.crc32, *facts),
    )


def _reach(connection: apsw.Connection, point: Point) -> None:
    """Set everything beside the log to this moment."""
    connection.execute(
        "UPDATE meta SET cursor = ?, crc32 = ?, commits = ?, session = ?",
        (point.cursor, checksum(b"", point.cursor), point.commits, point.session),
    )
    if point.outbox is not None:
        connection.execute("DELETE FROM outbox")
        _insert(connection, "outbox", point.outbox)
    for table, rows in point.added.items():
        _insert(connection, table, rows)


def _insert(connection: apsw.Connection, table: str, rows: list[list[Any]]) -> None:
    for row in rows:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 - our own names


def _copy(source: Path, target: Path) -> None:
    """Copy a file, readable by its owner only, synced."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file, source.open("rb") as original:
        shutil.copyfileobj(original, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
