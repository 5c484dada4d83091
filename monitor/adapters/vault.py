"""The vault: what attempts obtained, sealed until the one hand-over, or locked away for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.goods_key import Sealer
from monitor.model.errors import NotFoundError, StorageError, Transient
from monitor.model.takeovers import SOLD_BEFORE


class SealedVault:
    """Keeps `channels.base.Vault` in `goods.db`; says nothing about goods but a keyed digest."""

    def __init__(self, file: GoodsFile) -> None:
        self._file = file

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        """Make the goods durable and return their digest; the same goods again change nothing.

        Raises: StorageError; also if the attempt already has other goods (code `goods_differ`) or
        a unit was given to another attempt before (`goods_sold_before`).
        """
        return await self._file.run(
            lambda connection, sealer: store_goods(connection, sealer, attempt_ref, goods)
        )

    async def goods(self, attempt_ref: str) -> list[str]:
        """Return the goods for the hand-over; units of the local pool count as sold from here on.

        Raises: NotFoundError if there are none or they are locked away, Transient while the file
        cannot be read: the hand-over is repeated until it can.
        """

        def job(connection: apsw.Connection, sealer: Sealer) -> list[str] | None:
            if is_closed(connection, attempt_ref):
                return None
            sealed = connection.execute(
                "SELECT sealed FROM goods WHERE attempt_ref = ?", (attempt_ref,)
            ).get
            if sealed is None:
                return None
            # What has left us once may have been seen, whatever becomes of the hand-over.
            connection.execute(
                "UPDATE unit SET state = 'sold' WHERE attempt_ref = ? AND state = 'reserved'",
                (attempt_ref,),
            )
            return sealer.open(attempt_ref, sealed)

        with repeat_later():
            found = await self._file.run(job)
        if found is None:
            raise NotFoundError(f"no goods to hand over for attempt {attempt_ref}")
        return found

    async def quarantine(self, attempt_ref: str) -> None:
        """Lock the attempt's goods away, also those that arrive later; harmless to repeat.

        Raises: Transient while the file cannot be written.
        """
        with repeat_later():
            await self._file.run(lambda connection, _sealer: close_attempt(connection, attempt_ref))


@contextmanager
def repeat_later() -> Iterator[None]:
    """Make a failing file a reason to repeat the effect: nothing has left us."""
    try:
        yield
    except StorageError as error:
        raise Transient(f"{error}; {error.hint}") from error


def store_goods(
    connection: apsw.Connection,
    sealer: Sealer,
    attempt_ref: str,
    goods: list[str],
    *,
    is_shared: bool = False,
) -> str:
    """Seal the goods of an attempt inside a running transaction and return their digest.

    `is_shared`: the operator sells these units many times.
    """
    digest = sealer.digest(goods)
    if not is_shared:
        _give(connection, attempt_ref, [sealer.digest([unit]) for unit in goods])
    known = connection.execute("SELECT digest FROM goods WHERE attempt_ref = ?", (attempt_ref,)).get
    if known is None:
        connection.execute(
            "INSERT INTO goods VALUES (?, ?, ?)",
            (attempt_ref, digest, sealer.seal(attempt_ref, goods)),
        )
    elif known != digest:
        raise StorageError(
            f"attempt {attempt_ref} has goods already, and now others",
            code="goods_differ",
            hint="the channel answered one attempt twice with different goods; ask the supplier",
        )
    return digest


def _give(connection: apsw.Connection, attempt_ref: str, digests: list[str]) -> None:
    """Note that units are this attempt's; one that is another's is never given a second time."""
    given = 0
    for digest in digests:
        owner = connection.execute("SELECT attempt_ref FROM given WHERE digest = ?", (digest,)).get
        given += owner is not None and owner != attempt_ref
        connection.execute("INSERT OR IGNORE INTO given VALUES (?, ?)", (digest, attempt_ref))
    if given or len(set(digests)) < len(digests):
        raise StorageError(
            f"attempt {attempt_ref} was given goods that somebody else has",
            code=SOLD_BEFORE,
            hint="the supplier sold one key twice; ask it for another one",
        )


def close_attempt(connection: apsw.Connection, attempt_ref: str) -> None:
    """Bar an attempt from handing out anything, inside a running transaction."""
    connection.execute("INSERT OR IGNORE INTO closed VALUES (?)", (attempt_ref,))
    connection.execute(
        "UPDATE unit SET state = 'quarantined' WHERE attempt_ref = ?", (attempt_ref,)
    )


def is_closed(connection: apsw.Connection, attempt_ref: str) -> bool:
    """Whether the attempt may hand out nothing any more."""
    row = connection.execute("SELECT 1 FROM closed WHERE attempt_ref = ?", (attempt_ref,)).get
    return row is not None
