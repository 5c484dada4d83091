"""Orders, snapshot, leases, aggregates and the checkpoint that moves all of them at once, in SQL."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import apsw
import msgspec

from monitor.adapters.storage import sqlite_log, sqlite_notes, sqlite_outbox, sqlite_takeovers
from monitor.adapters.storage.sqlite_checks import checksum, verify
from monitor.model.errors import FencedError
from monitor.ports import AggregateRow, Checkpoint, Lease, OrderRow, Restart

# Rows per transaction when old ones are deleted, so that nobody waits long behind it.
PURGE_ROWS = 500
ROWS_PER_STATEMENT = 128

_PUT_ORDERS = (
    "INSERT INTO orders (order_id, closed_ms, body, crc32) VALUES {} ON CONFLICT DO UPDATE"
    " SET closed_ms = excluded.closed_ms, body = excluded.body, crc32 = excluded.crc32"
)
_BUCKETS = msgspec.msgpack.Decoder(dict[int, int])


def load(connection: apsw.Connection) -> Restart:
    """The snapshot, the log position it stands for and the newest cursor.

    Raises: StorageError when the snapshot is damaged.
    """
    row = connection.execute(
        "SELECT cursor, meta.crc32, position, snapshots.crc32, body"
        " FROM meta LEFT JOIN snapshots USING (id)"
    ).fetchone()
    assert row is not None, "the schema inserts the only row of meta"
    cursor, cursor_crc32, position, crc32, body = row
    verify("the cursor of the log", cursor_crc32, checksum(b"", cursor))
    if body is None:
        return Restart(None, 0, cursor)
    verify(f"the snapshot at log position {position}", crc32, zlib.crc32(body))
    return Restart(body, position, cursor)


def lookup(connection: apsw.Connection, order_ids: Sequence[str]) -> dict[str, OrderRow]:
    """Stored orders by id, in one statement."""
    rows = connection.execute(
        "SELECT order_id, closed_ms, CAST(orders.body AS BLOB), crc32 FROM json_each(?) AS wanted"
        " JOIN orders ON order_id = wanted.value",
        (msgspec.json.encode(list(order_ids)).decode(),),
    )
    found: dict[str, OrderRow] = {}
    for order_id, closed_ms, body, crc32 in rows:
        verify(f"order {order_id}", crc32, checksum(body, order_id, closed_ms))
        found[order_id] = OrderRow(order_id, closed_ms, body)
    return found


def closed_ids(connection: apsw.Connection) -> list[str]:
    """Ids of closed orders, from the index alone."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT order_id FROM orders WHERE closed_ms IS NOT NULL ORDER BY closed_ms, order_id"
        )
    ]


def purge(connection: apsw.Connection, closed_before_ms: int) -> int:
    """Delete at most 500 orders closed before a time; returns how many."""
    connection.execute(
        "DELETE FROM orders WHERE order_id IN"
        " (SELECT order_id FROM orders WHERE closed_ms < ? LIMIT ?)",
        (closed_before_ms, PURGE_ROWS),
    )
    return connection.changes()


def commit(connection: apsw.Connection, lease: Lease, checkpoint: Checkpoint) -> int:
    """Write a checkpoint inside the caller's transaction; returns the newest log position.

    Raises: FencedError before anything is written if the lease's epoch is not the newest.
    """
    epoch: int | None = connection.execute(
        "SELECT epoch FROM leases WHERE name = ?", (lease.name,)
    ).get
    if epoch != lease.epoch:
        raise FencedError(
            f"lease {lease.name!r} moved on to epoch {epoch or 0}; ours is {lease.epoch}"
        )
    position = max(checkpoint.cursor, checkpoint.position)
    if checkpoint.decisions is not None:
        position = sqlite_log.append(connection, checkpoint.decisions)
    connection.execute(
        "UPDATE meta SET cursor = ?, crc32 = ?, commits = commits + 1",
        (checkpoint.cursor, checksum(b"", checkpoint.cursor)),
    )
    _write_orders(connection, checkpoint.orders)
    sqlite_takeovers.put(connection, checkpoint.cases)
    if checkpoint.rewind is not None:
        sqlite_outbox.follow_clock(connection, checkpoint.rewind)
    sqlite_outbox.put(connection, checkpoint.outbox)
    sqlite_outbox.delete(connection, checkpoint.done)
    sqlite_outbox.cancel(connection, checkpoint.cancelled)
    _write_aggregates(connection, checkpoint.aggregates)
    sqlite_notes.put_audits(connection, checkpoint.audits)
    if checkpoint.messages is not None:
        sqlite_notes.put_page(connection, checkpoint.messages)
    if checkpoint.snapshot is not None:
        connection.execute(
            "REPLACE INTO snapshots (id, position, crc32, body) VALUES (1, ?, ?, ?)",
            (position, zlib.crc32(checkpoint.snapshot), checkpoint.snapshot),
        )
    return sqlite_log.head(connection)


