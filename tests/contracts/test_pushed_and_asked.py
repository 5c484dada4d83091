"""Shops that send by themselves and are asked besides: with the answers nothing that got lost is missed.

Orders move through their steps in an API on a loopback port; each change is sent as its shop signs it.
A third of what is sent gets lost, a third comes twice, and all of it in any order.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops import PUSHES
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.reconcile import APIS
from monitor.model.endpoints import ApiAccess, ShopSource
from monitor.model.events import OrderEvent
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest
from monitor.ports import ShopPush
from tests.contracts.test_shop_apis import FAKES, NOW, STEPS, Bench, final
from tests.schemes import in_base64, mac, posted
from tests.shop_apis import KEY, SECRET_KEY, START_S, served

HOOK_SECRET = "whsec_of-every-kind-of-shop"
ORDERS = 40


def woocommerce(entry: dict[str, Any], step: str) -> RawRequest:
    raw = json.dumps(entry).encode()
    return posted(
        raw, NOW, X_WC_Webhook_Resource="order", X_WC_Webhook_Event="updated",
        X_WC_Webhook_Signature=in_base64(mac(raw, HOOK_SECRET)),
    )  # fmt: skip


def shopify(entry: dict[str, Any], step: str) -> RawRequest:
    raw = json.dumps(entry).encode()
    topic = {"created": "create", "paid": "paid", "delivered": "fulfilled"}[step]
    triggered = entry["updated_at"].replace("Z", ".250Z")
    return posted(
        raw, NOW, X_Shopify_Topic=f"orders/{topic}", X_Shopify_Triggered_At=triggered,
        X_Shopify_Hmac_Sha256=in_base64(mac(raw, HOOK_SECRET)),
    )  # fmt: skip


def stripe(entry: dict[str, Any], step: str) -> RawRequest:
    raw, now_s = json.dumps(entry).encode(), str(NOW // 1_000)
    proof = mac(f"{now_s}.".encode() + raw, HOOK_SECRET).hex()
    return posted(raw, NOW, Stripe_Signature=f"t={now_s},v1={proof}")


SIGNED: dict[str, Callable[[dict[str, Any], str], RawRequest]] = {
    "shopify": shopify, "stripe": stripe, "woocommerce": woocommerce,
}  # fmt: skip


class Shop:
    """One kind of shop: its API, and who reads what it sends and what it answers."""

    def __init__(self, kind: str, bench: Bench, push: ShopPush) -> None:
        self.kind, self.bench, self.push = kind, bench, push

    def send(self, number: int, step: str) -> tuple[OrderEvent, ...]:
        """What the webhook about the last change of an order says."""
        entries = self.bench.api.entries
        name = f"evt_{number}_{step}" if self.kind == "stripe" else number
        return self.push.read(SIGNED[self.kind](entries[name], step)).events


@pytest.fixture(params=sorted(SIGNED))
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """Every kind in turn."""
    kind: str = request.param
    api = FAKES[kind]()
    async with served(api) as place:
        client = HttpClient(config_hosts=[place])
        access = ApiAccess(api.base, Secret(KEY), Secret(SECRET_KEY))
        source = ShopSource("main", kind, (Secret(HOOK_SECRET),), api=access)
        naming = Naming(lambda text: f"c:{len(text)}", lambda text: f"g:{len(text)}")
        facts = Facts("main", naming, timezone=None, currency="EUR")
        pull = APIS[kind](source, facts, client, lambda *_: None)
        yield Shop(kind, Bench(api, pull), PUSHES[kind](source, facts))
        await pull.close()
        await client.close()


async def told(shop: Shop) -> tuple[list[OrderEvent], list[OrderEvent]]:
    """Let every order take its steps; what is sent, and what a sweep after each step finds."""
    sent: list[OrderEvent] = []
    found: list[OrderEvent] = []
    for at, step in enumerate(STEPS):
        for number in range(ORDERS):
            shop.bench.api.put(number, START_S + at * 600 + number, step)
            sent += shop.send(number, step)
        found += await shop.bench.sweep()
    return sent, found


@pytest.mark.parametrize("seed", range(3))
async def test_lost_repeated_and_late_pushes_change_nothing(shop: Shop, seed: int) -> None:
    """With the sweeps the facts of all orders are those of the run in which all went well."""
    sent, found = await told(shop)
    dice = random.Random(seed)
    unlucky = [event for event in sent if dice.random() > 0.3]
    unlucky += [event for event in unlucky if dice.random() < 0.3]
    everything = [*unlucky, *found]
    dice.shuffle(everything)
    assert len(unlucky) != len(sent)
    assert final(everything) == final([*sent, *found])
    assert len(final(sent)) == ORDERS


async def test_pushes_alone_tell_every_step(shop: Shop) -> None:
    """Without an API an owner still sees each order made, paid and, where the shop knows, delivered."""
    sent, _ = await told(shop)
    for facts in final(sent).values():
        assert facts.paid_ms is not None
        assert facts.created_ms is not None
        assert (facts.delivered_ms is None) == (shop.kind == "stripe")
        assert facts.contradictions == ()


async def test_fact_that_is_sent_and_found_is_one_event(shop: Shop) -> None:
    """Under one id, wherever both know the shop's own time."""
    sent, found = await told(shop)
    ids = [{(one.order_id, one.event_id) for one in events} for events in (sent, found)]
    only_sent = {name for name in ids[0] - ids[1] if not name[1].startswith("order.paid@")}
    assert only_sent == set()
    assert shop.kind == "shopify" or ids[0] == ids[1]
