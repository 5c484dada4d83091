"""Performing effects: each kind of effect goes to the adapter of its receiver.

The answer's time is when the answer was there, not when the question was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from monitor.adapters.channel_reports import Reports
from monitor.adapters.channels.base import DeliveryChannel, Vault
from monitor.adapters.failover_webhook import FailoverWebhook
from monitor.adapters.http_client import HttpClient
from monitor.adapters.notifiers import NOTIFIERS
from monitor.adapters.notifiers.base import Notifier
from monitor.adapters.shop import Shop
from monitor.adapters.signed_post import post_event
from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    NotifyBuyer,
    Quarantine,
    Query,
    Refund,
    Release,
    Submit,
    SwitchChannel,
)
from monitor.model.endpoints import Endpoint, Endpoints
from monitor.model.errors import NotFoundError, Permanent
from monitor.model.records import (
    Answer,
    AttemptAnswered,
    ClaimAnswered,
    EffectClosed,
    HandOverAnswered,
    Notified,
    SwitchAnswered,
)
from monitor.ports import Clock


class OutsidePerformer:
    """Keeps `ports.Performer` on the real outside; made anew when the configuration changes.

    `previous` is the one it takes the place of: how fast receivers may be sent to goes on counting.
    """

    def __init__(
        self,
        client: HttpClient,
        endpoints: Endpoints,
        channels: Mapping[str, DeliveryChannel],
        vault: Vault,
        clock: Clock,
        previous: OutsidePerformer | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._channels = channels
        self._vault = vault
        self._endpoints = {
            endpoint.name: endpoint for endpoint in (*endpoints.integrations, *endpoints.webhooks)
        }
        self.notifiers: dict[str, Notifier] = {
            kind: previous.notifiers[kind].moved(client) if previous else make(client)
            for kind, make in NOTIFIERS.items()
        }
        self._shop = Shop(client, endpoints.shop) if endpoints.shop else None
        self.reports = Reports(channels, endpoints.http_channels, vault)
        self._failover = FailoverWebhook(client, endpoints.failover) if endpoints.failover else None

    async def perform(self, effect: Effect) -> Answer:
        """Do it and report what is known; errors as the port says."""
        answer = await self._dispatched(effect, self._clock.now_ms())
        return msgspec.structs.replace(answer, at_ms=self._clock.now_ms())

    async def _dispatched(self, effect: Effect, now_ms: int) -> Answer:
        match effect:
            case Notify():
                return await self._notify(effect, now_ms)
            case CallWebhook():
                return await self._call_webhook(effect, now_ms)
            case SwitchChannel():
                return await self._switch(effect, now_ms)
            case Claim():
                return await self._claim(effect, now_ms)
            case HandOver():
                return await self._hand_over(effect, now_ms)
            case Release():
                return await self._release(effect, now_ms)
            case Submit():
                return await self._submit(effect, now_ms)
            case Query():
                return await self._query(effect, now_ms)
            case Quarantine():
                return await self._quarantine(effect, now_ms)
            case NotifyBuyer():
                return await self._the_shop().notify(effect, now_ms)
            case Compensate():
                return await self._the_shop().compensate(effect, now_ms)
            case Refund():
                return await self._the_shop().refund(effect, now_ms)
        assert_never(effect)

    async def _notify(self, effect: Notify, now_ms: int) -> Notified:
        endpoint = self._endpoint(integration_name(effect))
        await self._notifier(endpoint).send(effect, endpoint, now_ms)
        return Notified(effect_key=effect.key, receiver=effect.receiver, outcome="ok", at_ms=now_ms)

    async def _call_webhook(self, effect: CallWebhook, now_ms: int) -> Notified:
        endpoint = self._endpoint(effect.endpoint)
        await post_event(self._client, endpoint, effect, now_ms)
        return Notified(effect_key=effect.key, receiver=endpoint.name, outcome="ok", at_ms=now_ms)

    async def _switch(self, effect: SwitchChannel, now_ms: int) -> SwitchAnswered:
        if self._failover is None:
            raise _not_configured("failover.webhook")
        return await self._failover.switch(effect, now_ms)

    async def _claim(self, effect: Claim, now_ms: int) -> ClaimAnswered:
        return await self._the_shop().claim(effect, now_ms)

    async def _hand_over(self, effect: HandOver, now_ms: int) -> HandOverAnswered:
        shop = self._the_shop()
        goods: list[str] | None = None
        try:
            goods = await self._vault.goods(effect.attempt_ref)
        except NotFoundError:
            goods = None
        if not goods:
            raise Permanent("the vault has no goods of this attempt", code="goods_missing")
        return await shop.deliver(effect, goods, now_ms)

    async def _release(self, effect: Release, now_ms: int) -> EffectClosed:
        return await self._the_shop().release(effect, now_ms)

    async def _submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        return await self._channel(effect.channel).submit(effect, now_ms)

    async def _query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        return await self._channel(effect.channel).query(effect, now_ms)

    async def _quarantine(self, effect: Quarantine, now_ms: int) -> EffectClosed:
        channel = self._channels.get(effect.channel)
        if channel is not None:
            await channel.quarantine(effect, now_ms)
        else:  # the channel is gone from the configuration, its goods are still ours to lock away
            await self._vault.quarantine(effect.attempt_ref)
        return EffectClosed(effect_key=effect.key, outcome="ok", at_ms=now_ms)

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self._endpoints:
            raise _not_configured(name)
        return self._endpoints[name]

    def _notifier(self, endpoint: Endpoint) -> Notifier:
        if endpoint.kind not in self.notifiers:
            raise _not_configured(f"a notifier of kind {endpoint.kind}")
        return self.notifiers[endpoint.kind]

    def _channel(self, name: str) -> DeliveryChannel:
        if name not in self._channels:
            raise _not_configured(f"channel {name}")
        return self._channels[name]

    def _the_shop(self) -> Shop:
        if self._shop is None:
            raise _not_configured("shop")
        return self._shop


def integration_name(effect: Notify) -> str:
    """Name the endpoint of a message: `<receiver>/<kind>/<index>`, given either way."""
    has_receiver = effect.integration.count("/") > 1
    return effect.integration if has_receiver else f"{effect.receiver}/{effect.integration}"


def _not_configured(what: str) -> Permanent:
    """The effect was decided under another configuration; nothing was sent."""
    return Permanent(
        f"{what} is not in the configuration any more",
        code="not_configured",
        hint="put it back into monitor.yaml, or ignore this if it was removed on purpose",
    )
