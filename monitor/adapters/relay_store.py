"""`relay.db`: every callback durable before anything else is done with it.

A file of its own, so that callbacks are taken while the monitor's own database is being rebuilt or
in trouble, and so that raw requests of buyers are in no log and in no reader's way.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from monitor.adapters.relay_bytes import (
    packed_reply,
    packed_request,
    unpacked_reply,
    unpacked_request,
)
from monitor.adapters.relay_jobs import Jobs, RelayJobs
from monitor.adapters.relay_schema import DATABASE_NAME
from monitor.adapters.relay_trim import BYTES_MAX, trim, used_bytes
from monitor.adapters.storage.sqlite_checks import damaged
from monitor.model.gateways import Callback
from monitor.model.relay import (
    Arrival,
    Closing,
    Kind,
    News,
    Receipt,
    RelayCounts,
    State,
    StoredItem,
    StoredRequest,
    Told,
)

ANSWER_BYTES_MAX = 64 * 1024  # of a shop's answer that is kept for repeats
PLAIN_BYTES_MAX = 4 * 1024  # of a body that nobody can read
VARIANTS_MAX = 8  # bodies under one key that are tried in turn
NEWS_AT_ONCE = 500

T = TypeVar("T")

_OPEN_ITEM = "ifnull(item, id) = ? AND state = 'open'"

_packer = msgspec.msgpack.Encoder()
_callback_reader = msgspec.msgpack.Decoder(Callback)


class RelayStore:
    """See `ports.RelayStore`; opens on first use."""

    def __init__(
        self, data_dir: Path, jobs: Jobs | None = None, *, bytes_max: int = BYTES_MAX
    ) -> None:
        self._bytes_max = bytes_max
        self._is_full = False
        self._path = data_dir / DATABASE_NAME
        self._jobs = jobs or RelayJobs(self._path)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written right now."""
        return self._jobs.trouble

    @property
    def is_there(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    @property
    def is_full(self) -> bool:
        """Whether the latest `trim` left more than there is room for: all of it must stay."""
        return self._is_full

    async def open_items(self, now_ms: int) -> list[StoredItem]:
        """What was not done when the process last ended; what is no duty is closed by this."""
        return await self._jobs.run(lambda connection: _open_items(connection, now_ms))

    async def arrive(self, arrival: Arrival) -> Receipt:
        """Keep a callback, or find it by its key; durable when this returns."""
        receipt, answer = await self._jobs.run(
            lambda connection: _arrive(connection, arrival),
            writes_once=True,
            is_stranger=arrival.kind == Kind.PLAIN,
        )
        if answer is None:
            return receipt
        return msgspec.structs.replace(receipt, answer=_decoded(unpacked_reply, answer))

    async def request(self, row: int) -> StoredRequest:
        """What is sent for a row."""
        body, crc32 = await self._jobs.run(lambda connection: _request(connection, row))
        if zlib.crc32(body) != crc32:
            raise damaged(f"callback {row} of {DATABASE_NAME} is damaged")
        return _decoded(unpacked_request, body)

    def attempted(self, item: int, attempts: int, due_ms: int) -> None:
        """Note how often it was tried, for the next process."""
        self._jobs.add(
            lambda connection: _run(
                connection,
                f"UPDATE callback SET attempts = ?, due_ms = ? WHERE {_OPEN_ITEM}",  # noqa: S608
                (attempts, due_ms, item),
            )
        )

    def closed(self, closing: Closing, news: Sequence[News]) -> None:
        """Note how it ended, and what the monitor is to hear of it."""
        self._jobs.add(lambda connection: _close(connection, closing, news))

    def tell(self, item: int, row: int, news: Sequence[News], at_ms: int) -> None:
        """Note what the monitor is to hear; each piece once."""
        self._jobs.add(lambda connection: _tell(connection, item, row, news, at_ms))

    async def untold(self) -> list[Told]:
        """The oldest news that the monitor has not taken."""
        return [
            Told(
                news_id,
                News(kind),
                relay,
                _decoded(_callback_reader.decode, body),
                at_ms,
                received_ms,
            )
            for news_id, kind, relay, body, at_ms, received_ms in await self._jobs.run(_untold)
        ]

    async def told(self, news_ids: Sequence[int]) -> None:
        """The monitor has taken these."""
        ids = [(one,) for one in news_ids]
        await self._jobs.run(
            lambda connection: connection.executemany("UPDATE news SET told = 1 WHERE id = ?", ids)
        )

    async def counts(self) -> RelayCounts:
        """What is in the file."""
        return await self._jobs.run(counts_of)

    async def trim(self, now_ms: int) -> int:
        """Forget a little of what is over, or too much; returns how many rows of it went."""
        gone, used = await self._jobs.run(
            lambda connection: (trim(connection, now_ms, self._bytes_max), used_bytes(connection))
        )
        self._is_full = not gone and used > self._bytes_max
        return gone

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        await self._jobs.close()


def _decoded(read: Callable[[bytes], T], body: bytes) -> T:
    try:
        return read(body)
    except msgspec.DecodeError:
        raise damaged(f"a callback of {DATABASE_NAME} is damaged") from None


def counts_of(connection: apsw.Connection) -> RelayCounts:
    """Count what is in a file, by partial indexes."""
    found: list[Any] = connection.execute(
        "SELECT count(DISTINCT ifnull(item, id)), min(received_ms) FROM callback"
        " WHERE state = 'open' AND kind = 'duty'"
    ).fetchall()
    owed, oldest_ms = found[0]
    undelivered = (
        "SELECT count(DISTINCT ifnull(item, id)) FROM callback WHERE state = 'undelivered'"
    )
    conflicts = "SELECT count(*) FROM callback WHERE is_conflict"
    return RelayCounts(
        owed, connection.execute(undelivered).get, connection.execute(conflicts).get, oldest_ms
    )


def _run(
    connection: apsw.Connection, sql: str, values: tuple[int | str | bytes | None, ...]
) -> None:
    connection.execute(sql, values)


def _open_items(connection: apsw.Connection, now_ms: int) -> list[StoredItem]:
    _run(
        connection,
        "UPDATE callback SET state = 'passed', closed_ms = ? WHERE state = 'open' AND kind != 'duty'",
        (now_ms,),
    )
    found: dict[int, StoredItem] = {}
    rows: list[Any] = connection.execute(
        "SELECT id, ifnull(item, id), relay, order_id, received_ms, attempts, due_ms FROM callback"
        " WHERE state = 'open' ORDER BY id"
    ).fetchall()
    for row, item, relay, order_id, received_ms, attempts, due_ms in rows:
        known = found.get(item)
        bodies = (*(known.rows if known else ()), row)
        first_ms = known.received_ms if known else received_ms
        found[item] = StoredItem(
            item, bodies, relay, order_id, Kind.DUTY, first_ms, attempts, due_ms
        )
    for one in found.values():
        # Whether the gateway heard a yes, nobody knows any more: it counts as said.
        _tell(connection, one.item, one.rows[0], (News.TAKEN,), now_ms)
    return list(found.values())


def _arrive(connection: apsw.Connection, arrival: Arrival) -> tuple[Receipt, bytes | None]:
    """The receipt, and the shop's answer if it accepted the key before.

    Here nothing is decoded: an error would be one of all callbacks in the same commit.
    """
    fresh = _insert_fresh(connection, arrival)  # nearly always, in one statement
    if fresh is not None:
        return Receipt(fresh, fresh, is_new=True), None
    rows: list[Any] = connection.execute(
        "SELECT id, ifnull(item, id), state, body_digest, fields_digest, answer FROM callback"
        " WHERE key = ? ORDER BY id",
        (arrival.key,),
    ).fetchall()
    fields_digest = arrival.callback.fields_digest
    is_conflict = bool(rows) and all(row[4] != fields_digest for row in rows)
    for row, item, _, _, _, answer in rows:
        if answer is not None:
            if is_conflict:
                _insert(connection, arrival, item, "extra", is_conflict=True)
            return Receipt(row, item, is_new=False, is_conflict=is_conflict), answer
    waiting = [row for row in rows if row[2] == "open"]
    for row, item, _, body_digest, _, _ in waiting:
        if body_digest == arrival.body_digest:
            return Receipt(row, item, is_new=False), None
    if len(waiting) >= VARIANTS_MAX:
        # A duty of its own under no key: a gateway hears a yes only for what is kept.
        alone = msgspec.structs.replace(arrival, key="")
        return _insert(connection, alone, None, is_conflict=is_conflict), None
    first = waiting[0][1] if waiting else None
    return _insert(connection, arrival, first, is_conflict=is_conflict), None


_COLUMNS = (
    "item, relay, key, kind, order_id, state, is_conflict, received_ms, closed_ms, body_digest,"
    " fields_digest, callback, request, crc32"
)
_MARKS = ", ".join("?" * 14)


def _insert_fresh(connection: apsw.Connection, arrival: Arrival) -> int | None:
    """Keep a callback unless its key is known; the row, or None."""
    found: Any = connection.execute(
        f"INSERT INTO callback ({_COLUMNS}) SELECT {_MARKS} WHERE ?3 = ''"  # noqa: S608 - our own names
        " OR NOT EXISTS (SELECT 1 FROM callback WHERE key = ?3 AND key != '') RETURNING id",
        _values(arrival, None, "open", is_conflict=False),
    ).get
    row: int | None = found
    return row


def _insert(
    connection: apsw.Connection,
    arrival: Arrival,
    item: int | None,
    state: str = "open",
    *,
    is_conflict: bool,
) -> Receipt:
    row: Any = connection.execute(
        f"INSERT INTO callback ({_COLUMNS}) VALUES ({_MARKS}) RETURNING id",  # noqa: S608 - our own names
        _values(arrival, item, state, is_conflict=is_conflict),
    ).get
    return Receipt(row, item or row, is_new=True, is_conflict=is_conflict)


def _values(
    arrival: Arrival, item: int | None, state: str, *, is_conflict: bool
) -> tuple[int | str | bytes | None, ...]:
    kept = arrival.request
    if arrival.kind == Kind.PLAIN:  # is sent now or never, and anybody may send it
        kept = msgspec.structs.replace(kept, body=kept.body[:PLAIN_BYTES_MAX])
    request = packed_request(StoredRequest(kept, arrival.rest))
    received_ms, callback = arrival.request.received_ms, arrival.callback
    return (
        item, arrival.relay, arrival.key, arrival.kind, callback.order_id, state, is_conflict,
        received_ms, None if state == "open" else received_ms, arrival.body_digest,
        callback.fields_digest, _packer.encode(callback), request, zlib.crc32(request),
    )  # fmt: skip


def _request(connection: apsw.Connection, row: int) -> tuple[bytes, int]:
    found: list[Any] = connection.execute(
        "SELECT request, crc32 FROM callback WHERE id = ?", (row,)
    ).fetchall()
    return found[0] if found else (b"", 1)


def _close(connection: apsw.Connection, closing: Closing, news: Sequence[News]) -> None:
    connection.execute(
        f"UPDATE callback SET state = ?, closed_ms = ? WHERE {_OPEN_ITEM}",  # noqa: S608
        (closing.state, closing.at_ms, closing.item),
    )
    if closing.state == State.ACCEPTED:  # what was given up under this key needs nobody any more
        _run(
            connection,
            "UPDATE callback SET state = 'accepted' WHERE state = 'undelivered' AND key != ''"
            " AND key = (SELECT key FROM callback WHERE id = ?)",
            (closing.row,),
        )
    answer = closing.answer
    if (
        answer is not None
        and closing.state == State.ACCEPTED
        and len(answer.body) <= ANSWER_BYTES_MAX
    ):
        connection.execute(
            "UPDATE callback SET answer = ? WHERE id = ?", (packed_reply(answer), closing.row)
        )
    _tell(connection, closing.item, closing.row, news, closing.at_ms)


def _tell(
    connection: apsw.Connection, item: int, row: int, news: Sequence[News], at_ms: int
) -> None:
    for one in news:
        connection.execute(
            "INSERT OR IGNORE INTO news (item, kind, row, at_ms) VALUES (?, ?, ?, ?)",
            (item, one, row, at_ms),
        )


def _untold(connection: apsw.Connection) -> list[Any]:
    return connection.execute(
        "SELECT news.id, news.kind, relay, callback, at_ms, received_ms FROM news"
        " JOIN callback ON callback.id = news.row WHERE told = 0 ORDER BY news.id LIMIT ?",
        (NEWS_AT_ONCE,),
    ).fetchall()
