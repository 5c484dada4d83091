"""Follows a table of orders by its ids alone, where no index tells what changed lately.

    new       rows behind the newest id that was seen, a page at a time
    watched   rows that may still change, asked for by their ids: unpaid, paid and not delivered …
    expired   watched rows whose time is over, however long nobody looked: once more, then no longer
    gaps      ids that were skipped: a row of a longer transaction appears late. They are watched, too
    first     the last day, found by halving the ids, and before it a week of what is still owed

One statement when nothing happens, through the primary key, which asks for nothing but the state of
each row; another one for all that is known of those that are new or changed. All that has to be
remembered is in the mark: a lost one means that some facts are told again, under the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from monitor.adapters.shops.database import Database, places_for
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.sessions import Row
from monitor.adapters.shops.skipped import skipped
from monitor.model.errors import UNREADABLE, InputError
from monitor.model.events import OrderEvent
from monitor.model.shops import Polled
from monitor.model.times import DAY_MS, MINUTE_MS

PAGE = 500  # rows of a statement
LOOKS_MAX = 500  # watched rows of a statement, so that it costs a few milliseconds
TURN_MS = 15_000  # of more, half are the most urgent, and half take turns
WATCHED_MAX = 5_000  # beyond that those go first that would be watched no longer soonest
GAP_MS = 10 * MINUTE_MS  # how late a row may appear
GAPS_MAX = 200  # of one page, the newest
UNPAID_MS = 4 * DAY_MS  # how long a late payment is waited for: the relay passes it on for 72 h
AGAIN_MS = DAY_MS  # a row that was found late is watched for so long at least
FULL_MS = DAY_MS  # how long it is said that too many were open
RECENT_MS = DAY_MS  # what a first start tells of everything
OWED_MS = 7 * DAY_MS  # … and of what is paid and not delivered
CHUNK = 20_000  # ids that are looked through at once for what is still owed

_NOT_SEEN = ""


class Seen(msgspec.Struct, frozen=True):
    """What a row says: its events, and up to when another state may follow; 0: none will."""

    events: tuple[OrderEvent, ...]
    until_ms: int = 0
    is_urgent: bool = False


class Rows(msgspec.Struct, frozen=True):
    """The statements for one table; each row has its id as `id`.

    `select` is everything before `WHERE`; `table`, `order_id` and the rest are as it names them.
    `state` is an expression that differs whenever something else is true of an order, in a few
    characters that say nothing of goods or buyer; `created` is when it was made, `owed` the
    condition for one that is paid and not delivered.
    """

    select: str
    table: str
    order_id: str
    state: str
    created: str
    owed: str


class _Watched(msgspec.Struct, array_like=True):
    row_id: int
    state: str
    until_ms: int
    is_urgent: bool = False


class _Mark(msgspec.Struct, omit_defaults=True):
    """`last`: the newest id seen. `owed_from`, `owed_to`: ids still to be looked through."""

    last: int = 0
    owed_from: int = 0
    owed_to: int = 0
    watched: list[_Watched] = []
    dropped: int = 0  # rows that were watched no longer because there were too many …
    dropped_ms: int = 0  # … and when that was last


class Walk:
    """One table; `read` says what a row means and leaves behind what must not leave the shop.

    A row has the state that it was seen in before as `seen`, None if it was not watched.
    """

    def __init__(
        self, database: Database, rows: Rows, facts: Facts, read: Callable[[Row, int], Seen]
    ) -> None:
        self._database = database
        self._rows = rows
        self._facts = facts
        self._read = read
        self._unread = 0  # rows that were skipped since the start

    async def poll(self, written: str, now_ms: int) -> Polled:
        """See ShopPull."""
        mark = _mark(written)
        if mark is None:
            return _polled([], await self._begin(now_ms), now_ms, is_last=False)
        if mark.owed_from < mark.owed_to:
            return _polled(await self._owed(mark, now_ms), mark, now_ms, is_last=False)
        events, is_last = await self._look(mark, now_ms)
        return _polled(events, mark, now_ms, is_last=is_last)

    # --- the first time ---------------------------------------------------------------------------

    async def _begin(self, now_ms: int) -> _Mark:
        newest = await self._newest()
        recent = await self._first_since(now_ms - RECENT_MS, newest, now_ms)
        owed = await self._first_since(now_ms - OWED_MS, recent, now_ms)
        return _Mark(last=recent, owed_from=owed, owed_to=recent)

    async def _newest(self) -> int:
        rows, order_id = self._rows, self._rows.order_id
        found = await self._database.rows(
            f"SELECT {order_id} AS id FROM {rows.table} ORDER BY {order_id} DESC LIMIT 1"  # noqa: S608 - names of the adapter's
        )
        return int(found[0]["id"]) if found else 0

    async def _first_since(self, since_ms: int, newest: int, now_ms: int) -> int:
        """An id before which everything is older, as ids grow with time; found by halving."""
        rows, order_id = self._rows, self._rows.order_id
        sql = (
            f"SELECT {order_id} AS id, {rows.created} AS created FROM {rows.table} "  # noqa: S608
            f"WHERE {order_id} > %s ORDER BY {order_id} LIMIT 1"
        )
        low, high = 0, newest
        while low < high:
            middle = (low + high) // 2
            found = await self._database.rows(sql, [middle])
            if found and found[0]["id"] <= high and self._is_before(found[0], since_ms, now_ms):
                low = int(found[0]["id"])
            else:
                high = middle
        return low

    def _is_before(self, row: Row, since_ms: int, now_ms: int) -> bool:
        try:
            when = self._facts.when(row["created"], now_ms)
        except (InputError, *UNREADABLE):
            return True
        return when is None or when.time_ms < since_ms

    async def _owed(self, mark: _Mark, now_ms: int) -> list[OrderEvent]:
        """What is still owed among some of the ids before the last day."""
        order_id = self._rows.order_id
        until = min(mark.owed_from + CHUNK, mark.owed_to)
        found = await self._states(
            f"{order_id} > %s AND {order_id} <= %s AND {self._rows.owed}",
            [mark.owed_from, until], PAGE,
        )  # fmt: skip
        mark.owed_from = max(found) if len(found) == PAGE else until
        return await self._take(mark, found, now_ms)

    # --- from then on -----------------------------------------------------------------------------

    async def _look(self, mark: _Mark, now_ms: int) -> tuple[list[OrderEvent], bool]:
        """What changed of the watched rows, and a page behind the newest one.

        That one is asked for once more as a landmark.
        """
        order_id = self._rows.order_id
        looks = self._looks(mark, now_ms)
        watched = f" OR {order_id} IN ({places_for(looks)})" if looks else ""
        found = await self._states(
            f"({order_id} >= %s{watched})", [mark.last, *looks], PAGE + 1 + len(looks)
        )
        behind = [row_id for row_id in found if row_id >= mark.last][: PAGE + 1]
        if not behind and mark.last and await self._newest() < mark.last:
            # The table was emptied or restored: ids that were seen are given to other orders.
            mark.last, mark.watched = 0, []
            return [], False
        new = [row_id for row_id in behind if row_id > mark.last]
        if new:
            self._watch_gaps(mark, new, now_ms)
            mark.last = new[-1]
        chosen = {*looks, *new}
        states = {row_id: state for row_id, state in found.items() if row_id in chosen}
        return await self._take(mark, states, now_ms, looks), len(behind) <= PAGE

    def _looks(self, mark: _Mark, now_ms: int) -> list[int]:
        return [one.row_id for one in _due(mark.watched, now_ms)]

    def _watch_gaps(self, mark: _Mark, ids: Sequence[int], now_ms: int) -> None:
        """Ids between those of a page; which is not there may be that of a row not yet committed."""
        seen, first = set(ids), max(mark.last + 1, ids[-1] - PAGE - GAPS_MAX)
        gaps = (
            [row_id for row_id in range(first, ids[-1]) if row_id not in seen] if mark.last else []
        )
        mark.watched += [_Watched(gap, _NOT_SEEN, now_ms + GAP_MS) for gap in gaps[-GAPS_MAX:]]

    async def _states(self, condition: str, args: Sequence[object], limit: int) -> dict[int, str]:
        """The states of some rows by their ids, in the order of the ids."""
        rows, order_id = self._rows, self._rows.order_id
        found = await self._database.rows(
            f"SELECT {order_id} AS id, {rows.state} AS state FROM {rows.table} "  # noqa: S608
            f"WHERE {condition} ORDER BY {order_id} LIMIT {limit}",
            args,
        )
        return {int(row["id"]): str(row["state"]) for row in found}

    async def _take(
        self, mark: _Mark, states: Mapping[int, str], now_ms: int, looks: Sequence[int] = ()
    ) -> list[OrderEvent]:
        """Tell what is new in these rows, and watch those that may change.

        What is watched leaves when its time is over and it was among the `looks` since.
        """
        known, over = {one.row_id: one.state for one in mark.watched}, set(looks)
        watched = {
            one.row_id: one
            for one in mark.watched
            if one.until_ms > now_ms or one.row_id not in over
        }
        fresh = [row_id for row_id, state in states.items() if known.get(row_id) != state]
        events: list[OrderEvent] = []
        for row in await self._whole(fresh):
            row_id = int(row["id"])
            watched.pop(row_id, None)
            seen = self._seen(row | {"seen": known.get(row_id)}, now_ms)
            events += seen.events
            if seen.until_ms:
                until_ms = max(seen.until_ms, now_ms + AGAIN_MS)
                watched[row_id] = _Watched(row_id, states[row_id], until_ms, seen.is_urgent)
        if len(watched) > WATCHED_MAX:
            is_new = now_ms >= mark.dropped_ms + FULL_MS
            mark.dropped = len(watched) - WATCHED_MAX + (0 if is_new else mark.dropped)
            mark.dropped_ms = now_ms
            kept = sorted(watched.values(), key=lambda one: (one.is_urgent, one.until_ms))
            watched = {one.row_id: one for one in kept[-WATCHED_MAX:]}
        mark.watched = [watched[row_id] for row_id in sorted(watched)]
        return events

    async def _whole(self, ids: Sequence[int]) -> list[Row]:
        """All that is read of some rows, in the order of their ids."""
        order_id = self._rows.order_id
        found: list[Row] = []
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            found += await self._database.rows(
                f"{self._rows.select} WHERE {order_id} IN ({places_for(page)}) ORDER BY {order_id}",
                page,
            )
        return found

    def _seen(self, row: Row, now_ms: int) -> Seen:
        try:
            return self._read(row, now_ms)
        except (InputError, *UNREADABLE) as error:  # one row must not hide the others
            self._unread = skipped(self._facts.source, row["id"], error, self._unread)
            return Seen(())


def _mark(written: str) -> _Mark | None:
    try:
        return msgspec.json.decode(written, type=_Mark) if written else None
    except msgspec.DecodeError:
        return None  # of another release: the same as a lost one


def _due(watched: Sequence[_Watched], now_ms: int) -> list[_Watched]:
    """Which of the watched rows are asked for now: all, or of too many some in turn.

    Those whose time is over come before those that take turns: then they are gone.
    """
    if len(watched) <= LOOKS_MAX:
        return list(watched)
    live = sorted(watched, key=lambda one: (not one.is_urgent, -one.row_id))
    half = LOOKS_MAX // 2
    first, rest = live[:half], live[half:]
    over = [one for one in rest if one.until_ms <= now_ms]
    if len(over) >= half:
        return [*first, *over[:half]]
    rest, places = [one for one in rest if one.until_ms > now_ms], half - len(over)
    start = now_ms // TURN_MS * half % max(len(rest), 1)
    return [*first, *over, *(rest + rest)[start : start + min(places, len(rest))]]


def _polled(events: list[OrderEvent], mark: _Mark, now_ms: int, *, is_last: bool) -> Polled:
    written = msgspec.json.encode(mark).decode()
    return Polled(tuple(events), written, is_last, _limits(mark, now_ms))


def _limits(mark: _Mark, now_ms: int) -> str:
    """What an operator must be told of the limits; empty if they hold."""
    if mark.dropped and now_ms < mark.dropped_ms + FULL_MS:
        return (
            f"more than {WATCHED_MAX} orders are open: {mark.dropped} of them are watched no "
            "longer, and what becomes of those is not seen"
        )
    if len(mark.watched) > LOOKS_MAX:
        return (
            f"{len(mark.watched)} orders are open and {LOOKS_MAX} are asked for at a look: "
            "what becomes of older ones is seen some minutes late"
        )
    return ""
