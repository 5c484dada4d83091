"""Shipping a data directory to another one while the service works on it.

Only reading transactions on a connection that cannot write and never checkpoints: the service stays
the only writer (SQLite's WAL-reset bug needs two). The online backup of SQLite starts over whenever
somebody writes and never ended under load; a base is one `VACUUM INTO` of one moment, and after it
only what was added to the log is shipped.
"""

from __future__ import annotations

import os
import shutil
import zlib
from contextlib import closing, suppress
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.storage.directory import (
    DATABASE_NAME,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    sync_directory,
)
from monitor.adapters.storage.shipment import (
    BASE,
    CURRENT,
    LogFile,
    Point,
    Segmented,
    generation,
    write_whole,
)
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_log import head
from monitor.adapters.storage.sqlite_schema import BUSY_MS, MIGRATIONS
from monitor.model.errors import StorageError

# Sealed goods and hashed names are nothing without their keys.
BESIDE = (
    "goods.db", "goods.key", "relay.db", "admin.token", "keys.json", "keys.used.json", "pepper",
)  # fmt: skip
BATCH_BYTES = 32 * 1024 * 1024  # of log in memory; more is shipped with the next batch
KEPT = 2  # generations
GROWING = {"audit": "place", "messages": "page"}


class Shipped(msgspec.Struct, frozen=True):
    """What one call did; `position` is how far the copy reaches now."""

    position: int
    segments: int
    sent_bytes: int
    is_new_base: bool
    folder: str


class Backup:
    """Copies one data directory into one backup directory; call `ship` as often as you like."""

    def __init__(self, data_dir: Path, target: Path) -> None:
        self._path = data_dir / DATABASE_NAME
        self._target = target
        self._log: LogFile | None = None
        self._folder: Path | None = None
        self._base: Point | None = None
        self._outbox_crc32: int | None = None
        self._versions: dict[str, int] = {}

    def ship(self, *, is_new_base: bool = False) -> Shipped:
        """Bring the copy up to the newest commit; the first call makes a base.

        Raises: StorageError when there is nothing to copy or the data directory cannot be read,
        OSError when the target cannot be written.
        """
        if not self._path.exists():
            raise StorageError(f"there is no database in {self._path.parent}",
                               hint="name the service's data_dir, with --config or --data-dir")  # fmt: skip
        self._target.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        with storage_errors(self._path), closing(_connect(self._path)) as source:
            _refuse_other_schema(source, self._path)
            self._open_log()
            is_new_base = is_new_base or self._log is None or self._is_other(source)
            sent_bytes = self._begin(source) if is_new_base else 0
            with _reading(source):
                segments, shipped_bytes = self._add(source)
        assert self._folder is not None
        sent_bytes += shipped_bytes
        sent_bytes += self._copy_beside(self._folder)
        return Shipped(self._known().position, segments, sent_bytes, is_new_base, str(self._folder))

    def _open_log(self) -> None:
        folder = generation(self._target)
        if folder is not None and folder != self._folder:
            self._folder, self._log, self._base = folder, LogFile(folder), _base_point(folder)

    def _known(self) -> Point:
        """How far the copy reaches."""
        assert self._log is not None
        assert self._base is not None
        return self._log.point or self._base

    def _is_other(self, source: apsw.Connection) -> bool:
        """Whether the original does not go on where the copy ends: restored, begun anew, trimmed."""
        known = self._known()
        commits = _meta(source)[1]
        after = "SELECT min(position) FROM segments WHERE position > ?"
        following = source.execute(after, (known.position,)).get
        is_gap = following is not None and following != known.position + 1
        return head(source) < known.position or commits < known.commits or is_gap

    def _begin(self, source: apsw.Connection) -> int:
        """Make a new generation with a base of its own, and forget the oldest."""
        draft = self._target / "base.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=PRIVATE_DIRECTORY)
        _vacuum(source, draft / BASE)
        with closing(_connect(draft / BASE)) as base:
            position = head(base)
        self._copy_beside(draft, is_new=True)
        folder = self._target / f"{position:020d}"
        number = 1
        while folder.exists():  # nothing new was logged since: another base of the same position
            folder = self._target / f"{position:020d}.{number}"
            number += 1
        draft.rename(folder)
        sync_directory(self._target)
        write_whole(self._target / CURRENT, f"{folder.name}\n".encode("ascii"))
        self._folder, self._log, self._base = folder, LogFile(folder), _base_point(folder)
        self._outbox_crc32 = None
        self._forget_old(folder)
        return (folder / BASE).stat().st_size

    def _add(self, source: apsw.Connection) -> tuple[int, int]:
        """Add what is new since the last point, inside one reading transaction, and a point."""
        assert self._log is not None
        known = self._known()
        position, count, size_bytes = known.position, 0, 0
        # A long log in pieces: without a point at their end they count for nothing yet.
        while piece := _segments_after(source, position):
            size_bytes += self._log.add(piece)
            position, count = piece[-1].position, count + len(piece)
        cursor, commits, session = _meta(source)
        outbox = [list(row) for row in source.execute("SELECT * FROM outbox")]
        crc32 = zlib.crc32(msgspec.msgpack.encode(outbox))
        is_same = crc32 == self._outbox_crc32
        if not count and is_same and commits == known.commits:
            return 0, 0
        self._outbox_crc32 = crc32
        added = {table: self._rows_after(source, table, key) for table, key in GROWING.items()}
        size_bytes += self._log.add(
            [Point(position, cursor, commits, session, None if is_same else outbox, added)]
        )
        return count, size_bytes

    def _rows_after(self, source: apsw.Connection, table: str, key: str) -> list[list[object]]:
        assert self._log is not None
        assert self._folder is not None
        place = self._log.places.get(table)
        if place is None:
            with closing(_connect(self._folder / BASE)) as base:
                place = base.execute(f"SELECT ifnull(max({key}), 0) FROM {table}").get  # noqa: S608 - our own names
        rows = source.execute(f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key}", (place,))  # noqa: S608 - our own names
        return [list(row) for row in rows]

    def _copy_beside(self, folder: Path, *, is_new: bool = False) -> int:
        """Copy the files beside the database that changed."""
        sent_bytes = 0
        for name in BESIDE:
            path, copy = self._path.with_name(name), folder / name
            if not path.exists():
                continue
            version = _version(path)
            if not is_new and copy.exists() and self._versions.get(name) == version:
                continue
            draft = folder / f".{name}.draft"
            draft.unlink(missing_ok=True)
            if name.endswith(".db"):
                with storage_errors(path), closing(_connect(path)) as source:
                    _vacuum(source, draft)
            else:
                write_whole(draft, path.read_bytes())
            draft.replace(copy)
            sync_directory(folder)
            self._versions[name] = version
            sent_bytes += copy.stat().st_size
        return sent_bytes

    def _forget_old(self, current: Path) -> None:
        """Keep the newest generations, the current one among them."""
        folders = sorted(
            (one for one in self._target.iterdir() if (one / BASE).exists() and one != current),
            key=lambda one: one.stat().st_mtime_ns,
        )
        for folder in folders[: -(KEPT - 1)]:
            shutil.rmtree(folder)


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    return connection


