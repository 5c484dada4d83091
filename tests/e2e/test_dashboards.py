"""Every query of every dashboard returns data on a real Prometheus that scrapes a real `/metrics`."""

from __future__ import annotations

import asyncio
import math
import shutil
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from monitor.adapters.clock import SystemClock
from monitor.adapters.telemetry.metrics import CONTENT_TYPE, MetricsCollector, WriteTimes
from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import Comparison, Number, Rule, RuleSet, Signal
from monitor.model.settings import ChannelSettings, ReceiverSettings, Settings, SourceSettings
from tests.dashboards import FILES, board, queries, substituted

PROMETHEUS = shutil.which("prometheus")
SCRAPES = 5

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="prometheus is not installed (apt-get install prometheus)"
)


class Process:
    """Runtime facts of a service with one receiver."""

    left_out, blocked = LeftOut(), Counter[str]()

    def outbox_rows(self) -> dict[str, int]:
        return {"notify/ops/dingtalk/0": 0}

    def write_times(self) -> WriteTimes | None:
        return WriteTimes(10, 0.05, 0.004, 0.02)

    def loop_lag_s(self) -> float:
        return 0.001


def shop(now_ms: int) -> Engine:
    """Forty orders of the last ten minutes on two channels: good, late, waiting and stuck ones."""
    rule = Rule(
        alert="DelayedOver2Percent",
        group="delivery",
        expr=Comparison(">", Signal("open_orders"), Number(1.0)),
        expr_text="open_orders > 1",
        interval_ms=15_000,
    )
    settings = Settings(
        sources=(SourceSettings("main-shop"),),
        channels=(ChannelSettings("auto"), ChannelSettings("supplier")),
        receivers=(ReceiverSettings("ops"),),
    )
    engine = Engine(settings, RuleSet((rule,)))
    events = []
    for number in range(40):
        paid_ms = now_ms - 600_000 + number * 14_000
        channel = ("auto", "supplier")[number % 2]
        events.append(_event(EventType.PAID, f"o{number}", paid_ms, channel))
        delay_ms = 240_000 if number % 9 == 0 else 15_000
        if number % 7 and paid_ms + delay_ms < now_ms:
            events.append(_event(EventType.DELIVERED, f"o{number}", paid_ms + delay_ms, channel))
    engine.handle(Batch(tuple(events)), now_ms)
    return engine


def _event(kind: EventType, order_id: str, at_ms: int, channel: str) -> OrderEvent:
    return OrderEvent(
        type=kind.value,
        order_id=order_id,
        source="main-shop",
        event_id=f"{order_id}-{kind.value}",
        time_ms=at_ms,
        received_ms=at_ms,
        channel=channel,
    )


@dataclass
class Scraped:
    """`/metrics` of one engine; counts how often Prometheus came."""

    collector: MetricsCollector
    count: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answer(self, _: web.Request) -> web.Response:
        async with self.changed:
            self.count += 1
            self.changed.notify_all()
        return web.Response(body=self.collector.render(), headers={"Content-Type": CONTENT_TYPE})

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: self.count >= count)


@asynccontextmanager
async def serving(scraped: Scraped) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/metrics", scraped.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def prometheus(target_port: int, folder: Path) -> AsyncIterator[str]:
    """A Prometheus of our own on a free loopback port."""
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: delivery-monitor\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert PROMETHEUS is not None
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def values(client: aiohttp.ClientSession, url: str, expr: str) -> list[float]:
    """Values of all series of an instant query that are numbers."""
    async with client.get(f"{url}/api/v1/query", params={"query": expr}) as response:
        answer: dict[str, Any] = await response.json()
    assert answer["status"] == "success", f"{expr}: {answer}"
    found = [float(one["value"][1]) for one in answer["data"]["result"]]
    return [value for value in found if not math.isnan(value)]


async def line_of(demo: asyncio.subprocess.Process, kind: str) -> str:
    """The demo's next line of a kind."""
    assert demo.stdout is not None
    async with asyncio.timeout(60):
        async for line in demo.stdout:
            text = line.decode()
            if kind in text:
                return text
    raise AssertionError(f"the demo ended without {kind}")


@pytest.mark.slow
async def test_every_query_returns_data_while_the_demo_runs(tmp_path: Path) -> None:
    """What a newcomer sees when Grafana stands beside `make demo`: no empty panel."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "demo", "--seconds", "24",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = int((await line_of(demo, "PAGE")).rsplit(":", 1)[1])
        async with prometheus(port, tmp_path) as url, aiohttp.ClientSession() as client:
            await line_of(demo, "RECOVERED")
            silent = [
                (title, expr)
                for path in FILES
                for title, expr in queries(path)
                if not await values(client, url, substituted(expr))
            ]
    finally:
        demo.terminate()
        await demo.wait()
    assert silent == []


@pytest.mark.slow
async def test_every_query_returns_data(tmp_path: Path) -> None:
    """A panel without a single number is a mistake in the panel."""
    clock = SystemClock()
    scraped = Scraped(MetricsCollector(shop(clock.now_ms()), clock, Process()))
    async with (
        serving(scraped) as port,
        prometheus(port, tmp_path) as url,
        aiohttp.ClientSession() as client,
    ):
        await scraped.wait(SCRAPES)  # all but the last are stored for certain
        for path in FILES:
            silent = [
                (title, expr)
                for title, expr in queries(path)
                if not await values(client, url, substituted(expr))
            ]
            assert silent == []
            for annotation in board(path)["annotations"]["list"]:
                await values(client, url, substituted(annotation["expr"]))
        (health,) = await values(client, url, 'delivery_health_index{scope="*"}')
        assert 0 < health < 100
        assert await values(client, url, "sum(delivery_open_orders)") == [
            float(len([one for one in shop(clock.now_ms()).shard.orders.values() if one.is_open]))
        ]
