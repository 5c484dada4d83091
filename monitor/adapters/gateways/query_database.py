"""Asks a gateway that runs next door where it keeps its orders: one SELECT for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from monitor.adapters.gateways.base import meaning_of, minor_of
from monitor.adapters.gateways.bepusdt import DIALECT
from monitor.adapters.gateways.vpay_strays import NO_ORDER, STRAYS_MAX, stray
from monitor.model.endpoints import GatewayAccess
from monitor.model.gateways import Inquiry, Meaning, Reported, Said

ORDERS_MAX = 200


class Rows(Protocol):
    """A database that can only be read (`monitor/adapters/shops/database.py`)."""

    async def rows(self, sql: str, args: Sequence[object] = ()) -> Sequence[Mapping[str, Any]]:
        """The rows of a SELECT; raises SourceError."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Table(msgspec.Struct, frozen=True):
    """Where a gateway keeps its orders; `paid_at` is a column of unix seconds, if it has one."""

    name: str
    order: str
    trade: str
    state: str
    amount: str
    says: tuple[Said, ...]
    paid_at: str = ""
    strays: str = ""  # when a payment without an order came, unix seconds


VPAY_STATES = (
    Said((("status", "1"),), Meaning.PAID),
    Said((("status", "2"),), Meaning.PAID),  # and the shop did not take the callback
    Said((("status", "0"),), Meaning.WAITING),
    Said((("status", "-1"),), Meaning.EXPIRED),
)
TABLES: dict[str, Table] = {
    "bepusdt": Table("bep_order", "order_id", "trade_id", "status", "money", DIALECT.says),
    "epusdt": Table("orders", "order_id", "trade_id", "status", "amount", DIALECT.says[:3]),
    "vpay": Table(
        "pay_order", "pay_id", "pay_id", "state", "price", VPAY_STATES, "pay_date", "create_date"
    ),
}


class DatabaseAsker:
    """Reads with a user that may do nothing else."""

    orders_max = ORDERS_MAX

    def __init__(self, access: GatewayAccess, database: Rows) -> None:
        self._table = TABLES[access.kind]
        self._currency = access.keys.currency
        self._database = database

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        table, wanted = self._table, [one.order_id for one in inquiries]
        paid_at = table.paid_at or "0"
        rows = await self._database.rows(  # names stand in TABLES, values go by themselves
            f"SELECT {table.order} AS order_id, {table.trade} AS trade_no, {table.state} AS status, "  # noqa: S608 - see above
            f"{table.amount} AS amount, {paid_at} AS paid_at FROM {table.name} "
            f"WHERE {table.order} IN ({', '.join(['%s'] * len(wanted))})",
            wanted,
        )
        found = {order_id: Reported(order_id, Meaning.UNKNOWN) for order_id in wanted}
        for row in rows:
            order_id = str(row["order_id"])
            said = meaning_of({"status": str(row["status"])}, table.says)
            known = found.get(order_id)
            if known is None or known.meaning == Meaning.PAID:
                continue  # another spelling that the database takes for the same; or enough is known
            paid_s = int(str(row["paid_at"] or 0))
            found[order_id] = Reported(
                order_id,
                said,
                str(row["trade_no"] or ""),
                minor_of(str(row["amount"]), self._currency),
                paid_s * 1000 if paid_s else None,
            )
        return (*found.values(), *await self._strays())

    async def _strays(self) -> list[Reported]:
        """The latest payments without an order, of a gateway that keeps them."""
        table = self._table
        if not table.strays:
            return []
        rows = await self._database.rows(  # names stand in TABLES, values go by themselves
            f"SELECT id, {table.amount} AS amount, {table.strays} AS created FROM {table.name} "  # noqa: S608
            f"WHERE {table.order} = %s ORDER BY id DESC LIMIT {STRAYS_MAX}",
            [NO_ORDER],
        )
        return [
            stray(str(row["id"]), str(row["amount"]), str(row["created"]), self._currency)
            for row in rows
        ]

    async def close(self) -> None:
        """Hang up."""
        await self._database.close()
