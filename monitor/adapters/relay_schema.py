"""The tables of `relay.db`: raw callbacks, what became of them, and what the monitor is still to hear.

callback  one body under one key; `item` is the first row of the key, NULL in that row itself
news      what the monitor is told, once each; `told` 0 while it has not been taken

open ──► accepted · passed · undelivered            extra: another body after the shop had accepted
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

from monitor.adapters.storage.directory import PRIVATE_DIRECTORY, PRIVATE_FILE, sync_directory
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.model.errors import StorageError

DATABASE_NAME = "relay.db"
VERSION = 2  # 2 is 1 with the index callback_plain
BUSY_MS = 5_000
CHECKPOINT_PAGES = 8_000  # 32 MiB: a checkpoint holds up a callback, so it is rare

_TABLES = """
CREATE TABLE IF NOT EXISTS callback (
    id INTEGER PRIMARY KEY,
    item INTEGER,
    relay TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('duty', 'passing', 'plain')),
    order_id TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('open', 'accepted', 'passed', 'undelivered', 'extra')),
    is_conflict INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0,
    closed_ms INTEGER,
    body_digest TEXT NOT NULL,
    fields_digest TEXT NOT NULL,
    callback BLOB NOT NULL,
    request BLOB NOT NULL,
    crc32 INTEGER NOT NULL,
    answer BLOB,
    CHECK ((state = 'open') = (closed_ms IS NULL))
);
CREATE TABLE IF NOT EXISTS news (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item INTEGER NOT NULL,
    kind TEXT NOT NULL,
    row INTEGER NOT NULL REFERENCES callback (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    UNIQUE (item, kind)
);
CREATE INDEX IF NOT EXISTS callback_key ON callback (key) WHERE key != '';
CREATE INDEX IF NOT EXISTS callback_open ON callback (ifnull(item, id)) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS callback_undelivered ON callback (id) WHERE state = 'undelivered';
CREATE INDEX IF NOT EXISTS callback_conflict ON callback (id) WHERE is_conflict;
CREATE INDEX IF NOT EXISTS callback_plain ON callback (id)
    WHERE kind = 'plain' AND closed_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS callback_closed ON callback (closed_ms) WHERE closed_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS news_row ON news (row);
CREATE INDEX IF NOT EXISTS news_untold ON news (id) WHERE told = 0;
"""


def connect(path: Path) -> apsw.Connection:
    """Open the file for its one writer; the first use makes it, readable by its owner only.

    Raises: StorageError for the file of a later release, which is not touched; apsw.Error, OSError.
    """
    path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
    sync_directory(path.parent)
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MS)
    # EXTRA while a new file becomes a WAL one: see `connect_writer` of the monitor's own database.
    connection.execute("PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    version = int(connection.pragma("user_version"))
    if version > VERSION:
        connection.close()
        raise StorageError(
            f"{path} has schema {version}, this release knows up to {VERSION}",
            code="newer_schema",
            hint="run the newer delivery-monitor that wrote it",
        )
    if version < VERSION:
        with connection:
            connection.execute(_TABLES)
            connection.pragma("user_version", VERSION)
    return connection


def erase_callbacks(data_dir: Path, orders: Sequence[str]) -> tuple[int, int]:
    """Delete callbacks of these orders, so that no old page holds them: (how many, how many stay).

    What is owed to the shop stays: deleting it would lose a payment. Raises: StorageError.
    """
    path = data_dir / DATABASE_NAME
    if not path.exists():
        return 0, 0
    ids = [(order,) for order in orders]
    with storage_errors(path), closing(connect(path)) as connection:
        count = "SELECT count(*) FROM callback WHERE order_id = ?"
        known = sum(int(connection.execute(count, one).get) for one in ids)
        connection.executemany("DELETE FROM callback WHERE order_id = ? AND state != 'open'", ids)
        connection.execute("VACUUM")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        left = sum(int(connection.execute(count, one).get) for one in ids)
    return known - left, left
