"""Asks a gateway that runs next door where it keeps its orders: one SELECT for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from monitor.adapters.gateways.base import meaning_of, minor_of, unix_ms
from monitor.adapters.gateways.bepusdt import DIALECT
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
    """Where a gateway keeps its orders, with a key on `order`."""

    name: str
    order: str
    trade: str
    state: str
    amount: str
    says: tuple[Said, ...]


TABLES: dict[str, Table] = {
    "bepusdt": Table("bep_order", "order_id", "trade_id", "status", "money", DIALECT.says),
    "epusdt": Table("orders", "order_id", "trade_id", "status", "amount", DIALECT.says[:3]),
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
        rows = await self._database.rows(  # names stand in TABLES, values go by themselves
            f"SELECT {table.order} AS order_id, {table.trade} AS trade_no, {table.state} AS status, "  # noqa: S608 - see above
            f"{table.amount} AS amount FROM {table.name} "
            f"WHERE {table.order} IN ({', '.join(['%s'] * len(wanted))})",
            wanted,
        )
        found = {order_id: Reported(order_id, Meaning.UNKNOWN) for order_id in wanted}
        for row in rows:
            told = report_of(row, table.says, self._currency)
            known = found.get(told.order_id)
            if known is None or known.meaning == Meaning.PAID:
                continue  # another spelling that the database takes for the same; or enough is known
            found[told.order_id] = told
        return tuple(found.values())

    async def close(self) -> None:
        """Hang up."""
        await self._database.close()


def report_of(row: Mapping[str, Any], says: tuple[Said, ...], currency: str) -> Reported:
    """What a row says of its order; one without `paid_at` tells no time."""
    return Reported(
        str(row["order_id"]),
        meaning_of({"status": str(row["status"])}, says),
        str(row["trade_no"] or ""),
        minor_of(str(row["amount"]), currency),
        unix_ms(str(row.get("paid_at"))),
    )
