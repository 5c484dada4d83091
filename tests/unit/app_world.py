"""A whole monitor on a directory of its own, with a receiver that answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import Opened, SqliteStore
from monitor.app import Monitor
from monitor.config.load import Loaded
from monitor.model.effects import CallWebhook, Effect, Submit
from monitor.model.endpoints import (
    AnswerRule,
    Endpoint,
    Endpoints,
    HttpChannel,
    HttpRequest,
    Listen,
)
from monitor.model.events import OrderEvent
from monitor.model.records import Record
from monitor.model.rules import RuleSet
from monitor.model.secret import Secret
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.times import UnixMs
from monitor.ports import Checkpoint, Clock
from monitor.runtime.found import decode_segment
from monitor.runtime.loop import LEASE_TTL_MS
from monitor.runtime.segments import outbox_row, segment_of

T0 = 1_790_000_000_000


class StillClock:
    """A clock that stands until the test moves it."""

    def __init__(self, at_ms: int = T0) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)


class FragileStore(SqliteStore):
    """The real store; a test overrides what is to fail."""

    @classmethod
    async def opened(cls, data_dir: Path) -> SqliteStore:
        plain = await open_sqlite(data_dir)
        opened = Opened(plain._session, plain._position, plain._commits)
        return cls(
            plain._path,
            plain._lock,
            plain._writer,
            plain._reader,
            plain._reserve,
            plain._mark,
            opened,
        )


class Receiver:
    """Takes requests at `url`; holds each answer back until `release` is set."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.reply: Callable[[], web.Response] = web.Response

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request.path)
        await request.read()
        self.arrived.set()
        await self.release.wait()
        return self.reply()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        made.release.set()
        await runner.cleanup()


def loaded(data_dir: Path, *places: str, settings: Settings | None = None) -> Loaded:
    """A configuration with one webhook per place."""
    webhooks = tuple(
        Endpoint(f"webhooks/{index}", "webhook", Secret(f"http://{place}/hook"))
        for index, place in enumerate(places)
    )
    endpoints = Endpoints(
        listen=Listen(port=0), data_dir=str(data_dir), webhooks=webhooks, config_hosts=places
    )
    return Loaded(settings or Settings(), endpoints)


@asynccontextmanager
async def running(
    config: Loaded,
    *,
    clock: Clock | None = None,
    open_store: Callable[[Path], Awaitable[SqliteStore]] = open_sqlite,
    reread: Callable[[], tuple[Loaded, RuleSet]] | None = None,
) -> AsyncIterator[Monitor]:
    """A monitor that was started, not yet ready; stopped afterwards unless the test did."""
    monitor = Monitor(
        config,
        RuleSet(),
        clock=clock or StillClock(),
        open_store=open_store,
        reread=reread,
        retry_store_s=0.01,
    )
    await monitor.start()
    try:
        yield monitor
    finally:
        await monitor.stop()


async def ready(monitor: Monitor) -> None:
    async with asyncio.timeout(10):
        await monitor.wait_until_ready()


async def queue(data_dir: Path, *effects: Effect) -> None:
    """Leave effects in the outbox of a directory, as an earlier process would."""
    store = await open_sqlite(data_dir)
    lease = await store.acquire("loop", "embedded", T0, LEASE_TTL_MS)
    assert lease is not None
    await store.commit(lease, Checkpoint(cursor=0, outbox=tuple(map(outbox_row, effects))))
    await store.release(lease)
    await store.close()


async def acknowledge(data_dir: Path, *events: OrderEvent) -> None:
    """Leave events in the log that nothing was decided about yet, as a crash would."""
    store = await open_sqlite(data_dir)
    await store.append(segment_of("entries", events))
    await store.close()


async def written(data_dir: Path) -> tuple[list[Record], dict[str, int]]:
    """The log and the outbox rows by lane that a stopped monitor left."""
    store = await open_sqlite(data_dir)
    segments = await store.read(0)
    depth = await store.depth()
    await store.close()
    return [record for one in segments for record in decode_segment(one)], depth


def paid(order_id: str, at_ms: int = T0) -> OrderEvent:
    return OrderEvent("order.paid", order_id, "shop", f"paid {order_id}", at_ms, at_ms)


def tasks(monitor: Monitor) -> Sequence[str]:
    """Names of the background tasks, sorted."""
    return sorted(task.get_name() for task in monitor.supervisor._tasks)


async def lanes_done(monitor: Monitor) -> None:
    """Return when every effect under way has its answer."""
    lanes = [one for one in monitor.supervisor._tasks if one.get_name().startswith("lane ")]
    async with asyncio.timeout(10):
        await asyncio.gather(*lanes)


def webhook_call(config: Loaded, key: str = "w1") -> CallWebhook:
    return CallWebhook(key, config.endpoints.webhooks[0].name, "order.tier", RAW, T0)


def submit() -> Submit:
    return Submit("s1", "tko_1", "att_1", "supplier", "o1", 1, "gold", 1, 500, "CNY", None, None)


def with_supplier(data_dir: Path, place: Receiver) -> Loaded:
    """A configuration with one supplier, which accepts everything."""
    place.reply = lambda: web.json_response({"status": "pending"})
    channel = HttpChannel(
        name="supplier",
        submit=HttpRequest("POST", f"http://{place.place}/buy"),
        query=None,
        answers=(AnswerRule("accepted", {"status": "pending"}),),
    )
    settings = Settings(channels=(ChannelSettings("supplier", kind="http"),))
    config = loaded(data_dir, settings=settings)
    endpoints = msgspec.structs.replace(
        config.endpoints, http_channels=(channel,), config_hosts=(place.place,)
    )
    return msgspec.structs.replace(config, endpoints=endpoints)


RAW = msgspec.Raw(b"{}")
