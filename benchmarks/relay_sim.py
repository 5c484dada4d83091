"""The relay between simulated gateways and a simulated shop, in virtual time.

Everything but the network and the disk's wait is the product: `Relay`, its desk and the SQL of its
store, on a database in memory.

    BEpusdt   every 3 s it sends what is not accepted, timeout 5 s, without looking at what is under way
    epusdt    one attempt, as its default is
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec

from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.relay_schema import connect
from monitor.adapters.relay_store import RelayStore
from monitor.model.errors import StorageError
from monitor.model.events import OrderEvent
from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings, ShopReply, StoredRequest
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest
from monitor.runtime.relay import Relay
from monitor.runtime.relay_ports import Relayed
from monitor.runtime.supervisor import Supervisor
from monitor.sim.virtual_loop import VirtualClock, run_virtual

HOUR_S = 3_600.0
TICK_S, TIMEOUT_S = 3.0, 5.0
OK = ShopReply(200, (("Content-Type", "text/plain"),), b"ok")
WARNING = ShopReply(200, OK.headers, b"<b>Warning</b>: mysqli::query() in /pay.php on line 7\nok")
PATH = "/pay/notify"
KEY = "token-of-a-simulated-gateway"


class InlineJobs:
    """The store's jobs at once, on the loop: virtual time knows no threads."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.trouble: str | None = None
        self.is_dead = False  # the process was killed: nothing more reaches the disk

    async def run(
        self,
        job: Callable[[apsw.Connection], Any],
        *,
        writes_once: bool = False,
        **_never_full: bool,
    ) -> Any:
        await asyncio.sleep(0 if writes_once else 0.001)  # as a disk would
        if self.is_dead:
            raise StorageError("killed")
        with self._connection:
            return job(self._connection)

    def add(self, job: Callable[[apsw.Connection], None]) -> None:
        if not self.is_dead:
            with self._connection:
                job(self._connection)

    async def close(self) -> None:
        await asyncio.sleep(0)


class SimShop:
    """A shop that is down for a while, by refusing or by never answering; counts per order."""

    def __init__(
        self,
        down_s: float,
        *,
        handles_s: float = 0.05,
        is_hanging: bool = False,
        warns_s: float = 0.0,
    ) -> None:
        self.down_s = down_s
        self.warns_s = warns_s  # until then it handles nothing, and says so in HTML
        self.handles_s = handles_s
        self.is_hanging = is_hanging
        self.requests: Counter[str] = Counter()
        self.in_hour: Counter[str] = Counter()
        self.processed: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()

    async def send(
        self, _forward: str, _host: str, stored: StoredRequest, _mark: str, answer_s: float = 60.0
    ) -> ShopReply | None:
        order = msgspec.json.decode(stored.request.body)["order_id"]
        now_s = asyncio.get_running_loop().time()
        self.requests[order] += 1
        self.in_hour[order] += now_s < HOUR_S
        self._under_way[order] += 1
        self.most_at_once[order] = max(self.most_at_once[order], self._under_way[order])
        try:
            if now_s < self.down_s:
                await asyncio.sleep(answer_s if self.is_hanging else 0.001)
                return None
            if self.handles_s > answer_s:
                await asyncio.sleep(answer_s)
                return None
            await asyncio.sleep(self.handles_s)
            if now_s < self.warns_s:
                return WARNING
            if stored.request.body.endswith(b'"status":2}'):
                self.processed[order] += 1
            return OK
        finally:
            self._under_way[order] -= 1


