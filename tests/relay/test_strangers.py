"""What a stranger can do who knows a shop's address and a payment's number, and what he cannot."""

from __future__ import annotations

from pathlib import Path

from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from tests.relay.shop import answer, open_shop
from tests.relay.test_told import order_with
from tests.relay.world import get, raw, running, said, settings_of, yipay


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
