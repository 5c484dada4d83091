"""A real `serve` process that is killed again and again, and the busy little world around it.

The world (shop, supplier, chat) lives in the test process and is never killed, so its books are the
truth: who got which keys, what was bought, what was heard. A courier keeps events until they are
acknowledged; its journal of acknowledged events is what the service must never lose.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.stock_pool import import_units
from monitor.model.errors import Transient
from monitor.sim.courier import Courier
from monitor.sim.loopback import Loopback
from monitor.sim.stage import configuration
from monitor.sim.traffic import Traffic
from monitor.sim.world import CHANNELS, SKU, Chat, Shop, Supplier
from tests.e2e.serving import ENVIRONMENT

ORDERS_PER_S = 15.0
CONNECTIONS = 4
START_WITHIN_S = 60.0
SUPPLIER_DELAY_S = 0.25  # long enough to die while it sells
OUTAGE_S, CALM_S = 11.0, 3.0  # an outage longer than `fallback.after`, then time to recover
RULES = """
groups:
  - name: delivery
    interval: 1s
    rules:
      - alert: Delayed
        expr: delayed_ratio[4s:10:30s] > 2%
        resolve_when: delayed_ratio[4s:10:30s] < 50%
        by: [channel]
        annotations: {summary: "{{ count }} of {{ total }}"}
      - alert: Waiting
        expr: oldest_age > 4s
        annotations: {summary: "{{ value }}"}
"""


class Victim:
    """One data directory, one port, many lives."""

    def __init__(self, folder: Path, world: Loopback) -> None:
        self.data_dir = folder / "data"
        self.config = folder / "monitor.yaml"
        self.rules = folder / "rules.yaml"
        self.url = f"http://127.0.0.1:{(port := _free_port())}"
        self.lives = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        text = configuration(world.url, str(self.data_dir), f"127.0.0.1:{port}")
        self.config.write_text(text.replace('"takeover.*", ', '"takeover.*", "alert.*", '))
        self.rules.write_text(RULES)

    async def fill_pool(self, keys: list[str]) -> None:
        """Put keys into the local pool before the first life."""
        self.data_dir.mkdir(mode=0o700)
        goods = GoodsFile(self.data_dir)
        await goods.open()
        await import_units(goods, keys, SKU)
        await goods.close()

    def start(self) -> None:
        """Begin another life."""
        self.lives += 1
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "serve", "--log-level", "WARNING",
                 "--config", str(self.config), "--rules", str(self.rules)],
                env=ENVIRONMENT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL."""
        process = self._running()
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, self.log()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(process.wait, 30)

    async def wait_until_ready(self, session: aiohttp.ClientSession) -> None:
        """Return when the state is rebuilt."""
        async with asyncio.timeout(START_WITHIN_S):
            while not await self._is_ready(session):
                assert self._running().poll() is None, self.log()
                await asyncio.sleep(0.02)

    def log(self) -> str:
        """What all lives logged, the end of it."""
        return (self._folder / "serve.log").read_text()[-4_000:]

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


class Town:
    """The world, its traffic, and the victim in the middle."""

    def __init__(self, folder: Path, seed: int, pool_keys: list[str]) -> None:
        clock = SystemClock()
        self.seed = seed
        self.shop, self.chat = Shop(), Chat()
        self.supplier = Supplier(random.Random(f"supplier {seed}"))
        self.world = Loopback(
            self.shop, self.supplier, self.chat, clock, supplier_delay_s=SUPPLIER_DELAY_S
        )
        self.courier = Courier(self._post)
        chance = random.Random(f"buyers {seed}")
        self.traffic = Traffic(
            self.shop, clock, chance, self.courier.emit, orders_per_s=ORDERS_PER_S
        )
        self._folder = folder
        self._pool_keys = pool_keys
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Victim]:
        """Start world, couriers and the first life; everything is gone afterwards."""
        await self.world.start()
        self.victim = Victim(self._folder, self.world)
        await self.victim.fill_pool(self._pool_keys)
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as self.session:
                self._spawn(*(self.courier.run() for _ in range(CONNECTIONS)), self._tell())
                self.victim.start()
                yield self.victim
                await self._end_tasks()
        finally:
            self.victim.end()
            await self._end_tasks()
            await self.world.stop()

    def open_shop(self) -> None:
        """Let buyers come, and channels fail and heal, until `close_shop`."""
        self._selling = asyncio.create_task(self.traffic.sell(1e9))
        self._failing = asyncio.create_task(self._fail_and_heal())

    async def close_shop(self) -> None:
        """No more buyers; all channels work again."""
        for task in (self._selling, self._failing):
            task.cancel()
        await asyncio.gather(self._selling, self._failing, return_exceptions=True)
        self.shop.broken.clear()

    async def get(self, path: str) -> Any:
        """The JSON answer of the service."""
        async with self.session.get(self.victim.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def _post(self, events: list[dict[str, Any]]) -> None:
        try:
            async with self.session.post(f"{self.victim.url}/v1/events", json=events) as answer:
                if answer.status != 202:
                    raise Transient(f"HTTP {answer.status}")
                said = await answer.json()
                assert not said["rejected"], said
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Transient("no answer") from error

    async def _tell(self) -> None:
        """Tell the monitor of goods that the shop took from it."""
        while True:
            while self.world.delivered:
                order_id, takeover_id = self.world.delivered.pop(0)
                await self.traffic.say_delivered(self.shop.orders[order_id], takeover_id)
            await asyncio.sleep(0.05)

    async def _fail_and_heal(self) -> None:
        while True:
            await asyncio.sleep(CALM_S)
            self.shop.broken.add(self.shop.active_channel())
            await asyncio.sleep(OUTAGE_S)
            self.shop.broken.difference_update(CHANNELS)

    def _spawn(self, *works: Any) -> None:
        self._tasks += [asyncio.create_task(work) for work in works]

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
