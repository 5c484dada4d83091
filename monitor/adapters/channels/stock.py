"""Delivery from the local key pool: units sealed in `goods.db`, each given to one attempt at most.

Reserving is compare-and-set in one transaction together with the vault's row, and idempotent by
`attempt_ref`. What expires first goes first, then what came first; what has expired never goes. A
question about an attempt that holds nothing bars it for good, so that `not_found` stays true even
if its submit were still to come.

Keys of a sku that is `shared` may be given to many orders, because they are sold that way (volume
licences); each of their uses is written down. If such a sku becomes unique again, keys that were
given to somebody stay where they are.
"""

from __future__ import annotations

import apsw
import msgspec

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.goods_key import Sealer
from monitor.adapters.unanswered import unanswered
from monitor.adapters.vault import close_attempt, is_closed, repeat_later, store_goods
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.errors import StorageError
from monitor.model.records import AttemptAnswered

# NULL sorts first in SQLite: units that never expire would go before those that soon do.
_FREE = (
    "SELECT id, digest, sealed FROM unit WHERE sku = ?1 AND state = 'free'"
    " AND (expires_ms IS NULL OR expires_ms > ?2)"
    " AND (?3 OR NOT EXISTS (SELECT 1 FROM shared_use WHERE unit_id = unit.id)"
    "  AND digest NOT IN (SELECT digest FROM given))"
    " ORDER BY expires_ms IS NULL, expires_ms, id LIMIT ?4"
)


class StockChannel:
    """Delivers from the pool; keeps `DeliveryChannel`. `shared_skus`: their keys serve many orders."""

    def __init__(self, file: GoodsFile, shared_skus: tuple[str, ...] = ()) -> None:
        self._file = file
        self._shared_skus = frozenset(shared_skus)

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Reserve units for the attempt: delivered, or rejected with `out_of_stock`."""
        answer = unanswered(effect, now_ms)
        try:
            await self._file.open()
        except StorageError as error:
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_ready", blame="us", detail=error.code
            )
        is_shared = effect.sku in self._shared_skus
        try:
            goods, digest = await self._file.run(
                lambda connection, sealer: _reserve(
                    connection, sealer, effect, now_ms, is_shared=is_shared
                )
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


def _reserve(
    connection: apsw.Connection, sealer: Sealer, effect: Submit, now_ms: int, *, is_shared: bool
) -> tuple[int, str | None]:
    """Give the attempt its units; (count, None) when there are too few."""
    held = _held(connection, effect.attempt_ref)
    if held[1] is not None or is_closed(connection, effect.attempt_ref):
        return held
    asked = (effect.sku, now_ms, is_shared, effect.quantity)
    free = list(connection.execute(_FREE, asked))
    if effect.quantity < 1 or len(free) < effect.quantity:
        return 0, None
    for unit_id, _, _ in free:
        if is_shared:
            use = (effect.attempt_ref, unit_id, now_ms)
            connection.execute("INSERT INTO shared_use VALUES (?, ?, ?)", use)
            continue
        connection.execute(
            "UPDATE unit SET state = 'reserved', attempt_ref = ?, taken_ms = ?"
            " WHERE id = ? AND state = 'free'",
            (effect.attempt_ref, now_ms, unit_id),
        )
        assert connection.changes() == 1, "the transaction saw this unit free"
    goods = [unit for _, digest, sealed in free for unit in sealer.open(digest, sealed)]
    digest = store_goods(connection, sealer, effect.attempt_ref, goods, is_shared=is_shared)
    return len(goods), digest


def _held(connection: apsw.Connection, attempt_ref: str) -> tuple[int, str | None]:
    """How many units the attempt holds, and the digest of its goods."""
    digest: str | None = connection.execute(
        "SELECT digest FROM goods WHERE attempt_ref = ?", (attempt_ref,)
    ).get
    count = connection.execute(
        "SELECT (SELECT count(*) FROM unit WHERE attempt_ref = ?1)"
        " + (SELECT count(*) FROM shared_use WHERE attempt_ref = ?1)",
        (attempt_ref,),
    )
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
