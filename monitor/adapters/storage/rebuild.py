"""A damaged database is put aside, and a new one made of what can be proven to be whole.

Without asking, only from a log that is complete from its first position on: orders, snapshot and
history follow from it, so nothing can be missing. When old events were trimmed, or some cannot be
read, that is for a person to decide: a backup, or `fsck --repair`, which keeps what is sound and
names what is not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec

from monitor.adapters.storage import sqlite_takeovers
from monitor.adapters.storage.directory import (
    DATABASE_NAME,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    sync_directory,
)
from monitor.adapters.storage.sqlite_checks import checksum, damaged
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_log import crc32_of, head
from monitor.adapters.storage.sqlite_schema import connect_writer, transaction, upgrade
from monitor.adapters.storage.sqlite_scrub import damaged_rows, named
from monitor.adapters.storage.tail import MARK_NAME, marked
from monitor.model.errors import StorageError
from monitor.ports import Segment

QUARANTINE = "damaged-"
DRAFT = "monitor.db.rebuilt"
# What follows from a whole log, and what does not.
DERIVED = ("orders", "snapshots", "aggregates")
KEPT = ("outbox", "leases", "audit", "messages")
LOST_MAX = 20


class Rebuilt(msgspec.Struct, frozen=True):
    """What was kept, what could not be, and where the damaged files are."""

    reason: str
    segments: int
    is_whole: bool
    lost: tuple[str, ...]
    folder: str

    def __str__(self) -> str:
        how = "rebuilt from its log" if self.is_whole else "repaired with what was sound"
        lost = f"; lost: {', '.join(self.lost[:LOST_MAX])}" if self.lost else "; nothing is lost"
        return f"{self.reason}; {how} ({self.segments} segments){lost}; the damaged files are in {self.folder}"


def rebuild(data_dir: Path, reason: str, *, may_lose: bool = False) -> Rebuilt:
    """Put the damaged database aside and a new one in its place; nobody else may use the directory.

    Raises: StorageError (`storage_corrupt`) when the log is not whole and `may_lose` is False; then
    nothing was changed.
    """
    path, draft = data_dir / DATABASE_NAME, data_dir / DRAFT
    _forget(draft)
    if not (may_lose or _looks_whole(path)):  # the service asks again every few seconds
        raise _not_whole(reason)
    try:
        with storage_errors(path):
            segments, is_whole, lost = _drafted(path, draft, data_dir)
        if not (is_whole or may_lose):
            raise _not_whole(reason)
        folder = _put_aside(data_dir)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        if not is_whole:
            (data_dir / MARK_NAME).unlink(missing_ok=True)  # what it speaks of is gone
        draft.replace(path)
        sync_directory(data_dir)
    finally:
        _forget(draft)
    return Rebuilt(reason, segments, is_whole, tuple(lost), str(folder))


def _not_whole(reason: str) -> StorageError:
    return damaged(f"{reason}; its log is not whole, so it cannot be rebuilt without a loss")


def _looks_whole(path: Path) -> bool:
    """Whether each position is there, whatever is in it; cheap, even of gigabytes."""
    try:
        with closing(_connect(path)) as old:
            first, last, count = old.execute(
                "SELECT min(position), max(position), count(*) FROM segments"
            ).fetchall()[0]
    except apsw.Error:
        return False
    return bool(first == 1 and last == count)


def _drafted(path: Path, draft: Path, data_dir: Path) -> tuple[int, bool, list[str]]:
    """Make the new database; returns its segments, whether the log is whole, and what is lost."""
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    with closing(_connect(path)) as old, closing(connect_writer(draft)) as new:
        upgrade(new, draft)
        lost: list[str] = []
        with transaction(new):
            count, first = _copy_log(old, new)
            cursor = _cursor(old, new)
            position, commits = marked(data_dir)
            newest = max(position, _sequence(old) or 0, cursor)
            is_whole = count > 0 and count == newest and _sequence(old) is not None
            if missing := newest - first + 1 - count:
                lost.append(f"{missing} log positions")
            if (held := _commits(old)) < commits:
                lost.append(f"{commits - held} commits of what was decided; it is decided again")
            if not is_whole:
                cursor = _decide_again(new, _snapshot_position(old), newest, cursor, lost)
            for table in KEPT if is_whole else (*KEPT, *DERIVED):
                lost += _copy_table(old, new, table)
            new.execute(
                "UPDATE meta SET cursor = ?, crc32 = ?, commits = ?",
                (cursor, checksum(b"", cursor), commits),
            )
            # Effects under way belong to earlier sessions: the next one has to be above all of them.
            new.execute("UPDATE meta SET session = (SELECT ifnull(max(session), 0) FROM outbox)")
            lost += _drop_damaged(new)
            sqlite_takeovers.refill(new)
        new.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return count, is_whole, lost


def _connect(path: Path) -> apsw.Connection:
    """The damaged database, to be read and left as it is."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.pragma("query_only", "on")
    return connection


