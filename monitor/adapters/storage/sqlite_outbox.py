"""The outbox in SQL: effects ready, under way, or under way and cancelled meanwhile.

put ──► READY ──claim──► SENT ──delete──► (gone)
          ▲                │ ├─cancel (not repeatable)──► ENDING ──delete, retry──► (gone)
          └─retry, expired─┘ └─cancel (repeatable)──► (gone)
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from monitor.adapters.storage.sqlite_checks import checksum, verify
from monitor.model.commands import Rewind
from monitor.model.takeovers import CLOCK_PLAY_MS
from monitor.ports import OutboxRow

READY, SENT, ENDING = 0, 1, 2

_COLUMNS = "key, lane, body, due_ms, is_repeatable, expires_ms, tries"


def put(connection: apsw.Connection, rows: Sequence[OutboxRow]) -> None:
    """Insert rows; a key that is there already keeps its row (same cause, same effect)."""
    connection.executemany(
        f"INSERT INTO outbox ({_COLUMNS}, crc32, wake_ms)"  # noqa: S608 - constants
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?4)"
        " ON CONFLICT (key) DO NOTHING",
        [
            (
                row.key,
                row.lane,
                row.body,
                row.due_ms,
                row.is_repeatable,
                row.expires_ms,
                row.tries,
                crc32_of(row),
            )
            for row in rows
        ],
    )


def delete(connection: apsw.Connection, keys: Sequence[str]) -> None:
    """Remove rows in any state; unknown keys are ignored."""
    connection.executemany("DELETE FROM outbox WHERE key = ?", [(key,) for key in keys])


def cancel(connection: apsw.Connection, keys: Sequence[str]) -> None:
    """Remove rows, except one that is under way and must not be repeated.

    That one stays, never to be sent again, so that a crash still finds its unknown outcome.
    """
    connection.executemany(
        "DELETE FROM outbox WHERE key = ? AND (state = ? OR is_repeatable)",
        [(key, READY) for key in keys],
    )
    connection.executemany(
        "UPDATE outbox SET state = ? WHERE key = ?", [(ENDING, key) for key in keys]
    )


def claim(
    connection: apsw.Connection, session: int, now_ms: int, limit: int, lease_ms: int
) -> list[OutboxRow]:
    """Take the rows that became claimable first and mark them as under way in this session."""
    rows = _rows(
        connection.execute(
            f"SELECT {_COLUMNS}, crc32 FROM outbox WHERE wake_ms <= ?"  # noqa: S608 - constants
            " ORDER BY wake_ms, sequence LIMIT ?",
            (now_ms, limit),
        )
    )
    if rows:
        connection.execute(
            "UPDATE meta SET session = max(session, ?), commits = commits + 1", (session,)
        )
    connection.executemany(
        "UPDATE outbox SET state = ?, session = ?, wake_ms = iif(is_repeatable, ?, NULL)"
        " WHERE key = ?",
        [(SENT, session, now_ms + lease_ms, row.key) for row in rows],
    )
    return rows


def retry(connection: apsw.Connection, key: str, due_ms: int) -> None:
    """Make a row under way ready for later, one try older; a cancelled one goes."""
    _ready_again(connection, [key], due_ms, tries=1)


def put_back(connection: apsw.Connection, keys: Sequence[str], due_ms: int) -> None:
    """Make rows under way ready for later, as if they had not been claimed; cancelled ones go."""
    _ready_again(connection, keys, due_ms, tries=0)


def _ready_again(
    connection: apsw.Connection, keys: Sequence[str], due_ms: int, *, tries: int
) -> None:
    connection.executemany(
        "DELETE FROM outbox WHERE key = ? AND state = ?", [(key, ENDING) for key in keys]
    )
    connection.executemany(
        "UPDATE outbox SET state = ?1, due_ms = ?2, wake_ms = ?2, tries = tries + ?3"
        " WHERE key = ?4 AND state = ?5",
        [(READY, due_ms, tries, key, SENT) for key in keys],
    )


def interrupted(connection: apsw.Connection, session: int) -> list[OutboxRow]:
    """Rows claimed in earlier sessions, oldest first; repeatable ones become ready."""
    rows = _rows(
        connection.execute(
            f"SELECT {_COLUMNS}, crc32 FROM outbox WHERE state <> ? AND session < ?"  # noqa: S608 - constants
            " ORDER BY due_ms, sequence",
            (READY, session),
        )
    )
    connection.execute(
        "UPDATE outbox SET state = ?, wake_ms = due_ms"
        " WHERE state = ? AND is_repeatable AND session < ?",
        (READY, SENT, session),
    )
    return rows


def follow_clock(connection: apsw.Connection, rewind: Rewind) -> None:
    """After the clock was set back, wait for as long as was meant and not for the same time."""
    connection.execute(
        "UPDATE outbox SET due_ms = max(?1, due_ms - ?2), wake_ms = max(?1, wake_ms - ?2)"
        " WHERE wake_ms > ?1 + ?3",
        (rewind.at_ms, rewind.by_ms, CLOCK_PLAY_MS),
    )


def depth(connection: apsw.Connection) -> dict[str, int]:
    """Rows by lane, from the index alone."""
    return dict(connection.execute("SELECT lane, count(*) FROM outbox GROUP BY lane ORDER BY lane"))


def _rows(cursor: apsw.Cursor) -> list[OutboxRow]:
    found: list[OutboxRow] = []
    for key, lane, body, due_ms, is_repeatable, expires_ms, tries, crc32 in cursor:
        row = OutboxRow(key, lane, body, due_ms, bool(is_repeatable), expires_ms, tries)
        verify(f"effect {key}", crc32, crc32_of(row))
        found.append(row)
    return found


def crc32_of(row: OutboxRow) -> int:
    """Of what stays the same for as long as the row is there."""
    return checksum(row.body, row.key, row.lane, row.is_repeatable, row.expires_ms)
