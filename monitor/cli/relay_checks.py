"""What `doctor` and `fsck` say about callbacks of payments: owed, given up, contradicting, damaged."""

from __future__ import annotations

import zlib
from contextlib import closing
from pathlib import Path

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


def owed(data_dir: Path) -> list[Finding]:
    """What the relay has said yes for and the shop has not; nothing where no relay ever was."""
    if not (data_dir / DATABASE_NAME).exists():
        return []
    try:
        with closing(connect_reader(data_dir / DATABASE_NAME)) as sql:
            return _owed(sql)
    except apsw.Error as error:
        return [Finding("relay", BAD, f"{DATABASE_NAME}: {type(error).__name__}", RESTORE_HINT)]


def _owed(sql: apsw.Connection) -> list[Finding]:
    counts = counts_of(sql)
    findings = []
    if counts.undelivered:
        found = f"{counts.undelivered} callbacks of payments were never taken: {_orders(sql)}"
        advice = "mark these orders as paid in the shop by hand, or pay the money back"
        findings.append(Finding("relay", BAD, found, advice))
    if counts.conflicts:
        found = f"{counts.conflicts} callbacks contradict an earlier one of the same payment"
        advice = "look the payments up at the gateway; somebody may try to forge them"
        findings.append(Finding("relay", BAD, found, advice))
    waited_ms = SystemClock().now_ms() - (counts.oldest_ms or 0)
    if counts.owed and waited_ms > OWED_MS_MAX:
        found = f"{counts.owed} callbacks are owed to the shop, the oldest for {format_duration(waited_ms)}"
        advice = "see why the shop does not answer or refuses: its log, relays[].forward, its key"
        findings.append(Finding("relay", BAD, found, advice))
    if not findings:
        findings.append(Finding("relay", OK, f"{counts.owed} callbacks are owed to the shop"))
    return findings


def _orders(sql: apsw.Connection) -> str:
    found = sql.execute(
        "SELECT DISTINCT order_id FROM callback WHERE state = 'undelivered' ORDER BY id LIMIT ?",
        (NAMED + 1,),
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
