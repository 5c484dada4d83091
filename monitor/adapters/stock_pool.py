"""The local key pool as a store: what came in, what is left, for how long, and what is set aside.

Units come in batches with a name, a cost and an expiry, and leave through
`monitor/adapters/channels/stock.py`. Nothing here shows a key.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw
import msgspec

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.goods_key import Sealer
from monitor.model.times import DAY_MS

UNIT_CHARS_MAX = 4_096
SKU_CHARS_MAX = 200
STATES = ("free", "reserved", "sold", "quarantined", "revoked")
FORECAST_DAYS = 7
# Of a unit that nobody may have seen: a person can take it out of the pool, and back.
_ASIDE = {
    "quarantine": ("free", "quarantined"),
    "release": ("quarantined", "free"),
    "revoke": ("free", "revoked"),
}
ASIDE_ACTIONS = tuple(_ASIDE)


class Batch(msgspec.Struct, frozen=True):
    """What units came with: a name, what each cost, and when they expire; None is not known."""

    name: str | None = None
    cost_minor: int | None = None
    expires_ms: int | None = None


class ImportReport(msgspec.Struct, frozen=True):
    """What became of a list of units; the tuples hold line numbers, counted from 1."""

    imported: int
    duplicates: tuple[int, ...] = ()
    too_long: tuple[int, ...] = ()
    empty: int = 0


class Level(msgspec.Struct, frozen=True):
    """How a sku stands. `free` may be delivered, `expired` never will be.

    `taken` were given out in the last 7 days; `days_left` is how long the free ones last at that
    rate, None while nothing is taken.
    """

    free: int = 0
    reserved: int = 0
    sold: int = 0
    quarantined: int = 0
    revoked: int = 0
    expired: int = 0
    taken: int = 0
    days_left: float | None = None
    next_expiry_ms: int | None = None


async def import_units(
    file: GoodsFile,
    lines: Iterable[str],
    sku: str,
    batch: Batch | None = None,
    expiries_ms: dict[int, int] | None = None,
) -> ImportReport:
    """Add one unit per line to the pool; a key that is already known, of any sku, is skipped.

    `expiries_ms` are those of single lines, by number. All of it or nothing. Raises: StorageError.
    """
    numbered = [(number, line.strip("\ufeff \t\r\n")) for number, line in enumerate(lines, start=1)]
    own, batch = expiries_ms or {}, batch or Batch()

    def job(connection: apsw.Connection, sealer: Sealer) -> ImportReport:
        imported = 0
        duplicates: list[int] = []
        too_long: list[int] = []
        for number, unit in numbered:
            came = msgspec.structs.replace(batch, expires_ms=own.get(number, batch.expires_ms))
            if len(unit) > UNIT_CHARS_MAX:
                too_long.append(number)
            elif unit and _add(connection, sealer, unit, sku[:SKU_CHARS_MAX], came):
                imported += 1
            elif unit:
                duplicates.append(number)
        empty = sum(not unit for _, unit in numbered)
        return ImportReport(imported, tuple(duplicates), tuple(too_long), empty)

    return await file.run(job)


async def stock_levels(file: GoodsFile, now_ms: int) -> dict[str, Level]:
    """How every sku of the pool stands."""
    since_ms = now_ms - FORECAST_DAYS * DAY_MS

    def job(connection: apsw.Connection, _sealer: Sealer) -> dict[str, Level]:
        counts: dict[str, dict[str, int]] = {}
        rows = connection.execute(
            "SELECT sku, CASE WHEN state = 'free' AND expires_ms <= ? THEN 'expired' ELSE state END,"
            " count(*) FROM unit GROUP BY 1, 2 ORDER BY 1",
            (now_ms,),
        )
        for sku, state, count in rows:
            counts.setdefault(sku, {})[state] = count
        taken = dict(connection.execute(
            "SELECT sku, count(*) FROM ("
            " SELECT sku, taken_ms FROM unit WHERE taken_ms > ?1 UNION ALL"
            " SELECT u.sku, s.taken_ms FROM shared_use s JOIN unit u ON u.id = s.unit_id"
            "  WHERE s.taken_ms > ?1) GROUP BY 1",
            (since_ms,),
        ))  # fmt: skip
        expiries = dict(connection.execute(
            "SELECT sku, min(expires_ms) FROM unit WHERE state = 'free' AND expires_ms > ?"
            " GROUP BY 1",
            (now_ms,),
        ))  # fmt: skip
        return {
            sku: _level(found, taken.get(sku, 0), expiries.get(sku))
            for sku, found in counts.items()
        }

    return await file.run(job)


async def free_stock(file: GoodsFile, now_ms: int) -> dict[str, int]:
    """Free units by sku, of every sku the pool ever held; never makes a file.

    Raises: StorageError.
    """
    if not file.exists:
        return {}
    return {sku: level.free for sku, level in (await stock_levels(file, now_ms)).items()}


async def set_aside(
    file: GoodsFile, action: str, *, sku: str | None = None, batch: str | None = None
) -> int:
    """Take units out of the pool (`quarantine`, `revoke`) or back (`release`); returns how many.

    Only units that no attempt ever held are touched: a key that was shown never comes back.
    """
    before, after = _ASIDE[action]

    def job(connection: apsw.Connection, _sealer: Sealer) -> int:
        connection.execute(
            "UPDATE unit SET state = ? WHERE state = ? AND attempt_ref IS NULL"
            " AND (?3 IS NULL OR sku = ?3) AND (?4 IS NULL OR batch = ?4)",
            (after, before, sku, batch),
        )
        return connection.changes()

    return await file.run(job)


def _add(connection: apsw.Connection, sealer: Sealer, unit: str, sku: str, batch: Batch) -> bool:
    digest = sealer.digest([unit])
    connection.execute(
        "INSERT OR IGNORE INTO unit (digest, sku, sealed, state, batch, cost_minor, expires_ms)"
        " VALUES (?, ?, ?, 'free', ?, ?, ?)",
        (digest, sku, sealer.seal(digest, [unit]), batch.name, batch.cost_minor, batch.expires_ms),
    )
    return connection.changes() == 1


def _level(counts: dict[str, int], taken: int, next_expiry_ms: int | None) -> Level:
    free = counts.get("free", 0)
    days_left = round(free * FORECAST_DAYS / taken, 1) if taken else None
    return Level(**counts, taken=taken, days_left=days_left, next_expiry_ms=next_expiry_ms)
