"""Asks 易支付: `api.php?act=order`, by the shop's own number; every host of it answers so.

The key stands in the address because that is how it is asked; our messages name host and port only.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from monitor.adapters.gateways.base import meaning_of, minor_of, named
from monitor.adapters.gateways.beijing import beijing_ms
from monitor.adapters.gateways.query_http import asked, object_of, text_of
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import SourceError
from monitor.model.gateways import Inquiry, Meaning, Reported, Said

STATES = (
    Said((("status", "1"),), Meaning.PAID),
    Said((("status", "2"),), Meaning.REFUNDED),
    Said((("status", "0"),), Meaning.WAITING),
)
_FOUND, _NO_SUCH_ORDER = "1", "-1"


class YipayAsker:
    """Asks about one order after the other."""

    orders_max = 1

    def __init__(self, access: GatewayAccess, client: HttpClient) -> None:
        self._access = access
        self._client = client

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        return tuple([await self._ask(one) for one in inquiries])

    async def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, inquiry: Inquiry) -> Reported:
        access = self._access
        query = {
            "act": "order",
            "pid": access.merchant,
            "key": access.keys.secrets[0].reveal(),
            "out_trade_no": inquiry.order_id,
        }
        url = f"{(access.url or '').rstrip('/')}/api.php?{urlencode(query)}"
        found = object_of(await asked(self._client, "GET", url))
        fields = {name: text_of(found, name) for name in found}
        code = fields.get("code")
        if code == _NO_SUCH_ORDER:
            return Reported(inquiry.order_id, Meaning.UNKNOWN)
        if code != _FOUND or fields.get("out_trade_no") != inquiry.order_id:
            raise SourceError("the gateway refuses the question", hint=_HINT)
        return Reported(
            inquiry.order_id,
            meaning_of(fields, STATES),
            named(fields, "trade_no"),
            minor_of(fields.get("money", ""), access.keys.currency),
            beijing_ms(fields.get("endtime", "")),
        )


_HINT = "check merchant and key_file of this gateway"
