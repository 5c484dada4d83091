"""The audit and the pages of signed messages in SQL; both are written with a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from monitor.adapters.storage.sqlite_checks import checksum, verify
from monitor.ports import AuditRow, MessagePage, StoredAudit


def put_audits(connection: apsw.Connection, rows: Sequence[AuditRow]) -> None:
    """Append entries; one that is there already stays as it is."""
    connection.executemany(
        "INSERT INTO audit (audit_id, at_ms, body, crc32) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (row.audit_id, row.at_ms, row.body, checksum(row.body, row.audit_id, row.at_ms))
            for row in rows
        ],
    )


def audits(connection: apsw.Connection, before: int | None, limit: int) -> list[StoredAudit]:
    """Entries, the newest first, from the one before a place on."""
    rows = connection.execute(
        "SELECT place, audit_id, at_ms, body, crc32 FROM audit"
        " WHERE ?1 IS NULL OR place < ?1 ORDER BY place DESC LIMIT ?2",
        (before, limit),
    )
    found: list[StoredAudit] = []
    for place, audit_id, at_ms, body, crc32 in rows:
        verify(f"entry {place} of the audit", crc32, checksum(body, audit_id, at_ms))
        found.append(StoredAudit(place, body))
    return found


def put_page(connection: apsw.Connection, page: MessagePage) -> None:
    """Write a page of messages and delete those that are past."""
    connection.execute("DELETE FROM messages WHERE last_ms < ?", (page.forget_before_ms,))
    connection.execute(
        "INSERT INTO messages (last_ms, body, crc32) VALUES (?, ?, ?)",
        (page.last_ms, page.body, checksum(page.body, page.last_ms)),
    )


def messages(connection: apsw.Connection, since_ms: int) -> list[MessagePage]:
    """Pages that end at a time or later, in the order they were written."""
    rows = connection.execute(
        "SELECT last_ms, body, crc32 FROM messages WHERE last_ms >= ? ORDER BY page", (since_ms,)
    )
    found: list[MessagePage] = []
    for last_ms, body, crc32 in rows:
        verify("a page of signed messages", crc32, checksum(body, last_ms))
        found.append(MessagePage(last_ms, body))
    return found
