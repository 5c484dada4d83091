"""The embedded database: how a connection is set up, its tables, and the steps to a newer schema."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import apsw

from monitor.adapters.storage import sqlite_takeovers
from monitor.adapters.storage.directory import PRIVATE_FILE
from monitor.adapters.storage.sqlite_errors import corrupt
from monitor.model.errors import StorageError

# Older ones can corrupt the file when two connections write or checkpoint a WAL (sqlite.org/wal.html).
SQLITE_MIN = (3, 51, 3)
BUSY_MS = 5_000
CHECK_MAX_S = 10.0
# "DMON": tells our file from another program's SQLite database.
APPLICATION_ID = 0x444D4F4E

# Each script runs once, in one transaction together with the new `user_version`. Never edit one that
# was released: append the next.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE segments (
        position INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, even after a trim
        kind TEXT NOT NULL,
        count INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        crc32 INTEGER NOT NULL,                     -- of the four facts above and the body
        body BLOB NOT NULL
    );
    CREATE INDEX segments_by_age ON segments (last_ms);

    CREATE TABLE orders (
        order_id TEXT PRIMARY KEY,
        closed_ms INTEGER,
        body BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX orders_closed ON orders (closed_ms) WHERE closed_ms IS NOT NULL;

    -- cursor: last `entries` position folded. session: counts processes that claimed effects.
    -- probes: changed for the sake of a write that means nothing.
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        cursor INTEGER NOT NULL,
        session INTEGER NOT NULL,
        probes INTEGER NOT NULL
    );
    INSERT INTO meta VALUES (1, 0, 0, 0);

    -- Apart from `meta`: an update rewrites the whole row, and a snapshot has megabytes.
    CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        position INTEGER NOT NULL,
        crc32 INTEGER NOT NULL,
        body BLOB NOT NULL
    );

    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        owner TEXT NOT NULL,                        -- '' when released
        epoch INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL
    ) WITHOUT ROWID;

    -- state: 0 ready, 1 under way, 2 under way and cancelled meanwhile.
    -- wake_ms: from when a claim may take the row; NULL for what is never taken again.
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        lane TEXT NOT NULL,
        body BLOB NOT NULL,
        due_ms INTEGER NOT NULL,
        is_repeatable INTEGER NOT NULL,
        expires_ms INTEGER,
        tries INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0,
        session INTEGER NOT NULL DEFAULT 0,
        wake_ms INTEGER
    );
    CREATE INDEX outbox_wake ON outbox (wake_ms) WHERE wake_ms IS NOT NULL;
    CREATE INDEX outbox_lane ON outbox (lane);

    CREATE TABLE aggregates (
        hour_ms INTEGER NOT NULL,
        channel TEXT NOT NULL,
        sku TEXT NOT NULL,
        never INTEGER NOT NULL,
        delivered BLOB NOT NULL,                    -- MessagePack map: bucket -> count
        PRIMARY KEY (hour_ms, channel, sku)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE audit (
        place INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given twice
        audit_id TEXT NOT NULL UNIQUE,
        at_ms INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    -- What was done was done: no statement of ours or of anybody's takes it back unnoticed.
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

    -- One row per commit with signed messages, which saves an index over all of them.
    CREATE TABLE messages (
        page INTEGER PRIMARY KEY,
        last_ms INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX messages_by_age ON messages (last_ms);
    """,
    # Checksums (sqlite_checks.py); NULL in rows that are older.
    """
    ALTER TABLE meta ADD COLUMN crc32 INTEGER;       -- of the cursor
    ALTER TABLE meta ADD COLUMN commits INTEGER NOT NULL DEFAULT 0; -- checkpoints and claims so far
    ALTER TABLE orders ADD COLUMN crc32 INTEGER;
    ALTER TABLE outbox ADD COLUMN crc32 INTEGER;     -- of what never changes in a row
    ALTER TABLE aggregates ADD COLUMN crc32 INTEGER;
    ALTER TABLE audit ADD COLUMN crc32 INTEGER;
    ALTER TABLE messages ADD COLUMN crc32 INTEGER;
    """,
    sqlite_takeovers.SCHEMA,
    # Rows of orders in the order in which they are written, several to a page. WITHOUT ROWID each
    # of them, being more than a quarter of a page, took a page of its own beside its key.
    """
    CREATE TABLE orders_by_row (
        order_id TEXT NOT NULL PRIMARY KEY,
        closed_ms INTEGER,
        body BLOB NOT NULL,
        crc32 INTEGER
    );
    INSERT INTO orders_by_row SELECT order_id, closed_ms, body, crc32 FROM orders;
    DROP TABLE orders;
    ALTER TABLE orders_by_row RENAME TO orders;
    CREATE INDEX orders_closed ON orders (closed_ms) WHERE closed_ms IS NOT NULL;
    """,
    sqlite_takeovers.FORGETTING,
)


