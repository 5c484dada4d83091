"""A small digital-goods shop and what surrounds it, as plain objects without a network.

The shop sells through channels A, B and C and delivers by itself. A channel can fail: it then takes
orders and says nothing, as a hung supplier does. The shop obeys `channel.switch`, grants claims,
and takes goods from the fallback. It also keeps the books that no monitor can fake: which order got
which keys, and how often.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.model.ids import derived_id, hash01

CHANNELS = ("A", "B", "C")
SKU = "game-key"
RARE_SKU = "signed-edition"  # sold by nobody else: only a person can deliver it
PRICE_MINOR = 1_500
CURRENCY = "CNY"


class ShopOrder(msgspec.Struct, gc=False):
    """One order in the shop's own books; times are UTC ms."""

    order_id: str
    sku: str
    channel: str
    paid_ms: int
    claim_id: str | None = None
    goods: tuple[str, ...] = ()
    delivered_ms: int | None = None
    by_takeover: str | None = None
    deliveries: int = 0
    is_refunded: bool = False
    was_granted: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the buyer has goods or the money back."""
        return self.deliveries > 0 or self.is_refunded


class Shop:
    """The shop's database and its side of switch and takeover."""

    def __init__(self) -> None:
        self.orders: dict[str, ShopOrder] = {}
        self.weights = {"A": 100, "B": 0, "C": 0}
        self.epoch = 0
        self.switched: list[tuple[int, int]] = []  # (epoch, at_ms)
        self.broken: set[str] = set()

    def active_channel(self) -> str:
        """The channel that new orders go to."""
        return max(self.weights, key=lambda name: (self.weights[name], name))

    def buy(self, order_id: str, sku: str, now_ms: int) -> ShopOrder:
        """A buyer pays."""
        order = ShopOrder(order_id, sku, self.active_channel(), now_ms)
        self.orders[order_id] = order
        return order

    def deliver_own(self, order_id: str, now_ms: int) -> bool:
        """The shop's channel delivers; False if the channel hangs or the order is claimed."""
        order = self.orders[order_id]
        if order.channel in self.broken or order.claim_id is not None or order.is_over:
            return False
        self._hand_out(order, (derived_id("key", order_id, order.channel),), now_ms)
        return True

    def refund(self, order_id: str) -> bool:
        """Give the money back; False if the order is delivered, or claimed and so maybe bought."""
        order = self.orders[order_id]
        if order.is_over or order.claim_id is not None:
            return False
        order.is_refunded = True
        return True

    def switch(self, command: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """Obey a `channel.switch` unless it is older than the one obeyed last."""
        epoch = int(command["epoch"])
        if epoch <= self.epoch:
            return {"status": "stale", "applied_epoch": self.epoch}
        if not any(self.weights.get(name) is not None for name in command["weights"]):
            return {"status": "refused", "applied_epoch": self.epoch}
        self.epoch = epoch
        known = {name: int(share) for name, share in command["weights"].items() if name in CHANNELS}
        self.weights = dict.fromkeys(CHANNELS, 0) | known
        self.switched.append((epoch, now_ms))
        return {"status": "applied", "applied_epoch": epoch}

    def claim(self, request: dict[str, Any]) -> dict[str, Any]:
        """Grant an order to the fallback: from here on the shop does not deliver it itself."""
        order = self.orders.get(str(request["order_id"]))
        if order is None or order.is_refunded:
            return {"status": "denied"}
        if order.deliveries and order.claim_id is None:
            return {"status": "already_delivered"}
        if order.claim_id not in (None, request["claim_id"]):
            return {"status": "denied"}
        order.claim_id = str(request["claim_id"])
        order.was_granted = True
        return {
            "status": "granted",
            "paid": True,
            "sku": order.sku,
            "quantity": 1,
            "amount_minor": PRICE_MINOR,
        }

    def take_goods(self, request: dict[str, Any], now_ms: int) -> tuple[int, dict[str, Any]]:
        """Take goods from the fallback, once per takeover; (HTTP status, answer)."""
        order = self.orders[str(request["order_id"])]
        if order.by_takeover == request["takeover_id"]:
            return 200, {"status": "ok"}
        if order.is_over or order.claim_id != request["claim_id"]:
            return 409, {"status": "already_delivered"}
        order.by_takeover = str(request["takeover_id"])
        self._hand_out(order, tuple(request["goods"]), now_ms)
        return 200, {"status": "ok"}

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """The fallback gives an order back."""
        order = self.orders.get(str(request["order_id"]))
        if order is not None and order.claim_id == request["claim_id"]:
            order.claim_id = None
        return {"status": "released"}

    def waiting(self) -> list[ShopOrder]:
        """Orders paid, not delivered and not refunded."""
        return [order for order in self.orders.values() if not order.is_over]

    def double_deliveries(self) -> int:
        """Orders delivered more than once, and keys given to more than one order."""
        twice = sum(order.deliveries > 1 for order in self.orders.values())
        keys = [key for order in self.orders.values() for key in order.goods]
        return twice + len(keys) - len(dict.fromkeys(keys))

    def _hand_out(self, order: ShopOrder, goods: tuple[str, ...], now_ms: int) -> None:
        order.goods += goods
        order.deliveries += 1
        order.delivered_ms = order.delivered_ms or now_ms


class Supplier:
    """A supplier's API: sells whenever it is asked to, can be asked by our reference afterwards.

    Two sales under one reference are two keys to pay for: only the buyer can prevent that, unless
    the supplier `is_idempotent`. `lost_share` of its answers get lost, `refused_share` of the
    references are refused for ever.
    """

    def __init__(
        self,
        chance: random.Random,
        lost_share: float = 0.15,
        *,
        name: str = "sup",
        is_idempotent: bool = False,
        refused_share: float = 0.0,
    ) -> None:
        self.name = name
        self.is_idempotent = is_idempotent
        self.sold: dict[str, list[str]] = {}
        self.lost_answers = 0
        self._chance = chance
        self._lost_share = lost_share
        self._refused_share = refused_share

    def buy(self, reference: str, sku: str) -> dict[str, Any] | None:
        """Sell a key; None means that the sale happened but the answer got lost."""
        if sku != SKU or hash01(self.name, reference) < self._refused_share:
            return {"status": "rejected", "code": "out_of_stock"}
        keys = self.sold.setdefault(reference, [])
        if not keys or not self.is_idempotent:
            keys.append(derived_id(self.name, reference, str(len(keys))))
        if self._lost_share and self._chance.random() < self._lost_share:
            self.lost_answers += 1
            return None
        return self.look_up(reference)

    def look_up(self, reference: str) -> dict[str, Any]:
        """What became of a reference."""
        keys = self.sold.get(reference)
        if keys is None:
            return {"status": "not_found"}
        return {"status": "delivered", "id": f"s-{reference}", "keys": keys[:1]}

    def bought_twice(self) -> int:
        """References under which more than one key was sold."""
        return sum(len(keys) > 1 for keys in self.sold.values())


class Chat:
    """A chat robot that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str]] = []

    def tell(self, title: str, now_ms: int) -> None:
        """Take a message."""
        self.messages.append((now_ms, title))

    def heard(self, words: Sequence[str]) -> bool:
        """Whether any message has one of the words in its title."""
        return any(word in title for _, title in self.messages for word in words)
