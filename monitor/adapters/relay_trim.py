"""What `relay.db` forgets: what is over for long enough, and the oldest of it beyond a size.

open                         never
untold news of it            never
what nobody could read       as soon as it is over: anybody may send it
undelivered                  after 90 days: a person has to deliver it
the rest                     after 7 days: longer than any gateway repeats itself
beyond `BYTES_MAX`           the oldest, undelivered ones last
"""

from __future__ import annotations

from typing import Any

import apsw

from monitor.model.times import DAY_MS

KEPT_MS = 7 * DAY_MS
UNDELIVERED_KEPT_MS = 90 * DAY_MS
BYTES_MAX = 512 << 20  # of the file: a week of ten orders a minute is 300 MiB
STEP_ROWS = 500
STEP_BYTES = 4 << 20  # callbacks wait while a step is written

# The newest stays, so that no number is ever given to a second callback.
_OVER = (
    "SELECT id, length(request) + length(callback) + ifnull(length(answer), 0) FROM callback{}"
    " WHERE closed_ms IS NOT NULL AND id < (SELECT max(id) FROM callback)"
    " AND NOT EXISTS (SELECT 1 FROM news WHERE news.row = callback.id AND told = 0)"
)
_OLDEST = f" ORDER BY closed_ms LIMIT {STEP_ROWS}"
_PLAIN = f"{_OVER.format(' INDEXED BY callback_plain')} AND kind = 'plain' LIMIT {STEP_ROWS}"
_OTHERS = f"{_OVER.format(' INDEXED BY callback_closed')} AND state != 'undelivered'"
_UNDELIVERED = f"{_OVER.format(' INDEXED BY callback_undelivered')} AND state = 'undelivered'"


def trim(connection: apsw.Connection, now_ms: int, bytes_max: int) -> int:
    """Delete a little of what is to be forgotten; returns how many rows, 0: there is no more."""
    too_old = f" AND closed_ms < ?{_OLDEST}"
    gone = (
        _deleted(connection, _PLAIN, (), STEP_BYTES)
        or _deleted(connection, _OTHERS + too_old, (now_ms - KEPT_MS,), STEP_BYTES)
        or _deleted(connection, _UNDELIVERED + too_old, (now_ms - UNDELIVERED_KEPT_MS,), STEP_BYTES)
    )
    if gone:
        return gone
    excess = used_bytes(connection) - bytes_max
    if excess <= 0:
        return 0
    step = min(excess, STEP_BYTES)
    return _deleted(connection, _OTHERS + _OLDEST, (), step) or _deleted(
        connection, _UNDELIVERED + _OLDEST, (), step
    )


def used_bytes(connection: apsw.Connection) -> int:
    """What is in the file, without the pages that wait to be used again."""
    pages: Any = connection.pragma("page_count")
    free: Any = connection.pragma("freelist_count")
    size: Any = connection.pragma("page_size")
    return int((pages - free) * size)


def _deleted(
    connection: apsw.Connection, select: str, values: tuple[int, ...], bytes_max: int
) -> int:
    """Delete the first of the selected rows, up to a size; at least one, if there is any."""
    found: list[Any] = connection.execute(select, values).fetchall()
    ids = []
    for row, size in found:
        if bytes_max <= 0:
            break
        ids.append((row,))
        bytes_max -= size
    connection.executemany("DELETE FROM callback WHERE id = ?", ids)
    return len(ids)