def refuse_old_sqlite(version: str) -> None:
    """Accept only a SQLite without the WAL-reset bug; raises StorageError naming the needed one."""
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_MIN:
        needed = ".".join(str(part) for part in SQLITE_MIN)
        raise StorageError(
            f"SQLite {version} can corrupt the database; at least {needed} is needed",
            hint="install the apsw wheel of PyPI (it brings its own SQLite): pip install -U apsw",
        )


def connect_writer(path: Path) -> apsw.Connection:
    """The connection that does every write and every checkpoint; synced at each commit.

    `synchronous=FULL`: with NORMAL a power cut lost acknowledged rows in 1,191 of 1,500 images.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    # A new file becomes a WAL one by a journal that is deleted at the end. EXTRA syncs the folder
    # then: a journal that is back after a power cut would roll the whole file back to nothing.
    connection.pragma("synchronous", "extra")
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise StorageError(
            f"{path} cannot use a write-ahead log (journal mode {mode})",
            hint="put data_dir on a local disk; network file systems are not supported",
        )
    connection.pragma("synchronous", "full")
    connection.pragma("wal_autocheckpoint", 1_000)
    connection.pragma("journal_size_limit", 64 * 1024 * 1024)
    connection.pragma("cache_size", -16_384)
    return _hardened(connection)


def connect_reader(path: Path) -> apsw.Connection:
    """A connection that cannot write and never checkpoints."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("query_only", "on")
    connection.pragma("cache_size", -16_384)
    return _hardened(connection)


def _hardened(connection: apsw.Connection) -> apsw.Connection:
    connection.pragma("temp_store", "memory")
    connection.pragma("trusted_schema", "off")
    connection.pragma("cell_size_check", "on")
    return connection


def check_integrity(connection: apsw.Connection, path: Path) -> bool:
    """Look through the file for damage, for at most ten seconds; False if time ran out before.

    Raises: StorageError with the first finding.
    """
    deadline_s = time.monotonic() + CHECK_MAX_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline_s, 10_000)
    try:
        finding = connection.pragma("quick_check", 1)
    except apsw.InterruptError:
        return False
    finally:
        connection.set_progress_handler(None)
    if finding != "ok":
        raise corrupt(path, str(finding))
    return True


def upgrade(connection: apsw.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Bring the schema up to date step by step and return its version; a copy is kept before.

    The copy is `<database>.v<old version>`. Raises: StorageError for a newer or a foreign database.
    """
    version = int(connection.pragma("user_version"))
    if version > len(migrations):
        raise StorageError(
            f"{path} has schema {version}, this release knows up to {len(migrations)}",
            hint="run the newer delivery-monitor that wrote it, or restore a backup made before",
        )
    if version == 0:
        _refuse_foreign(connection, path)
    elif version < len(migrations):
        _keep_copy(connection, path.with_name(f"{path.name}.v{version}"))
    for step, script in enumerate(migrations[version:], start=version + 1):
        with transaction(connection):
            connection.execute(script)
            if script is sqlite_takeovers.SCHEMA:
                sqlite_takeovers.refill(connection)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", step)
    return len(migrations)


class transaction:  # noqa: N801 - used as a statement: `with transaction(connection):`
    """All of the block is committed, or, whatever is raised in it, nothing."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.commit_s = 0.0  # how long COMMIT took: writing to the log and syncing it

    def __enter__(self) -> Self:
        self._connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                started_s = time.perf_counter()
                self._connection.execute("COMMIT")
                self.commit_s = time.perf_counter() - started_s
        finally:
            # SQLite has already rolled back by itself after some errors, a full disk among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


class statement:  # noqa: N801 - like `transaction`
    """The block is a single statement, committed by itself; `commit_s` is all of it."""

    def __init__(self, connection: apsw.Connection) -> None:
        assert not connection.in_transaction
        self.commit_s = 0.0
        self._started_s = 0.0

    def __enter__(self) -> Self:
        self._started_s = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.commit_s = time.perf_counter() - self._started_s


def probe(connection: apsw.Connection) -> None:
    """Write something that means nothing, to learn whether the disk takes it.

    It has to differ from what is there: SQLite does not write a page that stays the same.
    """
    connection.execute("UPDATE meta SET probes = probes + 1")


def overwrite_refused(connection: apsw.Connection) -> bool:
    """Write over what a failed commit left in the write-ahead log; False if the disk refused that.

    When only the sync failed, all of the refused transaction is in the log and valid: this
    connection ignores it, but a recovery after a crash, or a reopening, would bring it back. The
    next commit goes to the same place; until one succeeds that risk remains.
    """
    with suppress(apsw.Error), transaction(connection):
        probe(connection)
        return True
    return False


def _refuse_foreign(connection: apsw.Connection, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if tables:
        raise StorageError(
            f"{path} is a database of another program",
            hint="name a data_dir of its own for delivery-monitor",
        )


def _keep_copy(connection: apsw.Connection, target: Path) -> None:
    """Copy the database under another name, synced; the copy appears only when it is whole."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        connection.execute("VACUUM INTO ?", (str(partial),))
        os.fsync(descriptor)
        partial.replace(target)
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)
