"""Asks V免签 where it keeps its orders, in a table that knows no key but its own number.

Looking for an order by the shop's number would read the whole table, and while MyISAM reads, the gateway
cannot write. So new rows are read once, by number, and orders are asked about by theirs:

    newest number ─► rows since the last look ─► shop's number → row, money without an order
    orders asked about ─► their rows, by number

Of a long table only the last `WINDOW_ROWS` are read at the start; an order further up is not known
to be absent, so nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.adapters.gateways.query_database import ORDERS_MAX, Rows, report_of
from monitor.adapters.gateways.vpay_strays import NO_ORDER, STRAYS_MAX, stray
from monitor.model.endpoints import GatewayAccess
from monitor.model.gateways import Inquiry, Meaning, Reported, Said

WINDOW_ROWS = 2_000  # far more than come while an order is asked about: ten of a price can be open
OVERLAP_ROWS = 20  # an engine with transactions may show a lower number later than a higher one
KNOWN_MAX = 5_000  # orders whose row is remembered
STATES = (
    Said((("status", "1"),), Meaning.PAID),
    Said((("status", "2"),), Meaning.PAID),  # and the shop did not take the callback
    Said((("status", "0"),), Meaning.WAITING),
    Said((("status", "-1"),), Meaning.EXPIRED),
)


class VpayDatabaseAsker:
    """Remembers where the young orders stand; reads with a user that may do nothing else."""

    orders_max = ORDERS_MAX

    def __init__(self, access: GatewayAccess, database: Rows) -> None:
        self._currency = access.keys.currency
        self._order_in = "param" if access.keys.order_in == "param" else "pay_id"
        self._database = database
        self._begin()

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        await self._read_new()
        wanted = [one.order_id for one in inquiries]
        found = {
            order_id: Reported(order_id, Meaning.UNKNOWN) for order_id in wanted if self._is_whole
        }
        for row in await self._rows([id_ for one in wanted for id_ in self._ids.get(one, ())]):
            known = found.get(str(row["order_id"]))
            if known is None or known.meaning != Meaning.PAID:
                told = report_of(row, STATES, self._currency)
                found[told.order_id] = told
        answers = [found[order_id] for order_id in wanted if order_id in found]
        return (*answers, *self._strays.values())

    async def close(self) -> None:
        """Hang up."""
        await self._database.close()

    def _begin(self) -> None:
        self._newest = 0  # the highest number that was read
        self._is_whole = True  # every row of the table was read
        self._ids: dict[str, tuple[int, ...]] = {}
        self._strays: dict[int, Reported] = {}

    async def _rows(self, ids: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        if not ids:
            return ()
        return await self._database.rows(
            f"SELECT {self._order_in} AS order_id, pay_id AS trade_no, state AS status, "  # noqa: S608 - placeholders only
            "price AS amount, "
            "pay_date AS paid_at FROM pay_order "
            f"WHERE id IN ({', '.join(['%s'] * len(ids))})",
            ids,
        )

    async def _read_new(self) -> None:
        (row,) = await self._database.rows("SELECT MAX(id) AS newest FROM pay_order")
        newest = int(row["newest"] or 0)
        if newest < self._newest:  # the table was emptied
            self._begin()
        after = max(newest - WINDOW_ROWS, self._newest - OVERLAP_ROWS, 0)
        if newest == self._newest:
            return
        rows = await self._database.rows(
            f"SELECT id, pay_id, {self._order_in} AS order_id, price, create_date FROM pay_order "  # noqa: S608 - one of two names
            "WHERE id > %s AND id <= %s "
            "ORDER BY id",
            [after, newest],
        )
        self._is_whole &= after <= self._newest
        for row in rows:
            self._note(int(row["id"]), row)
        self._newest = newest

    def _note(self, number: int, row: Mapping[str, Any]) -> None:
        order_id = str(row["order_id"])
        if str(row["pay_id"]) == NO_ORDER:
            told = str(number), str(row["price"]), str(row["create_date"])
            self._strays[number] = stray(*told, self._currency)
            if len(self._strays) > STRAYS_MAX:
                del self._strays[min(self._strays)]
        elif number not in (known := self._ids.get(order_id, ())):
            self._ids[order_id] = (*known, number)
            if len(self._ids) > KNOWN_MAX:
                del self._ids[next(iter(self._ids))]
                self._is_whole = False
