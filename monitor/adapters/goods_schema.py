"""The tables of `goods.db`, and how an older file becomes one of today.

goods       what an attempt obtained, sealed
given       each unit of it, and to which attempt it was given first
closed      attempts that must never hand out anything
unit        the local pool; `attempt_ref` is set by reserving and never cleared
shared_use  which attempt was given which unit of goods whose keys may be shared

free ──► reserved ──► sold          reserved, sold ──► quarantined (with its attempt: for ever)
├──► quarantined (without one: nobody has seen it) ──► free
└──► revoked
"""

from __future__ import annotations

import apsw

from monitor.model.errors import StorageError

VERSION = 3

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key_check BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS goods (
    attempt_ref TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given (
    digest TEXT PRIMARY KEY,
    attempt_ref TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closed (attempt_ref TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unit (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    sku TEXT NOT NULL,
    sealed BLOB NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('free', 'reserved', 'sold', 'quarantined', 'revoked')),
    attempt_ref TEXT,
    batch TEXT,
    cost_minor INTEGER,
    expires_ms INTEGER,
    taken_ms INTEGER,
    CHECK (state NOT IN ('free', 'revoked') OR attempt_ref IS NULL),
    CHECK (state NOT IN ('reserved', 'sold') OR attempt_ref IS NOT NULL)
);
CREATE TABLE IF NOT EXISTS shared_use (
    attempt_ref TEXT NOT NULL,
    unit_id INTEGER NOT NULL REFERENCES unit (id),
    taken_ms INTEGER NOT NULL,
    PRIMARY KEY (attempt_ref, unit_id)
) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS unit_free ON unit (sku, expires_ms, id) WHERE state = 'free';
CREATE INDEX IF NOT EXISTS unit_attempt ON unit (attempt_ref) WHERE attempt_ref IS NOT NULL;
CREATE INDEX IF NOT EXISTS unit_taken ON unit (taken_ms) WHERE taken_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS shared_use_unit ON shared_use (unit_id);
"""


def prepare(connection: apsw.Connection, path: str) -> int:
    """Bring the tables to this version in one transaction; what is in them stays.

    Returns the version before, 0 for a new file; of 1 and 2 `given` is still to be filled.

    Raises: StorageError for the file of a later release, which is not touched.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.pragma("user_version"))
        if version > VERSION:
            raise StorageError(
                f"{path} has schema {version}, this release knows up to {VERSION}",
                code="newer_schema",
                hint="run the newer delivery-monitor that wrote it",
            )
        if version == 1:
            connection.execute("ALTER TABLE unit RENAME TO unit_of_1")
        connection.execute(_TABLES)
        if version == 1:
            connection.execute(
                "INSERT INTO unit (id, digest, sku, sealed, state, attempt_ref)"
                " SELECT id, digest, sku, sealed, state, attempt_ref FROM unit_of_1"
            )
            connection.execute("DROP TABLE unit_of_1")
        connection.execute(_INDEXES)
        connection.pragma("user_version", VERSION)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return version
