"""A running service reads a shop's database: orders appear, what was sold does not, outages are loud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.app import Monitor
from monitor.config.load import Loaded
from monitor.model.endpoints import DatabaseAccess, ShopSource
from monitor.model.events import EventType, OrderEvent
from monitor.model.secret import Secret
from monitor.model.times import MINUTE_MS
from tests.databases import Servers
from tests.shops.bench import BUYER, SECRET
from tests.shops.stalls import DujiaokaBench
from tests.unit.app_world import loaded, ready, running, written


def reading(data_dir: Path, access: DatabaseAccess) -> Loaded:
    """A service with one shop, looked at twice a second."""
    source = ShopSource(
        "main", "dujiaoka", database=access, poll_ms=500, timezone="Asia/Shanghai", currency="CNY"
    )
    plain = loaded(data_dir)
    return msgspec.structs.replace(
        plain, endpoints=msgspec.structs.replace(plain.endpoints, shop_sources=(source,))
    )


@asynccontextmanager
async def service(data_dir: Path, access: DatabaseAccess) -> AsyncIterator[Monitor]:
    """The service, ready."""
    async with running(reading(data_dir, access), clock=SystemClock()) as monitor:
        await ready(monitor)
        yield monitor


async def delivered(monitor: Monitor, order_id: str) -> None:
    """Return when the service knows of a delivery."""
    async with asyncio.timeout(20):
        while True:
            order = monitor.engine.shard.orders.get(order_id)
            if order is not None and order.facts.delivered_ms is not None:
                return
            await asyncio.sleep(0.02)


async def marked(data_dir: Path, last: int) -> None:
    """Return when the place behind an order is kept: a stop before that would bring it again."""
    path = data_dir / "mark-main.json"
    async with asyncio.timeout(20):
        while not path.exists() or f'\\"last\\":{last}' not in path.read_text(encoding="utf-8"):
            await asyncio.sleep(0.02)


async def test_orders_of_a_database_appear_and_what_was_sold_does_not(
    mariadb_server: Servers, tmp_path: Path
) -> None:
    """From the shop's row to the verdict; a restart goes on where reading was, and repeats nothing."""
    bench = DujiaokaBench(mariadb_server.database(DujiaokaBench.script))
    made_ms = SystemClock().now_ms() - MINUTE_MS
    for number in (1, 2):
        bench.create(number, made_ms)
        bench.step("complete", number, made_ms, made_ms + 31_000)
        async with service(tmp_path, bench.database.access) as monitor:
            await delivered(monitor, bench.order_id(number, made_ms))
            await marked(tmp_path, number)
            assert monitor.notes() == ["no receiver is configured: nobody would be told"]
    records, _ = await written(tmp_path)
    events = [one for one in records if isinstance(one, OrderEvent)]
    told = [one.event_id for one in events if one.type != EventType.HEARTBEAT]
    assert len(told) == 6  # each order: made, paid, delivered
    assert any(one.type == EventType.HEARTBEAT for one in events)
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in raw
    assert BUYER.encode() not in raw
    bench.database.shop.close()


async def test_cards_that_a_shop_has_left_are_measured(
    mariadb_server: Servers, tmp_path: Path
) -> None:
    """What `StockLedgerMismatch` compares with deliveries, by the goods that orders name."""
    database = mariadb_server.database(DujiaokaBench.script)
    database.write("INSERT INTO carmis (goods_id, carmi) VALUES (7, %s), (7, %s)", SECRET, SECRET)
    async with service(tmp_path, database.access) as monitor, asyncio.timeout(20):
        while monitor.engine.shard.tallies.gauges.value("stock", "7") != 2:
            await asyncio.sleep(0.02)
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in raw
    database.shop.close()


async def test_database_that_cannot_be_read_is_told_loudly(
    mariadb_server: Servers, tmp_path: Path
) -> None:
    """In `/readyz?verbose`, with the place and without the password; the service itself is ready."""
    database = mariadb_server.database(DujiaokaBench.script)
    wrong = DatabaseAccess(database.access.url, Secret("wrong-4711"))
    async with service(tmp_path, wrong) as monitor:
        async with asyncio.timeout(20):
            while "main: " not in monitor.readiness().facts["notes"]:
                await asyncio.sleep(0.02)
        said = monitor.readiness()
        assert said.is_ready
        assert "refuses the user reader" in said.facts["notes"]
        assert "4711" not in said.facts["notes"]
    database.shop.close()
