"""What `doctor` and `fsck` say about callbacks of payments: owed, given up, contradicting, damaged."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from monitor.adapters.clock import SystemClock
from monitor.adapters.relay_schema import DATABASE_NAME
from monitor.adapters.relay_store import counts_of
from monitor.adapters.storage.sqlite_errors import RESTORE_HINT
from monitor.adapters.storage.sqlite_schema import connect_reader
from monitor.cli.finding import BAD, OK, Finding
from monitor.model.times import MINUTE_MS, format_duration

OWED_MS_MAX = 5 * MINUTE_MS  # a shop that is started anew takes less
NAMED = 5
UNDELIVERED = "state = 'undelivered'"
OWED_BY = "state = 'open' AND kind = 'duty' AND relay = ?"

_OF_RELAYS = (
    "SELECT relay, count(DISTINCT ifnull(item, id)), min(received_ms) FROM callback"
    " WHERE state = 'open' AND kind = 'duty' GROUP BY relay ORDER BY relay"
)


def owed(data_dir: Path, relays: Collection[str]) -> list[Finding]:
    """What the relay has said yes for and the shop has not; nothing where no relay ever was.

    `relays` are the names of those that are configured.
    """
    if not (data_dir / DATABASE_NAME).exists():
        return []
    try:
        with closing(connect_reader(data_dir / DATABASE_NAME)) as sql:
            return _owed(sql, relays)
    except apsw.Error as error:
        return [Finding("relay", BAD, f"{DATABASE_NAME}: {type(error).__name__}", RESTORE_HINT)]


def _owed(sql: apsw.Connection, relays: Collection[str]) -> list[Finding]:
    counts = counts_of(sql)
    findings = []
    if counts.undelivered:
        found = f"{counts.undelivered} callbacks of payments were never taken: {_orders(sql, UNDELIVERED)}"
        advice = "mark these orders as paid in the shop by hand, or pay the money back"
        findings.append(Finding("relay", BAD, found, advice))
    if counts.conflicts:
        found = f"{counts.conflicts} callbacks contradict an earlier one of the same payment"
        advice = "look the payments up at the gateway; somebody may try to forge them"
        findings.append(Finding("relay", BAD, found, advice))
    of_relays: list[Any] = sql.execute(_OF_RELAYS).fetchall()
    for relay, count, oldest_ms in of_relays:
        findings += _owed_by(sql, relay, count, oldest_ms, is_served=relay in relays)
    return [*findings, Finding("relay", OK, f"{counts.owed} callbacks are owed to the shop")]


def _owed_by(
    sql: apsw.Connection, relay: str, count: int, oldest_ms: int, *, is_served: bool
) -> list[Finding]:
    """What one relay owes, if it is for too long or nobody configures the relay any more."""
    waited_ms = SystemClock().now_ms() - oldest_ms
    since = f"the oldest for {format_duration(waited_ms)}"
    if not is_served:
        orders = _orders(sql, OWED_BY, relay)
        found = f"{count} callbacks are owed by relay {relay}, which is not configured: {orders}; {since}"
        advice = (
            "configure it again under this name until they are gone, or mark the orders as paid"
        )
    elif waited_ms > OWED_MS_MAX:
        found = f"{count} callbacks of relay {relay} are owed to the shop, {since}"
        advice = "see why the shop does not answer or refuses: its log, relays[].forward, its key"
    else:
        return []
    return [Finding("relay", BAD, found, advice)]


def _orders(sql: apsw.Connection, which: str, *values: str) -> str:
    found = sql.execute(
        f"SELECT DISTINCT order_id FROM callback WHERE {which} ORDER BY id LIMIT ?",  # noqa: S608 - our own words
        (*values, NAMED + 1),
    ).fetchall()
    names = ", ".join(f"order {row[0]}" for row in found[:NAMED])
    return f"{names} …" if len(found) > NAMED else names


def whole(data_dir: Path) -> Finding:
    """Structure and checksums of every callback that is kept."""
    if not (data_dir / DATABASE_NAME).exists():
        return Finding("relay", OK, "none")
    with closing(connect_reader(data_dir / DATABASE_NAME)) as sql:
        found = [str(text) for (text,) in sql.execute("PRAGMA integrity_check(5)") if text != "ok"]
        count, damaged = 0, []
        for row, request, crc32 in sql.execute(
            "SELECT id, CAST(request AS BLOB), crc32 FROM callback"
        ):
            count += 1
            if zlib.crc32(request) != crc32:
                damaged.append(row)
        if damaged:
            found.append(f"{len(damaged)} callbacks are damaged, the first is {damaged[0]}")
        if found:
            return Finding("relay", BAD, "; ".join(found), RESTORE_HINT)
        return Finding("relay", OK, f"{count} callbacks, {counts_of(sql).owed} owed to the shop")
