"""Payment gateways of a running service: asked, watched, and heard through the relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from monitor.app import Monitor
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from tests.gateways import KEY, MERCHANT, GatewayHost, Payment, gateway_host
from tests.relay.shop import open_shop
from tests.relay.world import get, raw, said, yipay
from tests.unit.config.files import load_text, write_secret


@asynccontextmanager
async def running(folder: Path, host: GatewayHost, more: str = "") -> AsyncIterator[Monitor]:
    """A service that was told of one 易支付 and one V免签 by its file."""
    write_secret(folder / "gate.key", KEY)
    text = f"""
listen: 127.0.0.1:0
disk_reserve_mib: 0
data_dir: {folder}/data
gateways:
  - {{name: epay, kind: yipay, url: "{host.url}", merchant: {MERCHANT}, key_file: gate.key}}
  - {{name: vmq, kind: vpay, url: "{host.url}", key_file: gate.key}}
{more}"""
    loaded = load_text(folder, text)
    monitor = Monitor(loaded, RuleSet(), reread=lambda: (loaded, RuleSet()))
    await monitor.start()
    try:
        await monitor.wait_until_ready()
        yield monitor
    finally:
        await monitor.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.02)


def created(order_id: str, age_ms: int) -> OrderEvent:
    now_ms = int(time.time() * 1000)
    return OrderEvent(
        "order.created", order_id, "shop", order_id, now_ms - age_ms, now_ms, provider="epay"
    )


async def test_lost_callback_is_found_and_a_living_phone_is_heard(tmp_path: Path) -> None:
    """From the file to the facts: one order is paid, one is not, the phone has its heartbeat."""
    async with gateway_host() as host, running(tmp_path, host) as monitor:
        host.heart_s = int(time.time())
        host.add(Payment("A1", "T1", 1), Payment("A2", "T2", 0))
        await monitor.ingest((created("A1", 30_000), created("A2", 30_000)))
        await monitor.reload()  # and with it everything is asked at once
        orders = monitor.engine.shard.orders
        await until(lambda: orders["A1"].facts.paid_ms is not None)
        assert orders["A2"].facts.paid_ms is None
        assert orders["A1"].timeline[-1].source == "gateway:epay"
        sources = monitor.engine.shard.sources
        await until(lambda: sources["listener:vmq"].last_ms > 0)
        assert sources["listener:vmq"].heartbeat_ms == 24_000


async def test_gateway_that_cannot_be_asked_is_said_loudly_and_without_its_key(
    tmp_path: Path,
) -> None:
    """Among the notes of `/readyz?verbose` and of the page."""
    async with gateway_host() as host, running(tmp_path, host) as monitor:
        host.status = 502
        await monitor.ingest((created("A1", 30_000),))
        await monitor.reload()
        await until(lambda: any(note.startswith("gateway epay: ") for note in monitor.notes()))
        assert KEY not in str(monitor.notes())


async def test_payment_that_the_relay_hears_of_is_checked_at_the_gateway(tmp_path: Path) -> None:
    """The callback goes its way at once; the gateway is asked whether it is true."""
    async with gateway_host() as host, open_shop() as shop:
        relay = (
            f'relays: [{{shop: main, gateway: epay, forward: "http://127.0.0.1:{shop.port}/n"}}]\n'
        )
        async with running(tmp_path, host, relay) as monitor:
            host.add(Payment("A1", "TA1", 1))
            callback = get(yipay("A1", key=KEY), path="/relay/main/epay")
            assert said(await raw(monitor.url, callback)) == (200, b"success")
            forged = get(yipay("A2", key="another key"), path="/relay/main/epay")
            await raw(monitor.url, forged)
            await monitor.reload()  # what was heard is not forgotten, and asked at once
            await until(lambda: len(host.asked) > 0)
            assert host.asked == ["A1"]
            orders = monitor.engine.shard.orders
            await until(lambda: "A1" in orders and orders["A1"].facts.paid_ms is not None)
            assert orders["A1"].faults == ()
