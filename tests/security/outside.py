"""Shop, supplier, chat, receiver and collector of one service, on a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web


class Outside:
    """Answers like a good neighbour, except for what is in `supplier_says`; remembers every body."""

    def __init__(self, goods: str, rude: str) -> None:
        self.port = 0
        self.bodies: dict[str, list[bytes]] = {}
        self._goods, self._rude = goods, rude
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, path: str, count: int = 1, text: bytes = b"") -> None:
        """Return once so many bodies with a text came to a path."""
        with self._changed:
            is_there = self._changed.wait_for(
                lambda: sum(text in body for body in self.bodies.get(path, [])) >= count, 40
            )
        assert is_there, (path, {key: len(value) for key, value in self.bodies.items()})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        with self._changed:
            self.bodies.setdefault(request.path, []).append(body)
            self._changed.notify_all()
        return self._answer(request.path, body)

    def _answer(self, path: str, body: bytes) -> web.Response:
        match path:
            case "/shop/claim":
                granted = {"status": "granted", "paid": True, "sku": "gold", "quantity": 1}
                return web.json_response({**granted, "amount_minor": 400})
            case "/shop/switch":
                epoch = json.loads(body)["data"]["epoch"]
                return web.json_response({"status": "applied", "applied_epoch": epoch})
            case "/supplier/buy" if len(self.bodies[path]) > 3:
                return web.json_response({"status": "rejected", "code": "out_of_stock"})
            case "/supplier/buy":
                key = f"{self._goods}-{len(self.bodies[path])}"  # one key is sold once
                return web.json_response({"status": "delivered", "keys": [key], "id": "S1"})
            case "/rude/buy":  # an error page that repeats what it was sent, and more
                text = f"Traceback: {self._rude} {body.decode()}"
                return web.Response(status=500, text=text, headers={"X-Debug": self._rude})
            case "/robot":
                return web.json_response({"errcode": 310000, "errmsg": f"token {self._rude}"})
            case _:
                return web.Response(status=200)


@contextmanager
def outside(goods: str, rude: str) -> Iterator[Outside]:
    """Run it on a free port of 127.0.0.1."""
    world = Outside(goods, rude)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(world.handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        world.port = runner.addresses[0][1]
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield world
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
