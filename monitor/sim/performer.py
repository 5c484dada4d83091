"""Performs effects on the shop, the supplier and the chat of `sim/world`, over a bad network.

    perform ──refused──► Transient
       └──► on its way ──► arrives and is done ──► answer on its way ──► answer
                              │                        └──lost──► UnknownOutcome
                              └── also when the sender died meanwhile

The network is made of virtual time and one seeded generator. A request that has left arrives
whatever becomes of its sender: that is what makes a crash dangerous.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, assert_never

import msgspec

from monitor.adapters.failover_webhook import understood
from monitor.model.effects import (
    CallWebhook,
    Claim,
    Effect,
    HandOver,
    Notify,
    Quarantine,
    Query,
    Release,
    Submit,
    SwitchChannel,
)
from monitor.model.errors import Permanent, Transient, UnknownOutcome
from monitor.model.records import (
    Answer,
    AttemptAnswered,
    ClaimAnswered,
    EffectClosed,
    HandOverAnswered,
    Notified,
)
from monitor.ports import Clock
from monitor.sim.goods import Goods
from monitor.sim.world import SKU, Chat, Shop, Supplier

DELAY_MEAN_S = 0.03
DELAY_MAX_S = 0.8  # less than the supplier's `settle`, as it must be


class Network(msgspec.Struct, frozen=True):
    """How bad the network is: shares of requests refused, and of answers that get lost."""

    refused_share: float = 0.03
    lost_share: float = 0.05


class WorldPerformer:
    """Keeps `ports.Performer` without sockets; one for the whole life of a world.

    `handed_over` gets (order id, takeover id) of goods the shop took. `heard` holds when a message
    or webhook arrived, by effect key.
    """

    def __init__(
        self,
        *,
        shop: Shop,
        supplier: Supplier,
        chat: Chat,
        goods: Goods,
        clock: Clock,
        chance: random.Random,
        network: Network,
    ) -> None:
        self.shop = shop
        self.goods = goods
        self.handed_over: list[tuple[str, str]] = []
        self.heard: dict[str, int] = {}
        self._supplier = supplier
        self._chat = chat
        self._clock = clock
        self._chance = chance
        self._network = network
        self._requests: dict[int, asyncio.Task[Any]] = {}
        self._sent = 0

    async def perform(self, effect: Effect) -> Answer:
        """See Performer."""
        match effect:
            case Notify():
                await self._ask(lambda: self._tell(effect.key, effect.title))
                return Notified(effect.key, effect.receiver, "ok", self._clock.now_ms())
            case CallWebhook():
                await self._ask(lambda: self._tell(effect.key, None))
                return Notified(effect.key, effect.endpoint, "ok", self._clock.now_ms())
            case SwitchChannel():
                command = msgspec.json.decode(effect.payload)
                said = await self._ask(lambda: self.shop.switch(command, self._clock.now_ms()))
                now_ms = self._clock.now_ms()
                return understood(effect, said["status"], said["applied_epoch"], now_ms)
            case Claim():
                return await self._claim(effect)
            case Submit() | Query():
                return await self._deliver(effect)
            case HandOver():
                return await self._hand_over(effect)
            case Release():
                await self._ask(lambda: self.shop.release(msgspec.to_builtins(effect)))
                return EffectClosed(effect.key, "ok", self._clock.now_ms())
            case Quarantine():
                self.goods.lock_away(effect.attempt_ref)
                return EffectClosed(effect.key, "ok", self._clock.now_ms())
        assert_never(effect)

    async def settled(self) -> None:
        """Return when no request is on its way any more."""
        while self._requests:
            await asyncio.wait(list(self._requests.values()))

    # --- the network --------------------------------------------------------------------------------

    async def _ask(self, act: Callable[[], Any]) -> Any:
        """Let something happen elsewhere and return what was said; errors as the port says."""
        if self._chance.random() < self._network.refused_share:
            raise Transient("connection refused")
        self._sent += 1
        number = self._sent
        request = asyncio.get_running_loop().create_task(
            self._travel(act), name=f"request {number}"
        )
        self._requests[number] = request
        request.add_done_callback(lambda _: self._requests.pop(number))
        said = await asyncio.shield(request)
        await self._delay()
        if said is None or self._chance.random() < self._network.lost_share:
            raise UnknownOutcome("no answer came back")
        return said

    async def _travel(self, act: Callable[[], Any]) -> Any:
        await self._delay()
        return act()

    def _delay(self) -> Awaitable[None]:
        delay_s = self._chance.expovariate(1 / DELAY_MEAN_S)
        return asyncio.sleep(min(delay_s, DELAY_MAX_S))

    # --- who is asked -------------------------------------------------------------------------------

    def _tell(self, key: str, title: str | None) -> bool:
        now_ms = self._clock.now_ms()
        self.heard.setdefault(key, now_ms)
        if title is not None:
            self._chat.tell(title, now_ms)
        return True

    async def _claim(self, effect: Claim) -> ClaimAnswered:
        said = await self._ask(lambda: self.shop.claim(msgspec.to_builtins(effect)))
        return ClaimAnswered(
            effect_key=effect.key,
            takeover_id=effect.takeover_id,
            status=said["status"],
            at_ms=self._clock.now_ms(),
            paid=said.get("paid", False),
            sku=said.get("sku"),
            quantity=said.get("quantity", 1),
            amount_minor=said.get("amount_minor"),
        )

    async def _hand_over(self, effect: HandOver) -> HandOverAnswered:
        goods = self.goods.to_hand_over(effect.attempt_ref)
        if not goods:
            raise Permanent("the vault has no goods of this attempt", code="goods_missing")
        body = msgspec.to_builtins(effect) | {"goods": list(goods)}
        status = await self._ask(lambda: self._take_goods(body))
        outcome = "delivered" if status == 200 else "already_delivered"
        return HandOverAnswered(effect.key, effect.takeover_id, outcome, self._clock.now_ms())

    def _take_goods(self, body: dict[str, Any]) -> int:
        status, _ = self.shop.take_goods(body, self._clock.now_ms())
        told = (body["order_id"], body["takeover_id"])
        if status == 200 and told not in self.handed_over:
            self.handed_over.append(told)
        return status

    async def _deliver(self, effect: Submit | Query) -> AttemptAnswered:
        is_query = isinstance(effect, Query)
        if effect.channel == "staff":
            return self._attempted(effect, "unknown" if is_query else "accepted")
        if effect.channel == "pool":
            return self._from_pool(effect)
        reference, sku = effect.attempt_ref, effect.sku or ""
        try:
            said = await self._ask(
                lambda: (
                    self._supplier.look_up(reference)
                    if is_query
                    else self._supplier.buy(reference, sku)
                )
            )
        except Transient:
            if is_query:
                raise
            return self._attempted(effect, "rejected", "not_sent")  # as `HttpSupplier` does
        if said["status"] == "delivered":
            self.goods.store(reference, tuple(said["keys"]))
        return self._attempted(effect, said["status"], said.get("code"))

    def _from_pool(self, effect: Submit | Query) -> AttemptAnswered:
        """The pool is a file of ours: no network, but a crash can come after it."""
        if isinstance(effect, Query):
            held = self.goods.held_or_barred(effect.attempt_ref)
            return self._attempted(effect, "delivered" if held else "not_found")
        held = self.goods.reserve(effect.attempt_ref) if effect.sku == SKU else ()
        if held:
            return self._attempted(effect, "delivered")
        return self._attempted(effect, "rejected", "out_of_stock")

    def _attempted(
        self, effect: Submit | Query, outcome: str, code: str | None = None
    ) -> AttemptAnswered:
        goods_count = len(self.goods.to_hand_over(effect.attempt_ref))
        return AttemptAnswered(
            effect_key=effect.key,
            takeover_id=effect.takeover_id,
            attempt_ref=effect.attempt_ref,
            outcome=outcome,
            at_ms=self._clock.now_ms(),
            is_query=isinstance(effect, Query),
            code=code,
            goods_count=goods_count if outcome == "delivered" else 0,
        )
