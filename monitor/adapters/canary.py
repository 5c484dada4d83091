"""Asking the shop to place a synthetic order (contract §5, `canary`)."""

from __future__ import annotations

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.signed_post import check_status, post_signed
from monitor.model.endpoints import CanaryEndpoint


class CanaryShop:
    """Keeps `ports.CanaryBuyer`: `POST via {"order_id","sku"}`, signed; 2xx means placed."""

    def __init__(self, client: HttpClient, endpoint: CanaryEndpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def buy(self, order_id: str, now_ms: int) -> None:
        """Have the shop treat this as a paid order of the test goods, under this very id."""
        body = msgspec.json.encode({"order_id": order_id, "sku": self._endpoint.sku})
        answer = await post_signed(
            self._client, self._endpoint.url, self._endpoint.secret,
            key=order_id, body=body, now_ms=now_ms,
        )  # fmt: skip
        check_status(answer, "the shop's canary.via", now_ms, is_repeat_known=False)
