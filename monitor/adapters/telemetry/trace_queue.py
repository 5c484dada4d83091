"""Orders whose traces wait for the collector, in one small SQLite file beside the database.

A file of its own, so that telemetry never competes for the one writer of the log, and losing it
loses nothing but telemetry. All calls are made from one thread, the sink's.

    put ──► queue ──take──► (encoded, sent) ──settle──► sent: the ids of spans that are through
              └─ over the bounds: the oldest leave, counted
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.telemetry.spans import Span, spans_of
from monitor.core.orders.order import Order
from monitor.model.times import DAY_MS

FILE_NAME = "traces.db"
ROWS_MAX = 200_000  # about 100 MB; two hours at 27 orders a second
AGE_MS_MAX = DAY_MS
SPANS_PER_BATCH = 500
SENT_ROWS_MAX = 400_000  # orders whose exported span ids are remembered, so each goes out once

_ORDERS_PER_BATCH = 250
_SPAN_ID_BYTES = 8
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id TEXT NOT NULL UNIQUE,
  queued_ms INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sent (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id TEXT NOT NULL UNIQUE,
  span_ids BLOB NOT NULL
);
"""
_ORDER = msgspec.json.Decoder(Order)


class Taken(msgspec.Struct, frozen=True):
    """One batch: the spans to send, and the rows it stands for as (sequence, order id, span ids)."""

    spans: tuple[Span, ...]
    rows: tuple[tuple[int, str, bytes], ...]


class TraceQueue:
    """The durable queue of one data directory."""

    def __init__(
        self, data_dir: Path, *, rows_max: int = ROWS_MAX, age_ms_max: int = AGE_MS_MAX
    ) -> None:
        self._rows_max = rows_max
        self._age_ms_max = age_ms_max
        self._path = data_dir / FILE_NAME
        self._connection: apsw.Connection | None = None

    def put(self, orders: Sequence[tuple[str, bytes]], now_ms: int) -> int:
        """Keep (order id, body) durably, newest last; return how many of the oldest had to leave.

        Raises: apsw.Error when the file cannot be written; then nothing is kept.
        """
        with self._open() as sql:
            sql.executemany(
                "INSERT OR REPLACE INTO queue (order_id, queued_ms, body) VALUES (?, ?, ?)",
                [(order_id, now_ms, zlib.compress(body, level=1)) for order_id, body in orders],
            )
            before = sql.total_changes()
            sql.execute("DELETE FROM queue WHERE queued_ms < ?", (now_ms - self._age_ms_max,))
            over = self._count(sql) - self._rows_max
            sql.execute(
                "DELETE FROM queue WHERE sequence IN"
                " (SELECT sequence FROM queue ORDER BY sequence LIMIT max(?, 0))",
                (over,),
            )
            after = sql.total_changes()
        return after - before

    def take(self) -> Taken:
        """The oldest orders with spans that were never sent, at most 500 spans.

        An order alone may have more: its spans stay together. Rows stay until `settle`.
        """
        spans: list[Span] = []
        rows: list[tuple[int, str, bytes]] = []
        with self._open() as sql:
            for sequence, order_id, body, sent in sql.execute(
                "SELECT queue.sequence, order_id, body, coalesce(span_ids, x'')"
                " FROM queue LEFT JOIN sent USING (order_id) ORDER BY queue.sequence LIMIT ?",
                (_ORDERS_PER_BATCH,),
            ):
                fresh = _unsent(body, sent)
                if spans and len(spans) + len(fresh) > SPANS_PER_BATCH:
                    break
                spans += fresh
                rows.append((sequence, order_id, b"".join(span.span_id for span in fresh)))
        return Taken(tuple(spans), tuple(rows))

    def settle(self, taken: Taken, *, is_sent: bool) -> None:
        """Forget a batch that was delivered (`is_sent`) or refused for good.

        An order offered again meanwhile is a new row and stays.
        """
        with self._open() as sql:
            sql.executemany(
                "DELETE FROM queue WHERE sequence = ?",
                [(sequence,) for sequence, _, _ in taken.rows],
            )
            if not is_sent:
                return
            sql.executemany(
                "INSERT INTO sent (order_id, span_ids) VALUES (?, ?)"
                " ON CONFLICT (order_id) DO UPDATE SET span_ids = span_ids || excluded.span_ids",
                [(order_id, ids) for _, order_id, ids in taken.rows if ids],
            )
            sql.execute(
                "DELETE FROM sent WHERE sequence <= (SELECT max(sequence) FROM sent) - ?",
                (SENT_ROWS_MAX,),
            )

    def count(self) -> int:
        """How many orders wait."""
        return self._count(self._open())

    def put_aside(self) -> None:
        """Rename a damaged file, so that the next call starts an empty one; call `close` first."""
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                path = self._path.with_name(self._path.name + suffix)
                path.replace(self._path.with_name(f"{FILE_NAME}.damaged{suffix}"))

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> apsw.Connection:
        """The connection; as a context manager it is one transaction."""
        if self._connection is None:
            connection = apsw.Connection(str(self._path))
            self._path.chmod(0o600)
            connection.set_busy_timeout(1_000)
            connection.pragma("journal_mode", "wal")
            # kill -9 loses nothing; a power cut may lose the last traces, which is telemetry.
            connection.pragma("synchronous", "normal")
            connection.execute(_SCHEMA)
            self._connection = connection
        return self._connection

    @staticmethod
    def _count(sql: apsw.Connection) -> int:
        return int(sql.execute("SELECT count(*) FROM queue").get)


def _unsent(body: bytes, sent: bytes) -> list[Span]:
    """Spans of a stored order that were never exported; none if it cannot be read."""
    try:
        spans = spans_of(_ORDER.decode(zlib.decompress(body)))
    except (msgspec.DecodeError, zlib.error):
        return []  # written by another release; the order itself is in the store
    known = {sent[start : start + _SPAN_ID_BYTES] for start in range(0, len(sent), _SPAN_ID_BYTES)}
    return [span for span in spans if span.span_id not in known]