def _write_orders(connection: apsw.Connection, rows: Sequence[OrderRow]) -> None:
    """Insert or replace rows, many with one statement.

    Each statement is a way through the interpreter's lock and back, which a busy loop holds up.
    """
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[start : start + ROWS_PER_STATEMENT]
        values: list[str | int | bytes | None] = []
        for row in some:
            crc32 = checksum(row.body, row.order_id, row.closed_ms)
            values += (row.order_id, row.closed_ms, row.body, crc32)
        places = ",".join(["(?, ?, ?, ?)"] * len(some))
        connection.execute(_PUT_ORDERS.format(places), values)


def acquire(
    connection: apsw.Connection, name: str, owner: str, now_ms: int, ttl_ms: int
) -> Lease | None:
    """Take a lease that is free, expired or one's own, with the next epoch."""
    epoch: int | None = connection.execute(
        "INSERT INTO leases (name, owner, epoch, expires_ms) VALUES (?1, ?2, 1, ?3)"
        " ON CONFLICT DO UPDATE SET owner = ?2, epoch = epoch + 1, expires_ms = ?3"
        " WHERE owner = ?2 OR expires_ms <= ?4 RETURNING epoch",
        (name, owner, now_ms + ttl_ms, now_ms),
    ).get
    return None if epoch is None else Lease(name, owner, epoch)


def renew(connection: apsw.Connection, lease: Lease, now_ms: int, ttl_ms: int) -> bool:
    """Extend a lease that is still the newest; False otherwise."""
    connection.execute(
        "UPDATE leases SET expires_ms = ? WHERE name = ? AND owner = ? AND epoch = ?",
        (now_ms + ttl_ms, lease.name, lease.owner, lease.epoch),
    )
    return connection.changes() == 1


def release(connection: apsw.Connection, lease: Lease) -> None:
    """Free a lease that is still the newest; its row stays, for the epoch."""
    connection.execute(
        "UPDATE leases SET owner = '', expires_ms = 0 WHERE name = ? AND owner = ? AND epoch = ?",
        (lease.name, lease.owner, lease.epoch),
    )


def merge(
    connection: apsw.Connection, since_ms: int, channel: str | None, sku: str | None
) -> AggregateRow:
    """Add up the hours from a time on."""
    delivered: dict[int, int] = {}
    never = 0
    rows = connection.execute(
        "SELECT hour_ms, channel, sku, never, delivered, crc32 FROM aggregates WHERE hour_ms >= ?1"
        " AND (?2 IS NULL OR channel = ?2) AND (?3 IS NULL OR sku = ?3)",
        (since_ms, channel, sku),
    )
    for *key, hour_never, buckets, crc32 in rows:
        verify(f"the hour {key[0]}", crc32, checksum(buckets, *key, hour_never))
        never += hour_never
        for bucket, count in _BUCKETS.decode(buckets).items():
            delivered[bucket] = delivered.get(bucket, 0) + count
    return AggregateRow(since_ms, channel or "", sku or "", delivered, never)


def _write_aggregates(connection: apsw.Connection, rows: Sequence[AggregateRow]) -> None:
    connection.executemany(
        "REPLACE INTO aggregates (hour_ms, channel, sku, never, delivered, crc32)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [_hour(row) for row in rows],
    )


def _hour(row: AggregateRow) -> tuple[int, str, str, int, bytes, int]:
    key = (row.hour_ms, row.channel, row.sku, row.never)
    buckets = msgspec.msgpack.encode(row.delivered)
    return (*key, buckets, checksum(buckets, *key))
