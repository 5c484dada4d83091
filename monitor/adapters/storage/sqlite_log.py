"""The log in SQL: one row per group commit, checked by a CRC whenever it is read."""

from __future__ import annotations

from contextlib import closing

import apsw

from monitor.adapters.storage.sqlite_checks import checksum, verify
from monitor.ports import Segment, StoredSegment

# Rows per transaction when old ones are deleted, so that nobody waits long behind it.
TRIM_ROWS = 50


def append(connection: apsw.Connection, segment: Segment) -> int:
    """Insert a segment and return its position."""
    connection.execute(
        "INSERT INTO segments (kind, count, first_ms, last_ms, crc32, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            segment.kind,
            segment.count,
            segment.first_ms,
            segment.last_ms,
            crc32_of(segment),
            segment.body,
        ),
    )
    return connection.last_insert_rowid()


def head(connection: apsw.Connection) -> int:
    """The newest position ever given; 0 before the first segment."""
    sequence: int | None = connection.execute(
        "SELECT seq FROM sqlite_sequence WHERE name = 'segments'"
    ).get
    return sequence or 0


def read(connection: apsw.Connection, after: int, max_bytes: int) -> list[StoredSegment]:
    """Segments after a position, in order, at least one if there is any.

    Raises: StorageError naming the position of a damaged segment.
    """
    found: list[StoredSegment] = []
    size_bytes = 0
    rows = connection.execute(
        "SELECT position, crc32, kind, count, first_ms, last_ms, body FROM segments"
        " WHERE position > ? ORDER BY position",
        (after,),
    )
    # A cursor left half-way would hold its view of the database and keep the log from shrinking.
    with closing(rows):
        for position, crc32, *facts in rows:
            segment = Segment(*facts)
            size_bytes += len(segment.body)
            if found and size_bytes > max_bytes:
                break
            found.append(_checked(position, crc32, segment))
    return found


def trim(connection: apsw.Connection, before_ms: int, up_to: int) -> int:
    """Delete at most 50 segments that are older and not beyond a position; returns how many."""
    connection.execute(
        "DELETE FROM segments WHERE position IN"
        " (SELECT position FROM segments WHERE last_ms < ? AND position <= ? LIMIT ?)",
        (before_ms, up_to, TRIM_ROWS),
    )
    return connection.changes()


def crc32_of(segment: Segment) -> int:
    """CRC-32 of everything in a segment."""
    facts = (segment.kind, segment.count, segment.first_ms, segment.last_ms, "")
    return checksum(segment.body, *facts)


def _checked(position: int, crc32: int, segment: Segment) -> StoredSegment:
    verify(f"log position {position}", crc32, crc32_of(segment))
    return StoredSegment(position, segment)
