"""Asks epusdt and BEpusdt as their cashier page does: by their own number of the order.

Neither can be asked by the shop's number. BEpusdt tells its number with every waiting push; epusdt
tells it first with the payment, so lost callbacks of epusdt are found through its database only.

epusdt's question answers with a state and no order. Who made up a callback could have put the number of
a paid order in it: such an answer counts only if a signature binds number and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from monitor.adapters.gateways.base import meaning_of, minor_of, named
from monitor.adapters.gateways.bepusdt import DIALECT
from monitor.adapters.gateways.query_http import asked, object_of, text_of
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import SourceError
from monitor.model.gateways import Inquiry, Meaning, Reported

_FOUND, _NO_SUCH_ORDER = "200", "10008"
_JSON = {"Content-Type": "application/json"}


class EpusdtAsker:
    """Asks about one order after the other; those without a number of the gateway are left out."""

    orders_max = 1

    def __init__(self, access: GatewayAccess, client: HttpClient) -> None:
        self._access = access
        self._client = client
        self._base = (access.url or "").rstrip("/")

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        return tuple(
            [
                found
                for one in inquiries
                if one.trade_no and (found := await self._ask(one)) is not None
            ]
        )

    async def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, inquiry: Inquiry) -> Reported | None:
        answer = None
        if self._access.kind == "bepusdt":
            body = msgspec.json.encode({"trade_id": inquiry.trade_no})
            answer = await asked(
                self._client, "POST", f"{self._base}/api/v1/pay/info", headers=_JSON, body=body
            )
        if answer is None or answer.status == 404:  # BEpusdt before 1.23 has the question of epusdt
            url = f"{self._base}/pay/check-status/{quote(inquiry.trade_no, safe='')}"
            answer = await asked(self._client, "GET", url)
        found = object_of(answer)
        content = found.get("data")
        code = text_of(found, "status_code")
        if code == _NO_SUCH_ORDER:
            return Reported(inquiry.order_id, Meaning.UNKNOWN, inquiry.trade_no)
        if code != _FOUND or not isinstance(content, dict):
            if answer.status < 500:  # BEpusdt hides orders from all but the buyer's own browser
                return None
            raise SourceError(f"the gateway answers {answer.status}")
        fields = {name: text_of(content, name) for name in content}
        told = fields.get("order_id", "")
        if not told and not inquiry.is_signed:
            return None
        if told not in ("", inquiry.order_id):
            return Reported(inquiry.order_id, Meaning.UNKNOWN, inquiry.trade_no)
        return Reported(
            inquiry.order_id,
            meaning_of(fields, DIALECT.says),
            named(fields, "trade_id") or inquiry.trade_no,
            minor_of(fields.get("money", ""), self._access.keys.currency),
        )
