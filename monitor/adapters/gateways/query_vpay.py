"""Asks V免签 for the list of its own pages: it has no question by the shop's number.

Two short lists hold what matters: paid (`state=1`), and paid with a callback that nobody took
(`state=2`). An order that stands in neither is not said to be unpaid: it may stand further down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from monitor.adapters.gateways.base import minor_of, unix_ms
from monitor.adapters.gateways.query_http import asked, object_of, text_of
from monitor.adapters.gateways.vpay_strays import NO_ORDER, stray
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import SourceError
from monitor.model.gateways import Inquiry, Meaning, Reported

LIST_ROWS = 20  # of about 500 bytes; an answer is read up to 16 KiB
PAID_STATES = ("2", "1")
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class VpayAsker:
    """Signs in as its owner does, and keeps that session while it lasts."""

    orders_max = 200

    def __init__(self, access: GatewayAccess, client: HttpClient) -> None:
        self._access = access
        self._client = client
        self._base = (access.url or "").rstrip("/")
        self._cookie = ""
        self._order_in = "param" if access.keys.order_in == "param" else "pay_id"

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """Which of these orders are paid; raises SourceError."""
        wanted = {one.order_id for one in inquiries}
        found: dict[str, Reported] = {}
        strays = []
        for state in PAID_STATES:
            for row in await self._rows(state):
                order_id = text_of(row, self._order_in)
                if text_of(row, "pay_id") == NO_ORDER:
                    said = [text_of(row, name) for name in ("id", "price", "create_date")]
                    strays.append(stray(said[0], said[1], said[2], self._access.keys.currency))
                elif order_id in wanted and order_id not in found:
                    found[order_id] = self._reported(order_id, row)
        known = [found[one.order_id] for one in inquiries if one.order_id in found]
        return (*known, *strays)

    async def close(self) -> None:
        """Nothing is held."""

    async def _rows(self, state: str) -> list[dict[str, Any]]:
        query = urlencode({"page": 1, "limit": LIST_ROWS, "state": state})
        url = f"{self._base}/admin/index/getOrders?{query}"
        for is_again in (False, True):
            if not self._cookie or is_again:
                await self._sign_in()
            headers = {"Cookie": self._cookie}
            found = object_of(await asked(self._client, "GET", url, headers=headers))
            if text_of(found, "code") == "0":
                rows = found.get("data")
                return (
                    [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
                )
        raise SourceError("V免签 does not show its orders", hint=_HINT)

    async def _sign_in(self) -> None:
        access = self._access
        password = access.password.reveal() if access.password is not None else ""
        form = urlencode({"user": access.user, "pass": password}).encode()
        answer = await asked(self._client, "POST", f"{self._base}/login", headers=_FORM, body=form)
        if text_of(object_of(answer), "code") != "1":
            raise SourceError("V免签 refuses the user", hint=_HINT)
        self._cookie = answer.headers.get("set-cookie", "").partition(";")[0]

    def _reported(self, order_id: str, row: dict[str, Any]) -> Reported:
        return Reported(
            order_id,
            Meaning.PAID,
            order_id,
            minor_of(text_of(row, "price"), self._access.keys.currency),
            unix_ms(text_of(row, "pay_date")),
        )


_HINT = "check user and password_file of this gateway"