class _reading:  # noqa: N801 - used as a statement
    """All reads of the block see one moment."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("COMMIT")


def _refuse_other_schema(source: apsw.Connection, path: Path) -> None:
    version = int(source.pragma("user_version"))
    if version != len(MIGRATIONS):
        raise StorageError(
            f"{path} has schema {version}, this release writes {len(MIGRATIONS)}",
            hint="use the delivery-monitor that runs the service; its start brings the schema forward",
        )


def _vacuum(source: apsw.Connection, target: Path) -> None:
    """A copy of one moment under another name, synced."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        source.execute("VACUUM INTO ?", (str(target),))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(target.parent)


def _segments_after(source: apsw.Connection, position: int) -> list[Segmented]:
    found: list[Segmented] = []
    size_bytes = 0
    rows = source.execute(
        "SELECT position, crc32, kind, count, first_ms, last_ms, body FROM segments"
        " WHERE position > ? ORDER BY position",
        (position,),
    )
    with closing(rows):
        for row in rows:
            found.append(Segmented(*row))
            size_bytes += len(found[-1].body)
            if size_bytes > BATCH_BYTES:
                break
    return found


def _meta(source: apsw.Connection) -> tuple[int, int, int]:
    row = source.execute("SELECT cursor, commits, session FROM meta").fetchone()
    assert row is not None, "the schema inserts the only row of meta"
    return int(row[0]), int(row[1]), int(row[2])


def _base_point(folder: Path) -> Point:
    """The moment of a base."""
    with closing(_connect(folder / BASE)) as base:
        return Point(head(base), *_meta(base), None, {})


def _version(path: Path) -> int:
    """Changes with every change of a file or of its write-ahead log."""
    newest = path.stat().st_mtime_ns
    with suppress(FileNotFoundError):
        newest = max(newest, path.with_name(path.name + "-wal").stat().st_mtime_ns)
    return newest
