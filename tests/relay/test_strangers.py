"""What a stranger can do who knows a shop's address and a payment's number, and what he cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from tests.relay.shop import answer, open_shop
from tests.relay.test_told import order_with
from tests.relay.world import FORWARD, get, raw, running, said, settings_of, yipay


def without_key(port: int) -> RelaySettings:
    return settings_of(port, keys=GatewayKeys())


async def test_forgeries_do_not_keep_the_genuine_callback_from_the_shop(tmp_path: Path) -> None:
    """Eight and more under its number came first: it is sent at once, and accepted."""
    async with open_shop() as shop, running(tmp_path, without_key(shop.port)) as monitor:
        genuine = yipay("A1")
        shop.says = lambda seen: answer(b"success" if genuine in seen.target else b"fail")
        for number in range(9):
            await raw(monitor.url, get(yipay("A1", key=f"forged {number}")))
        assert said(await raw(monitor.url, get(genuine))) == (200, b"success")
        await order_with(monitor, "A1", "ok")
    assert genuine in shop.seen[-1].target


async def test_claim_that_nobody_signed_is_no_payment_while_the_shop_refuses_it(
    tmp_path: Path,
) -> None:
    """It is owed and told, without meaning or amount; it counts from when the shop says yes."""
    async with open_shop() as shop, running(tmp_path, without_key(shop.port)) as monitor:
        shop.says = lambda _: answer(b"fail")
        await raw(monitor.url, get(yipay("A1")))
        order = await order_with(monitor, "A1", "taken_over", "rejected")
        assert order.facts.paid_ms is None
        assert {(one.meaning, one.amount_minor, one.payment) for one in order.timeline} == {
            ("unknown", None, None)
        }
        shop.says = lambda _: answer(b"success")
        order = await order_with(monitor, "A1", "ok")
        assert order.facts.paid_ms is not None


async def test_signed_claim_is_a_payment_although_the_shop_refuses_it(tmp_path: Path) -> None:
    """What the gateway signed needs nobody's yes."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer(b"fail")
        await raw(monitor.url, get(yipay("A1")))
        order = await order_with(monitor, "A1", "taken_over", "rejected")
        assert order.facts.paid_ms is not None
        assert {one.meaning for one in order.timeline} == {"paid"}


async def test_signed_callback_does_not_stand_behind_an_unsigned_one(tmp_path: Path) -> None:
    """A key was configured while a refused one was owed: the signed one is evidence, and sent, now."""
    async with open_shop() as shop:
        shop.says = lambda _: answer(b"fail")
        async with running(tmp_path, without_key(shop.port)) as monitor:
            await raw(monitor.url, get(yipay("A1", key="forged")))
            await order_with(monitor, "A1", "rejected")
        async with running(tmp_path, settings_of(shop.port)) as monitor:
            await raw(monitor.url, get(yipay("A1")))
            orders = monitor.engine.shard.orders
            async with asyncio.timeout(20):
                while orders["A1"].facts.paid_ms is None:
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "rest",
    [
        "/../../../admin", "/a/..", "/%2e%2e/admin", "/.%2E/..//admin", "/a%2f..%2fadmin",
        "/..\\admin", "/%5c..%5cadmin", "/%252e%252e/admin", "/..;x=1/admin",
    ],
)  # fmt: skip
async def test_path_that_climbs_out_of_the_shops_address_is_refused(
    tmp_path: Path, rest: str
) -> None:
    """Nothing of it is sent or kept; the same dots in a name or in the query are harmless."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        status, body = said(await raw(monitor.url, get("x=1", path=f"/relay/main/epay{rest}")))
        assert (status, b"bad_target" in body) == (400, True)
        harmless = get("x=/../a", path="/relay/main/epay/a..b/...")
        assert said(await raw(monitor.url, harmless)) == (200, b"success")
    assert [one.target for one in shop.seen] == [f"{FORWARD}/a..b/...?x=/../a"]


async def test_what_is_about_no_order_is_told_to_nobody(tmp_path: Path) -> None:
    """A shop that says yes to anything makes no order without a name."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        assert said(await raw(monitor.url, get("hello=1"))) == (200, b"success")
        await raw(monitor.url, get(yipay("A1")))
        await order_with(monitor, "A1", "ok")
        assert list(monitor.engine.shard.orders) == ["A1"]
    assert len(shop.seen) == 2
