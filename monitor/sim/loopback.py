"""The world of the demo on real sockets: shop, supplier and chat robot, all on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from monitor.ports import Clock
from monitor.sim.world import Chat, Shop, Supplier


class Heard(msgspec.Struct, frozen=True):
    """A webhook that arrived: its id, type, and when."""

    webhook_id: str
    kind: str
    at_ms: int


class Loopback:
    """One small HTTP server that plays everybody outside the monitor.

    A supplier takes `supplier_delay_s` before it sells, and again before it says so. `others` are
    further suppliers, each under its name.
    """

    def __init__(
        self,
        shop: Shop,
        supplier: Supplier,
        chat: Chat,
        clock: Clock,
        *,
        supplier_delay_s: float = 0.0,
        others: Mapping[str, Supplier] | None = None,
    ) -> None:
        self.shop = shop
        self.supplier = supplier
        self.suppliers = {"supplier": supplier, **(others or {})}
        self.chat = chat
        self.url = ""
        self.alerts: list[dict[str, Any]] = []
        self.heard: list[Heard] = []
        self.switches: list[tuple[str, dict[str, Any]]] = []  # (webhook id, command), as they came
        self.delivered: list[tuple[str, str]] = []  # (order id, takeover id), to be told as events
        self.news = asyncio.Event()  # set when `delivered` grows
        self._clock = clock
        self._supplier_delay_s = supplier_delay_s
        self._runner: web.AppRunner | None = None

    async def start(self, ports: Sequence[int] = (0,)) -> None:
        """Listen on ports of 127.0.0.1 (0: a free one); `url` is the first."""
        app = web.Application()
        app.router.add_post("/shop/switch", self._switch)
        app.router.add_post("/shop/claim", self._claim)
        app.router.add_post("/shop/deliver", self._deliver)
        app.router.add_post("/shop/release", self._release)
        app.router.add_post("/shop/events", self._note)
        app.router.add_post("/{name}/buy", self._buy)
        app.router.add_get("/{name}/orders/{reference}", self._look_up)
        app.router.add_post("/chat/robot", self._robot)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        for port in ports:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _switch(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.switches.append((request.headers.get("webhook-id", ""), event["data"]))
        return web.json_response(self.shop.switch(event["data"], self._clock.now_ms()))

    async def _claim(self, request: web.Request) -> web.Response:
        return web.json_response(self.shop.claim(await request.json()))

    async def _deliver(self, request: web.Request) -> web.Response:
        body = await request.json()
        status, answer = self.shop.take_goods(body, self._clock.now_ms())
        if status == 200:
            self.delivered.append((str(body["order_id"]), str(body["takeover_id"])))
            self.news.set()
        return web.json_response(answer, status=status)

    async def _release(self, request: web.Request) -> web.Response:
        return web.json_response(self.shop.release(await request.json()))

    async def _note(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.alerts.append(event)
        webhook_id = request.headers.get("webhook-id", "")
        self.heard.append(Heard(webhook_id, event["type"], self._clock.now_ms()))
        return web.Response(status=204)

    async def _buy(self, request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(self._supplier_delay_s)
        supplier = self.suppliers[request.match_info["name"]]
        answer = supplier.buy(str(body["ref"]), str(body["sku"]))
        await asyncio.sleep(self._supplier_delay_s)
        if answer is None and request.transport is not None:
            request.transport.abort()  # sold, and the answer lost on its way
            return web.Response(status=500)
        return web.json_response(answer)

    async def _look_up(self, request: web.Request) -> web.Response:
        supplier = self.suppliers[request.match_info["name"]]
        answer = supplier.look_up(request.match_info["reference"])
        return web.json_response(answer, status=404 if answer["status"] == "not_found" else 200)

    async def _robot(self, request: web.Request) -> web.Response:
        message = json.loads(await request.read())
        self.chat.tell(message["markdown"]["title"], self._clock.now_ms())
        return web.json_response({"errcode": 0, "errmsg": "ok"})
