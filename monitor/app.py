"""The composition root: the only place that names concrete adapters.

    Monitor.start:  HTTP up ─► store ─► engine rebuilt ─► ready ─► outbox, traces, retention
    Monitor.stop:   HTTP down ─► outbox ─► last turn and snapshot ─► traces ─► store closed

The socket is open before the state is rebuilt: events are acknowledged as soon as the log is open,
questions get 503 with the reason instead of silence; also while the store cannot be used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from monitor.adapters.clock import SteadyClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.ids import RandomIds
from monitor.adapters.pepper import ensure_pepper
from monitor.adapters.performer import OutsidePerformer
from monitor.adapters.self_audit import look_through
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.adapters.telemetry.logs import fields
from monitor.adapters.telemetry.metrics import MetricsCollector, WriteTimes, write_times
from monitor.api.audit import entry_of_signal
from monitor.api.broadcast import Broadcast
from monitor.api.door import Door, sparing
from monitor.api.left_out import LeftOut
from monitor.api.routes import page_route
from monitor.api.service import ByName, Events, Readiness, StreamEvent
from monitor.config.load import Loaded
from monitor.config.reload import differences, taken_over
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.core.rules.lookback import settings_for
from monitor.inlets import Inlets
from monitor.model.commands import Command
from monitor.model.errors import FencedError, GoodsKeyError, StorageError
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import AlertMoved, Answer, Instruction
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, SourceSettings
from monitor.outlets import Outlets
from monitor.ports import Clock, StoredAudit
from monitor.runtime.archive import StateHash
from monitor.runtime.assembly import Assembly
from monitor.runtime.messages import Messages
from monitor.runtime.requests import Reply, Request
from monitor.runtime.supervisor import Supervisor
from monitor.web.page import page_routes
from monitor.web.source import STARTING, ServicePage

log = logging.getLogger("monitor.app")

RETRY_STORE_S = 5.0
FACTS_EVERY_S, FACTS_IN_TROUBLE_S = 5.0, 2.0

OpenStore = Callable[[Path], Awaitable[SqliteStore]]


class Monitor:
    """The whole service in one object; two of them can run in one process."""

    def __init__(
        self,
        loaded: Loaded,
        rules: RuleSet,
        *,
        clock: Clock | None = None,
        reread: Callable[[], tuple[Loaded, RuleSet]] | None = None,
        open_store: OpenStore | None = None,
        retry_store_s: float = RETRY_STORE_S,
    ) -> None:
        self.loaded = loaded
        self.clock = clock or SteadyClock()
        self.supervisor = Supervisor()
        self._reread = reread or (lambda: (loaded, rules))
        reserve_bytes = loaded.endpoints.disk_reserve_mib << 20
        self._open_store = open_store or partial(open_sqlite, reserve_bytes=reserve_bytes)
        self._retry_store_s = retry_store_s
        self.engine = Engine(settings_for(loaded.settings, rules), rules)
        self.store: SqliteStore | None = None
        self.trouble: str | None = STARTING
        self.url = ""
        self.token_path = Path()
        self._data_dir = Path(loaded.endpoints.data_dir)
        self._goods = GoodsFile(self._data_dir)
        self._outlets = Outlets(self.supervisor, self.clock, self._goods, loaded.endpoints)
        self.left_out, self.blocked = LeftOut(), self._outlets.blocked
        self._inlets = Inlets(self.supervisor, self.clock, self._goods, self.left_out)
        self._assembly: Assembly | None = None
        self._door: Door | None = None
        self._broadcast = Broadcast()
        self._facts: dict[str, str] = {}
        self._sources: ByName[SourceSettings] = ByName()
        self._channels: ByName[ChannelSettings] = ByName()
        self._outbox_rows: dict[str, int] = {}
        self._metrics = MetricsCollector(self.engine, self.clock, self)

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the socket and begin to rebuild the state; `wait_until_ready` for the rest."""
        ids = RandomIds()
        pepper = ensure_pepper(self._data_dir, ids)
        self._door = Door(
            self, self.clock, self.loaded.endpoints, new_token=ids.new_token,
            session=ids.new_id("session"), name_customer=pepper.name, name_goods=pepper.name_goods,
        )  # fmt: skip
        self.token_path = self._door.token_path
        self.pushes, self.relay = self._inlets.hear(self.loaded.endpoints, pepper, self.ingest)
        pages = page_routes(ServicePage(self))
        self.url = await self._door.open(page_route(one.path, one.handler) for one in pages)
        log.info("listening", extra=fields(url=self.url, admin_token=str(self.token_path)))
        self.supervisor.spawn("boot", self._boot())
        self.supervisor.spawn("keys", self._door.keyring.run())

    @property
    def is_ready(self) -> bool:
        """Whether the state is rebuilt and its parts are at work."""
        return self._assembly is not None and self._assembly.is_ready

    async def wait_until_ready(self) -> None:
        """Return when the state is rebuilt; raise what made that impossible."""
        while not self.is_ready:
            if self.supervisor.failure is not None:
                raise self.supervisor.failure
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop in the order that loses nothing: no new work, last turn, then the rest."""
        if self._door is not None:
            await self._door.close()
        await self._inlets.close()
        if self._assembly is not None and self.is_ready and self.supervisor.failure is None:
            await self._assembly.stop()
        await self._outlets.end_traces()
        await self.supervisor.stop()
        await self._outlets.client.close()
        await self._goods.close()
        if self.store is not None:
            await self.store.close()

    async def _boot(self) -> None:
        """Open the store and rebuild; a store in trouble is tried again, a taken one is not."""
        while True:
            try:
                await self._open()
            except (FencedError, GoodsKeyError):
                raise
            except StorageError as error:
                self.trouble = str(error)
                log.error("store_unusable", extra=fields(error=str(error), hint=error.hint))
                await self._close_store()
                await asyncio.sleep(self._retry_store_s)
            else:
                break
        self.trouble = None
        log.info("ready", extra=fields(orders=len(self.engine.shard.orders)))
        self._outlets.measure(self.loaded.endpoints.telemetry, lambda: self.engine)
        await self._refresh_facts()

    async def _open(self) -> None:
        self.store = await self._open_store(self._data_dir)
        self._renew_engine()
        if self.loaded.needs_goods:
            await self._goods.open()
        self._outlets.trace(self.loaded.endpoints.telemetry, self._data_dir)
        self._assembly = Assembly(
            self.store, self.engine, self._performer(), self.clock, self.supervisor,
            messages=Messages(self.loaded.endpoints.replay_window_ms, self.left_out.count_full),
            traces=sparing(self._outlets.traces, self._door), on_turn=self._publish,
            look=partial(look_through, self._data_dir, self.engine),
        )  # fmt: skip
        await self._assembly.start()
        self._start_inlets()

    def _renew_engine(self) -> None:
        """Forget what an attempt that failed had folded and decided: it is not in the store."""
        self.engine = Engine(self.engine.settings, self.engine.control.rules)
        self._metrics = MetricsCollector(self.engine, self.clock, self)

    async def _close_store(self) -> None:
        self._assembly = None
        if self.store is not None:
            await self.store.close()
            self.store = None

    # --- Service: what the HTTP edge asks for -------------------------------------------------------

    async def ingest(self, events: Events, message: MessageTaken | None = None) -> tuple[str, ...]:
        """Log and fold events; returns after they are synced."""
        return await self._running(or_rebuilding=True).loop.submit(events, message=message)

    def offer(self, events: Events, message: MessageTaken | None, reply: Reply) -> None:
        """Log and fold events; `reply` is told once they are synced."""
        self._running(or_rebuilding=True).loop.enqueue(Request(events, reply, message))

    async def instruct(self, instruction: Instruction, audit: Audited) -> str:
        """Log and carry out a person's order; `accepted`."""
        return (await self._running().loop.submit((instruction,), audit=audit))[0]

    async def acknowledge(self, answer: Answer, audit: Audited | None = None) -> None:
        """Log and take in what a shop says to a switch, or a supplier by itself of an attempt."""
        await self._running().loop.submit((answer,), audit=audit)

    async def note(self, audit: Audited) -> None:
        """Log an entry of the audit by itself."""
        await self._running().loop.submit((), audit=audit)

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """Entries of the audit, the newest first."""
        return await self._running().archive.audits(before, limit)

    def rebuilt(self) -> Engine:
        """The engine for questions; StorageError `not_ready` until its state is rebuilt."""
        self._running()
        return self.engine

    async def find_order(self, order_id: str) -> Order | None:
        """The order by its id, in memory or in the store."""
        return await self._running().archive.find(order_id)

    async def state_hash(self, at_ms: int | None) -> StateHash:
        """Hash of all orders, also of those that left memory."""
        return await self._running().archive.state_hash(at_ms)

    async def alert_moves(self, rule: str, until_ms: int) -> list[AlertMoved] | None:
        """What was logged of a rule's alerts up to a time."""
        return await self._running().archive.alert_moves(rule, until_ms)

    def sources(self) -> Mapping[str, SourceSettings]:
        """Configured sources by name."""
        return self._sources.of(self.engine.settings.sources)

    def channels(self) -> Mapping[str, ChannelSettings]:
        """Configured channels by name."""
        return self._channels.of(self.engine.settings.channels)

    def readiness(self) -> Readiness:
        """Whether queries and ingest work, and the facts behind it."""
        trouble = self.trouble or (self._running().loop.trouble if self.is_ready else None)
        if trouble is None and self.store is not None:  # the facts may be older
            trouble = self.store.write_trouble
        facts = dict(self._facts)
        if trouble is not None:
            facts["trouble"] = trouble
        facts["notes"] = "; ".join(self.notes())
        is_ready = self.is_ready and trouble is None
        if is_ready:
            facts["orders"] = str(len(self.engine.shard.orders))
        return Readiness(is_ready, facts)

    def subscribe(
        self, listener: Callable[[StreamEvent], None], wants_signals: Callable[[], bool]
    ) -> Callable[[], None]:
        """Call a listener with every stream event; returns how to stop that."""
        return self._broadcast.subscribe(listener, wants_signals)

    def metrics(self) -> bytes:
        """The exposition of `/metrics`."""
        return self._metrics.render()

    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ms()

    def notes(self) -> list[str]:
        """What an operator must be told loudly."""
        settings = self.engine.settings
        notes = self._inlets.notes()
        if not settings.default_receiver and not settings.webhooks:
            notes.append("no receiver is configured: nobody would be told")
        return notes

    # --- reload -------------------------------------------------------------------------------------

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the files again and take them over; returns (changed keys, those needing a restart).

        Raises: ConfigError with every problem; then everything stays as it was.
        """
        loaded, rules = self._reread()
        changed, restart = differences(self.loaded, loaded)
        if rules != self.engine.control.rules:
            changed.append("rules")
        if loaded.needs_goods:
            await self._goods.open()  # first: it may refuse, and then nothing has changed
        self.loaded = taken_over(self.loaded, loaded)
        self.engine.configure(settings_for(self.loaded.settings, rules), rules)
        old = self._outlets.renew(self.loaded.endpoints)
        if self._assembly is not None:
            self._assembly.worker.performer = self._performer()
            self._assembly.keeper.settings = self.engine.settings
            self._assembly.messages.set_window(
                self.loaded.endpoints.replay_window_ms, self.now_ms()
            )
        if self._door is not None:
            self._door.renew(self.loaded.endpoints)
        if self.is_ready:
            await self._inlets.stop()
            self._start_inlets()
        await old.retire()  # what is under way with it may have been done already
        log.info("reloaded", extra=fields(changed=changed, needs_restart=restart))
        return changed, restart

    async def reload_by_signal(self) -> None:
        """Reload because the process was told to, with an entry in the audit as for the route."""
        changed, restart = await self.reload()
        if self._door is not None:
            after = {"changed": changed, "needs_restart": restart}
            await self.note(entry_of_signal(self._door.edge, "reload", after))

    # --- RuntimeStats: what the metrics ask for -----------------------------------------------------

    def outbox_rows(self) -> Mapping[str, int]:
        """Rows waiting or under way by lane, as last seen."""
        return self._outbox_rows

    def write_times(self) -> WriteTimes | None:
        """How long durable writes take."""
        store = self.store
        return write_times(store.commit_seconds, store.sync_seconds) if store else None

    def loop_lag_s(self) -> float:
        """How late the loop woke up, at worst of late."""
        return 0.0 if self._door is None else self._door.lag_s()

    # --- parts --------------------------------------------------------------------------------------

    def _running(self, *, or_rebuilding: bool = False) -> Assembly:
        parts = self._assembly
        if parts is None or not (parts.is_ready or (or_rebuilding and parts.loop.is_taking)):
            raise StorageError(
                f"not ready: {self.trouble or 'the state is being rebuilt'}",
                code="not_ready", hint="try again in a moment; /readyz?verbose tells more",
            )  # fmt: skip
        return parts

    def _performer(self) -> OutsidePerformer:
        performer = self._outlets.performer(self.engine.settings.channels, self.loaded.endpoints)
        self.reports = performer.reports
        return performer

    def _start_inlets(self) -> None:
        loop = self._running().loop
        self._inlets.start(loop, self.engine, self._outlets.client, self.loaded.endpoints)

    async def _refresh_facts(self) -> None:
        while self.store is not None:
            try:
                self._facts = await self.store.health()
                self._outbox_rows = await self.store.depth()
                if self._outlets.traces is not None:
                    self._outbox_rows["traces"] = self._outlets.traces.counts.waiting
                if self.trouble is not None and self._assembly is not None:
                    self.trouble = self._assembly.loop.trouble
            except StorageError as error:
                self.trouble = str(error)
            is_well = self.readiness().is_ready
            await asyncio.sleep(FACTS_EVERY_S if is_well else FACTS_IN_TROUBLE_S)

    def _publish(self, commands: Sequence[Command]) -> None:
        self._broadcast.publish(commands, self.engine, self.clock.now_ms())
