"""A thousand late orders handled with one word: the whole service, its API, a shop and a supplier.

Everything is on loopback and speaks HTTP: the shop grants, takes goods and messages and counts what
it got per order; the supplier sells one key per reference. The service is started again in the
middle, so what is measured has survived that.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from benchmarks.row import Row
from monitor.adapters.clock import SystemClock
from monitor.app import Monitor
from monitor.config.load import load
from monitor.config.rules_file import load_shipped
from monitor.model.times import MINUTE_MS, format_rfc3339

GROUP = "batches"
ORDERS = 1_000
WITHIN_S = 60.0
LOOKS_MAX = 1_200  # a tenth of a second apart
SECRET = "whsec_YmVuY2htYXJrLWJlbmNobWFyaw=="


class Town:
    """A shop and a supplier behind one port; what they gave out, per order."""

    def __init__(self) -> None:
        self.port = 0
        self.sold: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        match request.path:
            case "/claim":
                return web.json_response({"status": "granted", "paid": True, "sku": "gold",
                                          "quantity": 1, "amount_minor": 500})  # fmt: skip
            case "/buy":
                self.sold[body["ref"]] += 1
                return web.json_response({"status": "delivered", "keys": ["K-" + body["ref"]]})
            case "/deliver":
                self.delivered[body["order_id"]] += 1
            case "/notify":
                self.told[body["action_id"]] += 1
        return web.json_response({"status": "ok"})


def rows(scale: float) -> Iterator[Row]:
    orders = max(50, round(ORDERS * scale))
    for action in ("takeover", "notify"):
        with tempfile.TemporaryDirectory(prefix="batch-") as name:
            town, wall_s, counts = asyncio.run(_batch(Path(name), action, orders))
        assert counts == {"done": orders}, f"{counts} of {orders}"
        given = town.delivered if action == "takeover" else town.told
        twice = sum(count > 1 for count in (*given.values(), *town.sold.values()))
        note = f"{orders:,} late orders over HTTP, started again in the middle"
        yield Row(GROUP, f"{action} of all of them", wall_s, "s", WITHIN_S * scale, "lower", note)
        yield Row(GROUP, f"{action}: orders handled twice", twice, "", 0, "lower", note)
        assert len(given) == orders, f"{len(given)} of {orders} orders got anything"


async def _batch(folder: Path, action: str, orders: int) -> tuple[Town, float, dict[str, int]]:
    async with _town() as town:
        _configure(folder, town.port)
        monitor = await _started(folder)
        await _pay(monitor.url, folder, orders)
        began_s = time.perf_counter()
        batch = await _ask(monitor.url, folder, "/v1/batches",
                           {"action": action, "apply": True, "undo": "0s"})  # fmt: skip
        given = town.delivered if action == "takeover" else town.told
        await _until(lambda: len(given) >= orders // 2)
        await monitor.stop()
        monitor = await _started(folder)
        found: dict[str, Any] = {}
        for _ in range(LOOKS_MAX):
            found = await _ask(monitor.url, folder, f"/v1/batches/{batch['id']}")
            if found["state"] == "done":
                break
            await asyncio.sleep(0.1)
        wall_s = time.perf_counter() - began_s
        await monitor.stop()
        return town, wall_s, found["counts"]


@asynccontextmanager
async def _town() -> AsyncIterator[Town]:
    town = Town()
    runner = web.ServerRunner(web.Server(town.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    town.port = runner.addresses[0][1]
    yield town
    await runner.cleanup()


def _configure(folder: Path, port: int) -> None:
    place = f"http://127.0.0.1:{port}"
    urls = "\n".join(f"  {name}_url: {place}/{name}" for name in ("claim", "deliver", "notify"))
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "monitor.yaml").write_text(f"""
listen: 127.0.0.1:0
data_dir: {folder}/data
channels:
  - {{name: auto, kind: external}}
  - name: supplier
    kind: http
    capability: idempotent
    submit: {{method: POST, url: "{place}/buy", json: {{ref: "{{{{ attempt_ref }}}}"}}}}
    answer:
      delivered: {{when: {{status: delivered}}, goods: keys}}
fallback: {{mode: observe, order: [supplier], max_value_per_day_minor: 100000000}}
shop:
{urls}
  secret_file: {folder}/secret
""")


async def _started(folder: Path) -> Monitor:
    monitor = Monitor(load(folder / "monitor.yaml"), load_shipped())
    await monitor.start()
    await monitor.wait_until_ready()
    return monitor


async def _pay(url: str, folder: Path, orders: int) -> None:
    """Orders of ten minutes ago; a backlog is looked at a minute after it came."""
    paid_at = format_rfc3339(SystemClock().now_ms() - 10 * MINUTE_MS)
    events = [
        {"type": "order.paid", "order_id": f"o{number}", "id": f"e{number}", "time": paid_at,
         "channel": "auto", "amount_minor": 500, "currency": "CNY"}
        for number in range(orders)
    ]  # fmt: skip
    await _ask(url, folder, "/v1/events", events)
    shown = {"count": 0}
    for _ in range(LOOKS_MAX):
        shown = (await _ask(url, folder, "/v1/batches", {"action": "notify"}))["preview"]
        if shown["count"] == orders:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"only {shown['count']} of {orders} orders are late")


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(LOOKS_MAX * 10):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the batch does not get on")


async def _ask(url: str, folder: Path, path: str, body: Any = None) -> Any:
    token = (folder / "data" / "admin.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    method = "GET" if body is None else "POST"
    async with (
        ClientSession(headers=headers) as session,
        session.request(method, url + path, json=body) as answer,
    ):
        found = await answer.json()
        assert answer.status < 300, found
        return found
