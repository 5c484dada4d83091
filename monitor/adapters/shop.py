"""The shop's side (contract §5): claim an order, hand goods over, give it back; tell and pay buyers.

All are safe to repeat at the shop (claim by `claim_id`, hand-over by Idempotency-Key, what concerns buyers
by `action_id`), so an unclear answer is an UnknownOutcome and the same bytes are sent again: JSON
with sorted keys.

    claim      2xx and a readable answer: granted, already_delivered, denied; the last two also 409
    deliver    2xx: delivered; 409 {"status":"already_delivered"}: the goods were not needed
    release    2xx: given back
    notify, compensate, refund
               2xx: done; 409 {"status":"already_delivered"|"already_refunded"}: too late
    all        429, 503: later; other 4xx, 3xx: refused for good; 5xx, timeout, nonsense: unknown
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.json_answer import read_json
from monitor.adapters.signed_post import check_status, post_signed
from monitor.model.effects import Claim, Compensate, HandOver, NotifyBuyer, Refund, Release
from monitor.model.endpoints import ShopEndpoints
from monitor.model.errors import Permanent, UnknownOutcome
from monitor.model.records import ActionAnswered, ClaimAnswered, EffectClosed, HandOverAnswered
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

    async def notify(self, effect: NotifyBuyer, now_ms: int) -> ActionAnswered:
        """Have the buyer told."""
        body: dict[str, Any] = {
            "template": effect.template,
            "language": effect.language,
            "text": effect.text,
            "channels": effect.channels,
        }
        if effect.choices:
            body["choices"] = effect.choices
            body["default"] = effect.default
            body["expires_at"] = format_rfc3339(effect.expires_ms or effect.at_ms)
        return await self._act(effect, "notify_url", self._endpoints.notify_url, body, now_ms)

    async def compensate(self, effect: Compensate, now_ms: int) -> ActionAnswered:
        """Have the buyer given something for the wait."""
        body = {
            "kind": effect.kind,
            "amount_minor": effect.amount_minor,
            "currency": effect.currency,
            "reason": effect.reason,
        }
        url = self._endpoints.compensate_url
        return await self._act(effect, "compensate_url", url, body, now_ms)

    async def refund(self, effect: Refund, now_ms: int) -> ActionAnswered:
        """Have the order paid back, unless the shop has delivered it."""
        body: dict[str, Any] = {"reason": effect.reason}
        for name in ("amount_minor", "currency", "takeover_id", "claim_id", "fence"):
            value = getattr(effect, name)
            if value is not None:
                body[name] = value
        return await self._act(effect, "refund_url", self._endpoints.refund_url, body, now_ms)

    async def _act(
        self,
        effect: NotifyBuyer | Compensate | Refund,
        name: str,
        url: str | None,
        body: dict[str, Any],
        now_ms: int,
    ) -> ActionAnswered:
        """Post what concerns the buyer of an order; a repeat is byte for byte the same request."""
        if url is None:
            raise Permanent(
                f"shop.{name} is not in the configuration",
                code="not_configured",
                hint="name the URL in monitor.yaml, or take the action out of the playbook",
            )
        body = {"order_id": effect.order_id, "action_id": effect.action_id, **body}
        headers = {"Idempotency-Key": effect.action_id}
        answer = await self._post(url, effect.key, body, now_ms, headers)
        said = read_json(answer.body, _Status) if answer.status == 409 else None
        if said is not None and said.status in ("already_delivered", "already_refunded"):
            outcome = said.status
        else:
            check_status(answer, f"the shop's {name}", now_ms, is_repeat_known=False)
            outcome = "done"
        return ActionAnswered(
            effect_key=effect.key,
            action_id=effect.action_id,
            order_id=effect.order_id,
            outcome=outcome,
            at_ms=now_ms,
        )

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
