"""The shop tries its own delivery again: the safest first step, for nothing is bought twice by it.

    POST retry_url {"order_id","attempt_ref","fence","question"}, signed like all requests to the shop
    {"status":"started"|"delivered"}  accepted: that it was delivered is for the shop's event to say
    {"status":"refused"}              rejected: it has not delivered and will not under this fence
    anything else                     unknown

One order has one retry: `Idempotency-Key` names the order, so a repeated request starts nothing. A
question is the same request with `question` true, which starts nothing either. No goods pass through
here, so there is nothing to lock away.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.json_answer import read_json
from monitor.adapters.signed_post import post_signed
from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.endpoints import ShopRetry
from monitor.model.errors import Permanent, Transient, UnknownOutcome
from monitor.model.records import AttemptAnswered


class Said(msgspec.Struct, frozen=True):
    """The shop's answer; any other word is not understood."""

    status: Literal["started", "delivered", "refused"]


class ShopRetryChannel:
    """Asks one shop; keeps `DeliveryChannel`."""

    def __init__(self, shop: ShopRetry, client: HttpClient) -> None:
        self._shop = shop
        self._client = client

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Ask for another try; never raises for what shop or network do."""
        answer = unanswered(effect, now_ms)
        try:
            return await self._asked(effect, answer, {"fence": effect.fence, "question": False})
        except (Transient, Permanent) as error:
            blame = "us" if isinstance(error, Permanent) else "channel"
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_sent", blame=blame, detail=error.code
            )
        except UnknownOutcome as error:
            return msgspec.structs.replace(answer, detail=str(error))

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Ask what became of the try."""
        answer = msgspec.structs.replace(unanswered(effect, now_ms), is_query=True)
        try:
            return await self._asked(effect, answer, {"question": True})
        except (Transient, Permanent, UnknownOutcome) as error:
            return msgspec.structs.replace(answer, detail=str(error))

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:
        """Nothing to lock away."""

    async def _asked(
        self, effect: Submit | Query, answer: AttemptAnswered, more: dict[str, Any]
    ) -> AttemptAnswered:
        body = {"order_id": effect.order_id, "attempt_ref": effect.attempt_ref, **more}
        http_answer = await post_signed(
            self._client,
            self._shop.url,
            self._shop.secret,
            key=effect.key,
            body=msgspec.json.encode(body, order="sorted"),
            now_ms=answer.at_ms,
            headers={"Idempotency-Key": f"retry_{effect.order_id}"},
        )
        is_read = 200 <= http_answer.status < 300 or http_answer.status == 409
        said = read_json(http_answer.body, Said) if is_read else None
        if said is None:
            detail = f"http {http_answer.status}: the shop's answer is not understood"
            return msgspec.structs.replace(answer, detail=detail)
        if said.status == "refused":
            return msgspec.structs.replace(answer, outcome="rejected", code="shop_refused")
        return msgspec.structs.replace(answer, outcome="accepted", detail=said.status)
