"""Looking at everything in a database: its structure, its indexes, and the checksum of each row."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from monitor.adapters.storage import sqlite_outbox
from monitor.adapters.storage.sqlite_checks import checksum
from monitor.adapters.storage.sqlite_log import crc32_of
from monitor.ports import OutboxRow, Segment

FINDINGS_MAX = 100
# Rows in memory are cheap to look at again, rows of gigabytes are not: those wait until we serve.
AT_ONCE_BYTES = 64 * 1024 * 1024

Checked = tuple[object, int | None, int]  # key, checksum in the row, checksum of its content


def is_small(path: Path) -> bool:
    """Whether everything can be looked at before the service starts: about half a second."""
    return path.stat().st_size <= AT_ONCE_BYTES


def structure(connection: apsw.Connection) -> list[str]:
    """What SQLite finds wrong with its pages, indexes and constraints; empty if nothing."""
    rows = connection.execute(f"PRAGMA integrity_check({FINDINGS_MAX})").fetchall()
    return [str(text) for (text,) in rows if text != "ok"]


def damaged_rows(connection: apsw.Connection) -> Iterator[tuple[str, object]]:
    """Table and key of each row whose content is not what was written."""
    for table, rows in ROWS.items():
        for key, found, expected in rows(connection):
            if found is not None and found != expected:
                yield table, key


def findings(connection: apsw.Connection) -> list[str]:
    """Everything that is wrong, in words; at most about a hundred."""
    found = structure(connection)
    for table, key in damaged_rows(connection):
        found.append(f"{named(table, key)} is damaged: its checksum does not match")
        if len(found) >= FINDINGS_MAX:
            break
    return found


def named(table: str, key: object) -> str:
    """A row in the words of a person."""
    return f"{_WORDS[table]} {key}"


def _meta(sql: apsw.Connection) -> Iterator[Checked]:
    for cursor, crc32 in sql.execute("SELECT cursor, crc32 FROM meta"):
        yield "cursor", crc32, checksum(b"", cursor)


def _segments(sql: apsw.Connection) -> Iterator[Checked]:
    query = "SELECT position, crc32, kind, count, first_ms, last_ms, body FROM segments"
    for position, crc32, *facts in sql.execute(query):
        yield position, crc32, crc32_of(Segment(*facts))


def _snapshots(sql: apsw.Connection) -> Iterator[Checked]:
    for position, crc32, body in sql.execute("SELECT position, crc32, body FROM snapshots"):
        yield position, crc32, zlib.crc32(body)


def _orders(sql: apsw.Connection) -> Iterator[Checked]:
    # Bytes, whatever a damaged row says they are: as a text they would have to be UTF-8.
    query = "SELECT order_id, closed_ms, CAST(body AS BLOB), crc32 FROM orders"
    for order_id, closed_ms, body, crc32 in sql.execute(query):
        yield order_id, crc32, checksum(body, order_id, closed_ms)


def _outbox(sql: apsw.Connection) -> Iterator[Checked]:
    query = "SELECT key, lane, body, due_ms, is_repeatable, expires_ms, tries, crc32 FROM outbox"
    for key, lane, body, due_ms, is_repeatable, expires_ms, tries, crc32 in sql.execute(query):
        row = OutboxRow(key, lane, body, due_ms, bool(is_repeatable), expires_ms, tries)
        yield key, crc32, sqlite_outbox.crc32_of(row)


def _aggregates(sql: apsw.Connection) -> Iterator[Checked]:
    query = "SELECT hour_ms, channel, sku, never, delivered, crc32 FROM aggregates"
    for *facts, delivered, crc32 in sql.execute(query):
        yield tuple(facts[:3]), crc32, checksum(delivered, *facts)


def _audit(sql: apsw.Connection) -> Iterator[Checked]:
    query = "SELECT place, audit_id, at_ms, body, crc32 FROM audit"
    for place, audit_id, at_ms, body, crc32 in sql.execute(query):
        yield place, crc32, checksum(body, audit_id, at_ms)


def _messages(sql: apsw.Connection) -> Iterator[Checked]:
    for page, last_ms, body, crc32 in sql.execute(
        "SELECT page, last_ms, body, crc32 FROM messages"
    ):
        yield page, crc32, checksum(body, last_ms)


_WORDS = {
    "meta": "the",
    "segments": "log position",
    "snapshots": "the snapshot at log position",
    "orders": "order",
    "outbox": "effect",
    "aggregates": "the hour",
    "audit": "entry of the audit",
    "messages": "page of signed messages",
}
ROWS: dict[str, Callable[[apsw.Connection], Iterator[Checked]]] = {
    "meta": _meta,
    "segments": _segments,
    "snapshots": _snapshots,
    "orders": _orders,
    "outbox": _outbox,
    "aggregates": _aggregates,
    "audit": _audit,
    "messages": _messages,
}
