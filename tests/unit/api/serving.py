"""A real server on a free loopback port, in front of a small service that keeps events in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientSession, web

from monitor.api.auth import Gate, token_sha256
from monitor.api.edge import Edge, Limits
from monitor.api.routes import ROUTES, Route
from monitor.api.server import make_app, make_runner
from monitor.api.service import Readiness, StreamEvent
from monitor.model.endpoints import IngestKey, Listen
from monitor.model.errors import MonitorError
from monitor.model.events import OrderEvent
from monitor.model.settings import SourceSettings
from monitor.model.times import UnixMs
from tests.unit.api.samples import RECEIVED_MS, SOURCES

ADMIN_TOKEN = "dm_admin"
SHOP_TOKEN = "dm_shop"
KEYS = (IngestKey("shop", token_sha256(SHOP_TOKEN)),)


class FixedClock:
    """A clock that stands at the arrival time of the samples."""

    def now_ms(self) -> UnixMs:
        return UnixMs(RECEIVED_MS)


class MemoryService:
    """Keeps events by (order, source, id); `trouble` is raised instead, `refused` ids are refused."""

    def __init__(self) -> None:
        self.events: list[OrderEvent] = []
        self.listeners: list[Callable[[StreamEvent], None]] = []
        self.trouble: MonitorError | None = None
        self.refused: tuple[str, ...] = ()
        self.is_ready = True

    async def ingest(self, events: tuple[OrderEvent, ...]) -> tuple[str, ...]:
        if self.trouble is not None:
            raise self.trouble
        return tuple(self._take(event) for event in events)

    def _take(self, event: OrderEvent) -> str:
        if event.event_id in self.refused:
            return "refused"
        key = (event.order_id, event.source, event.event_id)
        if key in [(known.order_id, known.source, known.event_id) for known in self.events]:
            return "duplicate"
        self.events.append(event)
        return "accepted"

    def sources(self) -> Mapping[str, SourceSettings]:
        return SOURCES

    def readiness(self) -> Readiness:
        return Readiness(self.is_ready, {"store": "ok"})

    def subscribe(self, listener: Callable[[StreamEvent], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


class Server:
    """A running server, how to call it and how to stop it."""

    def __init__(self, service: MemoryService, edge: Edge, runner: web.AppRunner) -> None:
        self.service, self.edge, self._runner = service, edge, runner
        self.port: int = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Shut down as on SIGTERM."""
        await self._runner.cleanup()

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and return everything until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@asynccontextmanager
async def serving(
    *,
    listen: str = "127.0.0.1",
    keys: tuple[IngestKey, ...] = (),
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
    routes: tuple[Route, ...] = ROUTES,
) -> AsyncIterator[Server]:
    """Serve on 127.0.0.1 with the gate of a listener on `listen`."""
    service = MemoryService()
    gate = Gate(Listen(listen), keys, token_sha256(ADMIN_TOKEN), allowed_hosts)
    edge = Edge(service, FixedClock(), gate, limits)
    runner = make_runner(make_app(edge, routes))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = Server(service, edge, runner)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def client(server: Server, token: str | None = None) -> AsyncIterator[ClientSession]:
    """A client of the server, with a token if there is one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with ClientSession(server.url, headers=headers) as session:
        yield session
