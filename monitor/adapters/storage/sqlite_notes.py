"""The audit and the pages of signed messages in SQL; both are written with a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from monitor.ports import AuditRow, MessagePage, StoredAudit


def put_audits(connection: apsw.Connection, rows: Sequence[AuditRow]) -> None:
    """Append entries; one that is there already stays as it is."""
    connection.executemany(
        "INSERT INTO audit (audit_id, at_ms, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(row.audit_id, row.at_ms, row.body) for row in rows],
    )


def audits(connection: apsw.Connection, before: int | None, limit: int) -> list[StoredAudit]:
    """Entries, the newest first, from the one before a place on."""
    rows = connection.execute(
        "SELECT place, body FROM audit WHERE ?1 IS NULL OR place < ?1 ORDER BY place DESC LIMIT ?2",
        (before, limit),
    )
    return [StoredAudit(*row) for row in rows]


def put_page(connection: apsw.Connection, page: MessagePage) -> None:
    """Write a page of messages and delete those that are past."""
    connection.execute("DELETE FROM messages WHERE last_ms < ?", (page.forget_before_ms,))
    connection.execute(
        "INSERT INTO messages (last_ms, body) VALUES (?, ?)", (page.last_ms, page.body)
    )


def messages(connection: apsw.Connection, since_ms: int) -> list[MessagePage]:
    """Pages that end at a time or later, in the order they were written."""
    rows = connection.execute(
        "SELECT last_ms, body FROM messages WHERE last_ms >= ? ORDER BY page", (since_ms,)
    )
    return [MessagePage(*row) for row in rows]
