"""Shop and suppliers in a process of their own, which kill the service in the middle of a request.

    python -m tests.crash.market FOLDER SEED ORDERS PER_S LATE_PRIMARY

The shop sells, hears claims and takes goods; the primary channel is dead, but delivers a few orders
late, whoever has claimed them, and some buyers take their money back. Each supplier sells by its
class. All of them obey the faults of `faults.py`, and the crash point that was armed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.crash import faults, stage
from tests.crash.faults import LATE, LOST, PAGE, STALLED, UNANSWERED, fault, share01
from tests.crash.ledger import Ledger, now_ms
from tests.crash.shop import Shop

HTML = "<html><body><h1>404 Not Found</h1><hr>nginx</body></html>"
STALL_S = 1.5  # longer than the monitor waits
ANSWERED_S = 0.004  # after the last byte left us it is on its way through the other's kernel
REPLAY_REFUSED = 0.2  # of the replays of an idempotent supplier that checks the balance first
OUT_OF_STOCK = {"idempotent": 0.005, "queryable": 0.15, "detectable": 0.1, "opaque": 0.1}
ACCEPTED = 0.2  # of what queryable suppliers sell is ready a moment later
STALE = 0.1  # of the first questions are answered from a copy that lags behind
SHARED = 0.004  # of the keys were sold to somebody else before
Json = dict[str, Any]


class Supplier:
    """Sells a key per reference; what a repeat does is its class."""

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        self.orders: dict[str, Json] = {}
        self._ledger = ledger
        self._keys: list[str] = []

    def buy(self, ref: str, order_id: str, quantity: int) -> Json:
        """Sell once per reference, as far as this class promises it."""
        known = self.orders.get(ref)
        if known is not None and self.name in ("idempotent", "detectable"):
            return self._again(ref, known)
        if share01("stock", self.name, order_id) < OUT_OF_STOCK[self.name]:
            return {"status": "rejected", "code": "out_of_stock"}
        key = f"{ref}{len(self._keys)}" if known else ref
        keys = [self._key(key, number) for number in range(quantity)]
        self._ledger.write("bought", order_id=order_id, who=self.name, ref=ref, goods=keys)
        ready_ms = now_ms()
        if self.name == "queryable" and share01("slow", ref) < ACCEPTED:
            ready_ms += 1_500
        self.orders[ref] = {"id": f"s-{ref[-8:]}", "keys": keys, "ready_ms": ready_ms}
        return self.state(ref)

    def state(self, ref: str) -> Json:
        """What the supplier says of an order that it has."""
        order = self.orders[ref]
        if order["ready_ms"] > now_ms():
            return {"status": "accepted", "id": order["id"]}
        return {"status": "delivered", "id": order["id"], "keys": order["keys"]}

    def _again(self, ref: str, known: Json) -> Json:
        if self.name == "detectable":
            return {"status": "rejected", "code": "duplicate"}
        known["replays"] = known.get("replays", 0) + 1
        if share01("balance", ref, known["replays"]) < REPLAY_REFUSED:
            return {"status": "rejected", "code": "out_of_stock"}
        return self.state(ref)

    def _key(self, ref: str, number: int) -> str:
        if self._keys and share01("shared", ref, number) < SHARED:
            return self._keys[int(share01("which", ref) * len(self._keys))]
        self._keys.append(
            f"KEY-{self.name[:4]}-{hashlib.sha256(ref.encode()).hexdigest()[:12]}-{number}"
        )
        return self._keys[-1]


class Market:
    """Everybody the service talks to."""

    def __init__(
        self, folder: Path, seed: str, orders: int, per_s: float, late_primary: float
    ) -> None:
        self._ledger = Ledger(folder / "ledger.ndjson")
        self.shop = Shop(self._ledger, seed, orders, per_s, late_primary)
        self._suppliers = {name: Supplier(name, self._ledger) for name in stage.CLASSES}
        shop = self.shop
        self._doors: dict[str, Callable[[Json, bytes], tuple[int, Json]]] = {
            "claim": shop.claim, "deliver": shop.deliver, "release": shop.release,
            "notify": shop.notify, "compensate": shop.compensate, "refund": shop.refund,
        }  # fmt: skip
        self._seed = seed
        self._counts: dict[tuple[str, ...], int] = {}
        self._armed: tuple[str, int, int] | None = None  # point, how many more, whom

    def app(self) -> web.Application:
        """All doors."""
        app = web.Application()
        app.router.add_post("/{supplier}/buy", self._buy)
        app.router.add_get("/{supplier}/orders/{ref}", self._query)
        for name in self._doors:
            app.router.add_post(f"/shop/{name}", self._shop)
        app.router.add_post("/control/{what}", self._control)
        return app

    # --- crash points -------------------------------------------------------------------------------

    def _pass(self, point: str) -> None:
        """Kill the service when it is the turn of this point."""
        if self._armed is None or self._armed[0] != point:
            return
        _, left, pid = self._armed
        self._armed = (point, left - 1, pid) if left > 1 else None
        if left == 1:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._ledger.write("kill", who=point)

    async def _answered(self, point: str) -> None:
        await asyncio.sleep(ANSWERED_S)
        self._pass(point)

    # --- requests -----------------------------------------------------------------------------------

    async def _met(
        self, request: web.Request, what: str, kind: str, act: Callable[[], web.Response]
    ) -> web.Response:
        """Let a request meet its fault and the crash points around it."""
        self._pass(f"{what}.received")
        if kind == LOST:
            return _reset(request)
        if kind == PAGE:
            return web.Response(status=404, text=HTML, content_type="text/html")
        if kind == LATE:
            low_s, high_s = stage.LATE_S
            delay_s = low_s + (high_s - low_s) * share01("delay", what, len(self._counts))
            asyncio.get_running_loop().call_later(delay_s, act)
            return _reset(request)
        answer = act()
        self._pass(f"{what}.done")
        if kind == STALLED:
            await asyncio.sleep(STALL_S)
        if kind in (UNANSWERED, STALLED):
            return _reset(request)
        asyncio.get_running_loop().create_task(self._answered(f"{what}.answered"))
        return answer

    async def _buy(self, request: web.Request) -> web.Response:
        asked = await request.json()
        supplier = self._suppliers[request.match_info["supplier"]]
        ref, order_id = asked["ref"], asked["order"]
        self._ledger.write("asked", order_id=order_id, who=supplier.name, ref=ref)
        number = self._count("buy", ref)
        table = faults.OF_SUBMIT if number == 1 else faults.OF_QUERY
        kind = fault(table, self._seed, "buy", ref, number)
        return await self._met(
            request, "submit", kind, lambda: _json(supplier.buy(ref, order_id, asked["quantity"]))
        )

    async def _query(self, request: web.Request) -> web.Response:
        supplier = self._suppliers[request.match_info["supplier"]]
        ref = request.match_info["ref"]
        kind = fault(faults.OF_QUERY, self._seed, "query", ref, self._count("query", ref))

        is_stale = share01("stale", ref) < STALE and self._counts["query", ref] == 1

        def act() -> web.Response:
            if ref not in supplier.orders or is_stale:
                return _json({"status": "not_found"}, 404)
            return _json(supplier.state(ref))

        return await self._met(request, "query", kind, act)

    async def _shop(self, request: web.Request) -> web.Response:
        what = request.path.rsplit("/", 1)[1]
        body = await request.read()
        asked = json.loads(body)
        number = self._count(what, asked["order_id"])
        kind = fault(faults.OF_SHOP, self._seed, what, asked["order_id"], number)

        def act() -> web.Response:
            status, said = self._doors[what](asked, body)
            return _json(said, status)

        return await self._met(request, what, kind, act)

    def _count(self, *names: str) -> int:
        self._counts[names] = self._counts.get(names, 0) + 1
        return self._counts[names]

    # --- the driver's door --------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        asked = await request.json()
        match request.match_info["what"]:
            case "arm":
                self._armed = (
                    (asked["point"], asked["nth"], asked["pid"]) if asked["point"] else None
                )
            case "truth":
                return _json(self._truth(asked["order_id"]))
            case "person":
                self.shop.person(asked["order_id"], asked["does"])
        return _json(self.shop.standing())

    def _truth(self, order_id: str) -> Json:
        """What a person finds out by calling everybody."""
        refs = [ref for one in self._suppliers.values() for ref in one.orders]
        return {**self.shop.truth(order_id), "refs": refs}


def _json(said: Json, status: int = 200) -> web.Response:
    return web.json_response(said, status=status)


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _run(market: Market) -> None:
    runner = web.AppRunner(market.app(), access_log=None, handler_cancellation=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    loop = asyncio.get_running_loop()
    monitor_url = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        work = loop.create_task(market.shop.trade(session, monitor_url))
        await loop.run_in_executor(None, sys.stdin.readline)  # the end of the driver is ours
        work.cancel()
    os._exit(0)


if __name__ == "__main__":
    folder, seed, orders, per_s, late_primary = sys.argv[1:]
    asyncio.run(_run(Market(Path(folder), seed, int(orders), float(per_s), float(late_primary))))
