"""The local key pool: units sealed in `goods.db`, each given to one attempt at most.

Reserving is compare-and-set in one transaction together with the vault's row, and idempotent by
`attempt_ref`. A question about an attempt that holds nothing bars it for good, so that `not_found`
stays true even if its submit were still to come.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw
import msgspec

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.goods_key import Sealer
from monitor.adapters.unanswered import unanswered
from monitor.adapters.vault import close_attempt, is_closed, repeat_later, store_goods
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.errors import StorageError
from monitor.model.records import AttemptAnswered

UNIT_CHARS_MAX = 4_096
SKU_CHARS_MAX = 200
STATES = ("free", "reserved", "sold", "quarantined")


class ImportReport(msgspec.Struct, frozen=True):
    """What became of a list of units; the tuples hold line numbers, counted from 1."""

    imported: int
    duplicates: tuple[int, ...] = ()
    too_long: tuple[int, ...] = ()
    empty: int = 0


class StockChannel:
    """Delivers from the pool; keeps `DeliveryChannel`."""

    def __init__(self, file: GoodsFile) -> None:
        self._file = file

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Reserve units for the attempt: delivered, or rejected with `out_of_stock`."""
        answer = unanswered(effect, now_ms)
        try:
            await self._file.open()
        except StorageError as error:
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_ready", blame="us", detail=error.code
            )
        try:
            goods, digest = await self._file.run(
                lambda connection, sealer: _reserve(connection, sealer, effect)
            )
        except StorageError as error:  # a failed commit may have reached the disk
            return msgspec.structs.replace(answer, outcome="unknown", detail=error.code)
        if digest is None:
            return msgspec.structs.replace(answer, outcome="rejected", code="out_of_stock")
        return _delivered(answer, goods, digest)

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Say what the attempt holds; after `not_found` it will never hold anything."""
        answer = msgspec.structs.replace(unanswered(effect, now_ms), is_query=True)
        try:
            goods, digest = await self._file.run(
                lambda connection, _sealer: _held_or_barred(connection, effect.attempt_ref)
            )
        except StorageError as error:
            return msgspec.structs.replace(answer, outcome="unknown", detail=error.code)
        if digest is None:
            return msgspec.structs.replace(answer, outcome="not_found")
        return _delivered(answer, goods, digest)

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:  # noqa: ARG002 - the port's
        """Lock the attempt's units away for ever; raises Transient while the file cannot be written."""
        with repeat_later():
            await self._file.run(
                lambda connection, _sealer: close_attempt(connection, effect.attempt_ref)
            )


async def import_units(file: GoodsFile, lines: Iterable[str], sku: str) -> ImportReport:
    """Add one unit per line to the pool; a key that is already known, of any sku, is skipped.

    All of it or nothing. Raises: StorageError.
    """
    numbered = [(number, line.strip("\ufeff \t\r\n")) for number, line in enumerate(lines, start=1)]

    def job(connection: apsw.Connection, sealer: Sealer) -> ImportReport:
        imported = 0
        duplicates: list[int] = []
        too_long: list[int] = []
        for number, unit in numbered:
            if len(unit) > UNIT_CHARS_MAX:
                too_long.append(number)
            elif unit and _add(connection, sealer, unit, sku[:SKU_CHARS_MAX]):
                imported += 1
            elif unit:
                duplicates.append(number)
        empty = sum(not unit for _, unit in numbered)
        return ImportReport(imported, tuple(duplicates), tuple(too_long), empty)

    return await file.run(job)


async def stock_counts(file: GoodsFile) -> dict[str, dict[str, int]]:
    """Units of the pool as sku → state → count, every state named."""

    def job(connection: apsw.Connection, _sealer: Sealer) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        rows = connection.execute("SELECT sku, state, count(*) FROM unit GROUP BY 1, 2 ORDER BY 1")
        for sku, state, count in rows:
            counts.setdefault(sku, dict.fromkeys(STATES, 0))[state] = count
        return counts

    return await file.run(job)


async def free_stock(file: GoodsFile) -> dict[str, int]:
    """Free units by sku, of every sku the pool ever held; never makes a file.

    Raises: StorageError.
    """
    if not file.exists:
        return {}
    return {sku: states["free"] for sku, states in (await stock_counts(file)).items()}


def _add(connection: apsw.Connection, sealer: Sealer, unit: str, sku: str) -> bool:
    digest = sealer.digest([unit])
    connection.execute(
        "INSERT OR IGNORE INTO unit (digest, sku, sealed, state) VALUES (?, ?, ?, 'free')",
        (digest, sku, sealer.seal(digest, [unit])),
    )
    return connection.changes() == 1


def _reserve(connection: apsw.Connection, sealer: Sealer, effect: Submit) -> tuple[int, str | None]:
    """Give the attempt its units, the oldest first; (count, None) when there are too few."""
    held = _held(connection, effect.attempt_ref)
    if held[1] is not None or is_closed(connection, effect.attempt_ref):
        return held
    free = list(
        connection.execute(
            "SELECT id, digest, sealed FROM unit WHERE sku = ? AND state = 'free'"
            " ORDER BY id LIMIT ?",
            (effect.sku, effect.quantity),
        )
    )
    if effect.quantity < 1 or len(free) < effect.quantity:
        return 0, None
    for unit_id, _, _ in free:
        connection.execute(
            "UPDATE unit SET state = 'reserved', attempt_ref = ? WHERE id = ? AND state = 'free'",
            (effect.attempt_ref, unit_id),
        )
        assert connection.changes() == 1, "the transaction saw this unit free"
    goods = [unit for _, digest, sealed in free for unit in sealer.open(digest, sealed)]
    return len(goods), store_goods(connection, sealer, effect.attempt_ref, goods)


def _held(connection: apsw.Connection, attempt_ref: str) -> tuple[int, str | None]:
    """How many units the attempt holds, and the digest of its goods."""
    digest: str | None = connection.execute(
        "SELECT digest FROM goods WHERE attempt_ref = ?", (attempt_ref,)
    ).get
    count = connection.execute("SELECT count(*) FROM unit WHERE attempt_ref = ?", (attempt_ref,))
    return count.get, digest


def _held_or_barred(connection: apsw.Connection, attempt_ref: str) -> tuple[int, str | None]:
    held = _held(connection, attempt_ref)
    if held[1] is None:
        close_attempt(connection, attempt_ref)
    return held


def _delivered(answer: AttemptAnswered, goods: int, digest: str) -> AttemptAnswered:
    return msgspec.structs.replace(
        answer, outcome="delivered", goods_count=goods, goods_digest=digest
    )
