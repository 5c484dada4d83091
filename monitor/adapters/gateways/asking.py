"""Asks gateways about orders (查单), by what each really offers; one line per way in `asker_of`.

database given      one SELECT for all orders of a look    query_database
    of V免签         by its own numbers, new rows once      query_vpay_database
易支付               api.php?act=order, by the shop's number  query_yipay
epusdt, BEpusdt     the cashier's question, by their number   query_epusdt
V免签               the list of its own pages                 query_vpay
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from monitor.adapters.gateways.query_database import DatabaseAsker, Rows
from monitor.adapters.gateways.query_epusdt import EpusdtAsker
from monitor.adapters.gateways.query_vpay import VpayAsker
from monitor.adapters.gateways.query_vpay_database import VpayDatabaseAsker
from monitor.adapters.gateways.query_yipay import YipayAsker
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import DatabaseAccess, GatewayAccess
from monitor.model.gateways import Inquiry, Reported


class Asker(Protocol):
    """Asks one gateway; see `monitor/runtime/gateway_query.py`."""

    orders_max: int

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


def asker_of(
    access: GatewayAccess, client: HttpClient, open_database: Callable[[DatabaseAccess], Rows]
) -> Asker:
    """Who asks this gateway."""
    if access.database is not None:
        kind = VpayDatabaseAsker if access.kind == "vpay" else DatabaseAsker
        return kind(access, open_database(access.database))
    match access.kind:
        case "yipay":
            return YipayAsker(access, client)
        case "vpay":
            return VpayAsker(access, client)
        case _:
            return EpusdtAsker(access, client)