def _copy_log(old: apsw.Connection, new: apsw.Connection) -> tuple[int, int]:
    """Copy what is whole of the log; returns how many segments, and the position of the first."""
    count, first = 0, 1
    for position, crc32, *facts in _readable_segments(old):
        if crc32_of(Segment(*facts)) == crc32:
            new.execute(
                "INSERT INTO segments (position, crc32, kind, count, first_ms, last_ms, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (position, crc32, *facts),
            )
            count, first = count + 1, first if count else position
    return count, first


def _readable_segments(old: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """Rows of the log in order; behind a page that cannot be read one is asked for at a time."""
    columns = "SELECT position, crc32, kind, count, first_ms, last_ms, body FROM segments"
    last = 0
    try:
        for row in old.execute(f"{columns} ORDER BY position"):
            last = int(row[0])
            yield row
    except apsw.Error:
        for position in range(last + 1, (_sequence(old) or 0) + 1):
            with suppress(apsw.Error):
                yield from old.execute(f"{columns} WHERE position = ?", (position,))


def _sequence(old: apsw.Connection) -> int | None:
    """The newest position ever given; None when even that cannot be read."""
    try:
        return head(old)
    except apsw.Error:
        return None


def _snapshot_position(old: apsw.Connection) -> int:
    with suppress(apsw.Error):
        return int(old.execute("SELECT position FROM snapshots").get or 0)
    return 0


def _decide_again(
    new: apsw.Connection, snapshot: int, newest: int, cursor: int, lost: list[str]
) -> int:
    """Drop decisions behind a hole that a restart would read; returns the cursor before the hole.

    What they rest on may be missing, so they cannot be folded: what is there is decided anew.
    """
    known = {row[0] for row in new.execute("SELECT position FROM segments")}
    hole = next((one for one in range(snapshot + 1, newest + 1) if one not in known), None)
    if hole is None:
        return cursor
    new.execute("DELETE FROM segments WHERE kind = 'decisions' AND position > ?", (hole,))
    if dropped := new.changes():
        lost.append(f"decisions of {dropped} turns after log position {hole}, taken anew")
    return min(cursor, hole)


def _commits(old: apsw.Connection) -> int:
    with suppress(apsw.Error):
        return int(old.execute("SELECT commits FROM meta").get or 0)
    return 0


def _copy_table(old: apsw.Connection, new: apsw.Connection, table: str) -> list[str]:
    """Copy the rows that can be read; says what could not."""
    columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
    try:
        rows = old.execute(f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED")  # noqa: S608 - our own names
        for row in rows:
            new.execute(insert, row)
    except apsw.Error:
        return [f"a part of {table}"]
    return []


def _cursor(old: apsw.Connection, new: apsw.Connection) -> int:
    """The cursor as it was, else the last entries that were decided about for certain."""
    with suppress(apsw.Error):
        row = old.execute("SELECT cursor, crc32 FROM meta").fetchone()
        if row is not None and row[1] == checksum(b"", row[0]):
            return int(row[0])
    found = new.execute(
        "SELECT max(position) FROM segments WHERE kind = 'entries'"
        " AND position < (SELECT max(position) FROM segments WHERE kind = 'decisions')"
    ).get
    return int(found or 0)


def _drop_damaged(new: apsw.Connection) -> list[str]:
    """Delete rows whose content is not what was written; names them."""
    keys = {"orders": "order_id", "outbox": "key", "snapshots": "position", "messages": "page"}
    found = list(damaged_rows(new))
    for table, key in found:
        if table in keys:
            new.execute(f"DELETE FROM {table} WHERE {keys[table]} = ?", (key,))  # noqa: S608 - our own names
        elif table == "aggregates" and isinstance(key, tuple):
            new.execute("DELETE FROM aggregates WHERE (hour_ms, channel, sku) = (?, ?, ?)", key)
    return [named(table, key) for table, key in found]


def _put_aside(data_dir: Path) -> Path:
    """Copy the damaged files, synced, into a folder of their own."""
    number = 1
    while (folder := data_dir / f"{QUARANTINE}{number}").exists():
        number += 1
    folder.mkdir(mode=PRIVATE_DIRECTORY)
    for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal", MARK_NAME):
        with suppress(FileNotFoundError):
            shutil.copy2(data_dir / name, folder / name)
            with (folder / name).open("rb") as copied:
                os.fsync(copied.fileno())
    sync_directory(folder)
    return folder


def _forget(draft: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        draft.with_name(draft.name + end).unlink(missing_ok=True)
