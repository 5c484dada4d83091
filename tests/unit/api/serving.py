"""A real server on a free loopback port, in front of a small service with a real engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession
from yarl import URL

from monitor.adapters.channel_reports import Reports
from monitor.adapters.relay_store import RelayStore
from monitor.adapters.relay_wire import ShopWire
from monitor.api.auth import Gate, token_sha256
from monitor.api.edge import Edge, Limits
from monitor.api.left_out import LeftOut
from monitor.api.listener import Listener
from monitor.api.routes import ROUTES, Route
from monitor.api.service import Readiness, StreamEvent
from monitor.api.signed import Signatures
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.model.commands import Batch, Decide, Tick
from monitor.model.endpoints import IngestKey, Listen
from monitor.model.errors import MonitorError, StorageError
from monitor.model.events import OrderEvent
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import AlertMoved, Answer, Entry, Instruction, SwitchDecided
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, Settings, SourceSettings
from monitor.model.times import UnixMs
from monitor.ports import ShopPush, StoredAudit
from monitor.runtime.archive import StateHash
from monitor.runtime.messages import Messages
from monitor.runtime.relay import Relay
from monitor.runtime.requests import Reply
from monitor.runtime.supervisor import Supervisor
from tests.unit.api.samples import RECEIVED_MS, SOURCES

ADMIN_TOKEN = "dm_admin"
SHOP_TOKEN = "dm_shop"
KEYS = (IngestKey("shop", token_sha256(SHOP_TOKEN)),)


SETTINGS = Settings(
    channels=(
        ChannelSettings("auto"),
        ChannelSettings("B"),
        ChannelSettings("staff", kind="manual"),
    )
)


class FixedClock:
    """A clock that stands at the arrival time of the samples until somebody moves it."""

    def __init__(self) -> None:
        self.at_ms = RECEIVED_MS

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)


class NoVault:
    """Keeps nothing: for services whose channels have no goods."""

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        raise StorageError("there is no vault")

    async def goods(self, attempt_ref: str) -> list[str]:
        raise StorageError("there is no vault")

    async def quarantine(self, attempt_ref: str) -> None:
        raise StorageError("there is no vault")


class MemoryService:
    """A real engine without loop and store.

    Ingest keeps events by (order, source, id); `trouble` is raised instead, `refused` ids are
    refused. `stored` are orders that left memory.
    """

    def __init__(self, settings: Settings = SETTINGS, rules: RuleSet | None = None) -> None:
        self.engine = Engine(settings, rules or RuleSet())
        self.clock = FixedClock()
        self.stored: dict[str, Order] = {}
        self.given: list[Entry] = []
        self.events: list[OrderEvent] = []
        self.began_ms = self.clock.at_ms
        self.moves: list[AlertMoved] = []
        self.left_out = LeftOut()
        self.audited: list[Audited] = []
        self.messages = Messages()
        self.listeners: list[Callable[[StreamEvent], None]] = []
        self.wants_signals: Callable[[], bool] = lambda: False
        self.trouble: MonitorError | None = None
        self.refused: tuple[str, ...] = ()
        self.is_ready = True
        self.is_slow = False  # offers are answered by `answer`
        self.offered: list[Reply] = []
        self.pushes: dict[str, ShopPush] = {}
        self.relay = Relay(  # of which none is configured
            RelayStore(Path()), ShopWire(), self.clock, Supervisor(), self.ingest, str
        )
        self.reports = Reports({}, (), NoVault())
        self.before_answer: Callable[[], Awaitable[None]] | None = None

    def take(self, *entries: Entry) -> None:
        """Hand entries to the engine and publish its switches, as the loop would."""
        self.given += entries
        given = Batch(entries) if entries else Tick()
        for command in self.engine.handle(given, self.clock.now_ms()):
            if isinstance(command, Decide) and isinstance(command.decision, AlertMoved):
                self.moves.append(command.decision)
            if isinstance(command, Decide) and isinstance(command.decision, SwitchDecided):
                body = msgspec.json.encode(command.decision)
                for listener in self.listeners:
                    listener(StreamEvent("switch", body))

    def wait(self, duration_ms: int) -> None:
        """Let time pass."""
        self.clock.at_ms += duration_ms
        self.take()

    def rebuilt(self) -> Engine:
        if not self.is_ready:
            raise StorageError("not ready: the state is being rebuilt", code="not_ready")
        return self.engine

    async def find_order(self, order_id: str) -> Order | None:
        return self.engine.shard.orders.get(order_id) or self.stored.get(order_id)

    async def state_hash(self, at_ms: int | None) -> StateHash:
        judged_ms = self.engine.latest_ms if at_ms is None else at_ms
        return StateHash(
            self.engine.state_hash(judged_ms), judged_ms, len(self.engine.shard.orders)
        )

    async def alert_moves(self, rule: str, until_ms: int) -> list[AlertMoved] | None:
        if until_ms < self.began_ms:
            return None
        return [one for one in self.moves if one.alert.rule == rule and one.at_ms <= until_ms]

    async def instruct(self, instruction: Instruction, audit: Audited) -> str:
        if self.trouble is not None:
            raise self.trouble
        if self.before_answer is not None:
            await self.before_answer()
        self.take(instruction)
        self.audited.append(audit)
        return "accepted"

    async def acknowledge(self, answer: Answer, audit: Audited | None = None) -> None:
        self.take(answer)
        self.audited += [audit] if audit is not None else []

    async def note(self, audit: Audited) -> None:
        self.audited.append(audit)

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        places = range(len(self.audited), 0, -1)
        rows = [StoredAudit(one, msgspec.json.encode(self.audited[one - 1])) for one in places]
        return [row for row in rows if before is None or row.place < before][:limit]

    def metrics(self) -> bytes:
        return b"# TYPE delivery_monitor_up gauge\ndelivery_monitor_up 1\n"

    async def reload(self) -> tuple[list[str], list[str]]:
        if self.trouble is not None:
            raise self.trouble
        return ["promise"], ["listen"]

    async def ingest(
        self, events: tuple[OrderEvent, ...], message: MessageTaken | None = None
    ) -> tuple[str, ...]:
        if self.trouble is not None:
            raise self.trouble
        if message is not None:
            if self.messages.is_known(message):
                return ("duplicate",) * len(events)
            self.messages.take(message)
        return tuple(self._take(event) for event in events)

    def offer(
        self, events: tuple[OrderEvent, ...], message: MessageTaken | None, reply: Reply
    ) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.offered.append(reply)
        if not self.is_slow:
            self.answer(tuple(self._take(event) for event in events))

    def answer(self, outcomes: tuple[str, ...]) -> None:
        """Answer the oldest offer."""
        self.offered.pop(0).set_result(outcomes)

    def _take(self, event: OrderEvent) -> str:
        if event.event_id in self.refused:
            return "refused"
        key = (event.order_id, event.source, event.event_id)
        if key in [(known.order_id, known.source, known.event_id) for known in self.events]:
            return "duplicate"
        self.events.append(event)
        self.take(event)
        return "accepted"

    def sources(self) -> Mapping[str, SourceSettings]:
        return SOURCES

    def channels(self) -> Mapping[str, ChannelSettings]:
        return {}

    def readiness(self) -> Readiness:
        return Readiness(self.is_ready, {"store": "ok"})

    def subscribe(
        self, listener: Callable[[StreamEvent], None], wants_signals: Callable[[], bool]
    ) -> Callable[[], None]:
        self.listeners.append(listener)
        self.wants_signals = wants_signals
        return lambda: self.listeners.remove(listener)


class Server:
    """A running server, how to call it and how to stop it."""

    def __init__(self, service: MemoryService, edge: Edge, listener: Listener) -> None:
        self.service, self.edge, self.listener = service, edge, listener
        self.port = listener.address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Shut down as on SIGTERM."""
        await self.listener.close()

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
    signatures: Signatures | None = None,
    routes: tuple[Route, ...] = ROUTES,
    service: MemoryService | None = None,
) -> AsyncIterator[Server]:
    """Serve on 127.0.0.1 with the gate of a listener on `listen`."""
    service = service or MemoryService()
    gate = Gate(Listen(listen), keys, token_sha256(ADMIN_TOKEN), allowed_hosts, signatures)
    edge = Edge(service, service.clock, gate, limits)
    listener = Listener(edge, routes)
    await listener.open(Listen("127.0.0.1", 0))
    server = Server(service, edge, listener)
    try:
        yield server
    finally:
        await server.stop()


class Answered(msgspec.Struct, frozen=True):
    """Status, headers and JSON body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: Any


async def ask(
    server: Server,
    path: str,
    body: object = None,
    *,
    method: str = "",
    token: str | None = ADMIN_TOKEN,
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
) -> Answered:
    """One request with the operator's token: POST where there is a body, else GET.

    `raw` is a body that is sent as it is.
    """
    async with (
        client(server, token) as session,
        session.request(
            method or ("GET" if body is None else "POST"),
            URL(server.url + path, encoded=True),
            json=body,
            data=raw,
            headers=headers,
        ) as answer,
    ):
        raw = await answer.read()
        is_json = "json" in answer.content_type
        return Answered(answer.status, answer.headers, json.loads(raw) if is_json else raw)


@asynccontextmanager
async def client(server: Server, token: str | None = None) -> AsyncIterator[ClientSession]:
    """A client of the server, with a token if there is one."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with ClientSession(server.url, headers=headers) as session:
        yield session
