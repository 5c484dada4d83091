"""The shop's side of a takeover (contract §5): claim an order, hand the goods over, give it back.

All three are safe to repeat at the shop (claim by `claim_id`, hand-over by Idempotency-Key), so an
unclear answer is an UnknownOutcome and the same bytes are sent again: JSON with sorted keys.

    claim      2xx and a readable answer: granted, already_delivered, denied; the last two also 409
    deliver    2xx: delivered; 409 {"status":"already_delivered"}: the goods were not needed
    release    2xx: given back
    all        429, 503: later; other 4xx, 3xx: refused for good; 5xx, timeout, nonsense: unknown
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.json_answer import read_json
from monitor.adapters.signed_post import check_status, post_signed
from monitor.model.effects import Claim, HandOver, Release
from monitor.model.endpoints import ShopEndpoints
from monitor.model.errors import UnknownOutcome
from monitor.model.records import ClaimAnswered, EffectClosed, HandOverAnswered
from monitor.model.times import format_rfc3339

AMOUNT_MINOR_MAX = 10**12
QUANTITY_MAX = 1_000


class _Status(msgspec.Struct, frozen=True):
    status: str


class Granted(msgspec.Struct, frozen=True):
    """What a granting shop says of the order; anything else is not understood and is no grant."""

    status: Literal["granted"]
    paid: bool = False
    sku: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    quantity: Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)] = 1
    amount_minor: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MINOR_MAX)] | None = None


class Shop:
    """Speaks with one shop; every request is signed if the shop has a secret."""

    def __init__(self, client: HttpClient, endpoints: ShopEndpoints) -> None:
        self._client = client
        self._endpoints = endpoints

    async def claim(self, effect: Claim, now_ms: int) -> ClaimAnswered:
        """Ask for the order; the shop's answer is the truth about payment."""
        body = {
            "order_id": effect.order_id,
            "claim_id": effect.claim_id,
            "fence": effect.fence,
            "expires_at": format_rfc3339(effect.expires_ms),
        }
        answer = await self._post(self._endpoints.claim_url, effect.key, body, now_ms)
        if answer.status != 409:
            check_status(answer, "the shop's claim_url", now_ms, is_repeat_known=False)
        refused = read_json(answer.body, _Status)
        if refused is not None and refused.status in ("already_delivered", "denied"):
            return ClaimAnswered(effect.key, effect.takeover_id, refused.status, now_ms)
        check_status(answer, "the shop's claim_url", now_ms, is_repeat_known=False)
        granted = read_json(answer.body, Granted)
        if granted is None:
            raise UnknownOutcome("the shop's answer to a claim is not readable")
        return ClaimAnswered(
            effect_key=effect.key,
            takeover_id=effect.takeover_id,
            status=granted.status,
            at_ms=now_ms,
            paid=granted.paid,
            sku=granted.sku,
            quantity=granted.quantity,
            amount_minor=granted.amount_minor,
        )

    async def deliver(self, effect: HandOver, goods: list[str], now_ms: int) -> HandOverAnswered:
        """Hand the goods over; a repeat is byte for byte the same request."""
        body = {
            "order_id": effect.order_id,
            "takeover_id": effect.takeover_id,
            "claim_id": effect.claim_id,
            "fence": effect.fence,
            "goods": goods,
            "channel": effect.channel,
        }
        headers = {"Idempotency-Key": effect.takeover_id}
        answer = await self._post(self._endpoints.deliver_url, effect.key, body, now_ms, headers)
        said = read_json(answer.body, _Status) if answer.status == 409 else None
        if said is not None and said.status == "already_delivered":
            outcome = "already_delivered"
        else:
            check_status(answer, "the shop's deliver_url", now_ms, is_repeat_known=False)
            outcome = "delivered"
        return HandOverAnswered(
            effect_key=effect.key,
            takeover_id=effect.takeover_id,
            outcome=outcome,
            at_ms=now_ms,
        )

    async def release(self, effect: Release, now_ms: int) -> EffectClosed:
        """Give the order back; a shop without release_url waits for the claim to expire."""
        if self._endpoints.release_url is None:
            detail = "the shop has no release_url; its claim expires by itself"
            return EffectClosed(effect_key=effect.key, outcome="ok", at_ms=now_ms, detail=detail)
        body = {
            "order_id": effect.order_id,
            "claim_id": effect.claim_id,
            "fence": effect.fence,
            "reason": effect.reason,
        }
        answer = await self._post(self._endpoints.release_url, effect.key, body, now_ms)
        check_status(answer, "the shop's release_url", now_ms, is_repeat_known=False)
        return EffectClosed(effect_key=effect.key, outcome="ok", at_ms=now_ms)

    async def _post(
        self,
        url: str,
        key: str,
        body: dict[str, Any],
        now_ms: int,
        headers: dict[str, str] | None = None,
    ) -> HttpAnswer:
        return await post_signed(
            self._client,
            url,
            self._endpoints.secret,
            key=key,
            body=msgspec.json.encode(body, order="sorted"),
            now_ms=now_ms,
            headers=headers,
        )
