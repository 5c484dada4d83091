"""Read-only access to a shop's database, for MySQL, MariaDB, PostgreSQL and SQLite alike.

    rows(sql, args) ──► a thread of its own ──► a session that can neither write nor lock
                                                a connection that was lost: once more, anew

A statement is standard SQL: `%s` for values, `%%` for a percent sign, `"order"` for a name that is
a word of the language. A row is a dict by the names of the columns, with `Decimal` and `datetime`
as the driver reads them. What a shop must never feel: no statement lasts longer than `STATEMENT_S`,
none writes, none locks a row, and there is never more than one at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from monitor.adapters.shops.database_url import parse_url
from monitor.adapters.shops.sessions import ConnectionLostError, Row, Session, open_session
from monitor.model.endpoints import DatabaseAccess
from monitor.model.errors import UNREADABLE, SourceError

ANSWER_S = 30.0  # when all other limits are long over, the thread is stuck in the system
CLOSE_S = 1.0

T = TypeVar("T")


class Database:
    """One connection to one shop; opened by the first question and again after a failure."""

    def __init__(self, access: DatabaseAccess) -> None:
        self.place = parse_url(access.url)
        self._password = access.password
        self._session: Session | None = None
        # Kinds of shops are read by `check`, too, which starts without an event loop.
        from monitor.adapters.thread import CallThread  # noqa: PLC0415

        self._thread = CallThread("shop-database")

    async def rows(self, sql: str, args: Sequence[object] = ()) -> list[Row]:
        """The rows of a SELECT.

        Raises: SourceError in one line, with neither the password nor anything of a row in it.
        """
        try:
            return await _within(ANSWER_S, self._thread.call(lambda: self._rows(sql, args)))
        except TimeoutError:
            raise SourceError(f"{self.place} does not answer") from None

    async def close(self) -> None:
        """Hang up, behind what is being asked; not used afterwards."""
        try:
            await _within(CLOSE_S, self._thread.call(self._hang_up))
        except TimeoutError:
            return  # it hangs up when its statement is over
        finally:
            self._thread.stop()

    def _rows(self, sql: str, args: Sequence[object]) -> list[Row]:
        is_new = self._session is None
        try:
            return self._asked(sql, args)
        except ConnectionLostError:
            if is_new:
                raise
        return self._asked(sql, args)  # it was idle for long, or the server was started again

    def _asked(self, sql: str, args: Sequence[object]) -> list[Row]:
        if self._session is None:
            self._session = open_session(self.place, self._password)
        try:
            return self._session.rows(sql, args)
        except SourceError:
            self._hang_up()  # nobody knows in which state it is
            raise
        except UNREADABLE as error:  # of the driver, whose text may quote a value
            self._hang_up()
            what = f"{self.place}: a row cannot be read: {type(error).__name__}"
            raise SourceError(what) from None

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def places_for(values: Sequence[object]) -> str:
    """The `%s` of a list of values, for `IN (…)`."""
    return ", ".join(["%s"] * len(values))


async def _within(seconds: float, answer: Awaitable[T]) -> T:
    """Wait for an answer, not for ever. Raises: TimeoutError."""
    from asyncio import timeout  # noqa: PLC0415 - see above

    async with timeout(seconds):
        return await answer