class World:
    """A relay on a database that survives it, before a shop; `told` are the monitor's events."""

    jobs: InlineJobs

    def __init__(self, shop: SimShop, folder: Path, *, has_key: bool = False) -> None:
        self.shop = shop
        self.keys = GatewayKeys((Secret(KEY),)) if has_key else GatewayKeys()
        self.clock = VirtualClock()
        self.told: dict[str, OrderEvent] = {}
        self._folder = folder
        self._connection = connect(folder / "relay.db")
        self._connection.execute("PRAGMA synchronous = OFF")  # nothing here is about the disk
        self.supervisor = Supervisor()

    @asynccontextmanager
    async def relay(self, kind: str) -> AsyncIterator[Relay]:
        async def tell(events: tuple[OrderEvent, ...]) -> tuple[str, ...]:
            self.told |= {one.event_id: one for one in events}
            await asyncio.sleep(0)
            return ("accepted",) * len(events)

        self.jobs = InlineJobs(self._connection)
        store = RelayStore(self._folder, self.jobs)
        relay = Relay(store, self.shop, self.clock, self.supervisor, tell, str)
        settings = RelaySettings("main", kind, kind, f"http://shop{PATH}")
        relay.renew({settings.name: Relayed(settings, GATEWAYS[kind](self.keys))})
        try:
            yield relay
        finally:
            await relay.stop()


def callback(order: str, status: int, at_ms: int) -> RawRequest:
    signed = f"amount=9.90&order_id={order}&status={status}&trade_id=T{order}{KEY}"
    body = {
        "trade_id": f"T{order}", "order_id": order, "amount": "9.90",
        "signature": hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest(),
        "status": status,
    }  # fmt: skip
    headers = (("Host", "shop"), ("Content-Type", "application/json"))
    return RawRequest("POST", "/relay/main/x", headers, msgspec.json.encode(body), at_ms)


class Bepusdt:
    """Sends every order that is paid and not accepted with every tick, whatever is under way."""

    def __init__(self, send: Callable[[RawRequest], Any], clock: VirtualClock) -> None:
        self._send = send
        self._clock = clock
        self.accepted: set[str] = set()

    async def run(self, orders: list[str], until_s: float) -> None:
        loop, tasks = asyncio.get_running_loop(), set()
        while loop.time() < until_s:
            for order in orders:
                if order not in self.accepted:
                    task = loop.create_task(self._notify(order))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*tasks)

    async def _notify(self, order: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                # A server goes on although its client has left.
                asked = asyncio.shield(
                    asyncio.ensure_future(self._send(callback(order, 2, self._clock.now_ms())))
                )
                reply = await asked
            if reply is not None and reply.status == 200 and b"ok" in reply.body:
                self.accepted.add(order)


async def storm(shop: SimShop, folder: Path, orders: int, *, with_relay: bool) -> None:
    """Paid orders of BEpusdt for two hours, of which the shop is down for the first."""
    world = World(shop, folder)
    names = [f"o{number}" for number in range(orders)]
    if not with_relay:

        async def straight(request: RawRequest) -> ShopReply | None:
            return await shop.send("", "", StoredRequest(request, ""), "")

        await Bepusdt(straight, world.clock).run(names, 2 * HOUR_S)
        return
    async with world.relay("bepusdt") as relay:

        async def through(request: RawRequest) -> ShopReply:
            return await relay.take("main/bepusdt", request, "")

        await Bepusdt(through, world.clock).run(names, 2 * HOUR_S)


async def one_try_each(
    shop: SimShop, folder: Path, orders: int, *, restarts: int, has_key: bool
) -> World:
    """Orders that are paid evenly while the shop is down; the gateway calls once; the relay restarts."""
    world = World(shop, folder, has_key=has_key)
    gap_s = shop.down_s / orders
    for life in range(restarts + 1):
        async with world.relay("epusdt") as relay:
            first, last = (orders * part // (restarts + 1) for part in (life, life + 1))
            for number in range(first, last):
                request = callback(f"o{number}", 2, world.clock.now_ms())
                reply = await relay.take("main/epusdt", request, "")
                assert reply.body == b"ok"
                await asyncio.sleep(gap_s)
            if life == restarts:
                await asyncio.sleep(10 * 60)  # the shop is back: longer than any retry
    return world


def run_storm(
    shop: SimShop, folder: Path, orders: int = 20, *, with_relay: bool
) -> SimShop:  # fmt: skip
    run_virtual(storm(shop, folder, orders, with_relay=with_relay))
    return shop


def run_one_try_each(
    folder: Path, orders: int, *, restarts: int, has_key: bool = True
) -> tuple[SimShop, World]:
    shop = SimShop(6 * HOUR_S)
    world = run_virtual(one_try_each(shop, folder, orders, restarts=restarts, has_key=has_key))
    return shop, world
