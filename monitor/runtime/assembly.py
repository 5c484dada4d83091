"""The parts that work on one open store, started and stopped together.

    start:  loop (lease, rebuilt state) ─► outbox ─► retention ─► ready
    stop:   answers of what is under way ─► last turn and snapshot ─► everything else

A start that fails leaves nothing running, so that the next attempt with a store is the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.core.engine import Engine
from monitor.model.commands import Command
from monitor.ports import Clock, Performer, Store, TraceSink
from monitor.runtime.archive import Archive
from monitor.runtime.housekeeping import Housekeeper
from monitor.runtime.loop import Loop
from monitor.runtime.messages import Messages
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.runtime.self_audit import Look, SelfAuditor
from monitor.runtime.supervisor import Group, Supervisor

OWNER = "embedded"  # the directory lock already guarantees that there is only one


class Assembly:
    """Loop, outbox, retention and archive of one engine on one store; serves once."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        performer: Performer,
        clock: Clock,
        supervisor: Supervisor,
        *,
        messages: Messages | None = None,
        traces: TraceSink | None = None,
        on_turn: Callable[[Sequence[Command]], None] = lambda commands: None,
        look: Look | None = None,
    ) -> None:
        self.is_ready = False
        self._tasks = Group(supervisor)
        self.messages = messages or Messages()
        self.loop = Loop(
            store, clock, engine, owner=OWNER, messages=self.messages, traces=traces,
            on_effects=self._nudge, on_turn=on_turn,
        )  # fmt: skip
        self.worker = OutboxWorker(store, self.loop, performer, clock, self._tasks)
        self.keeper = Housekeeper(store, self.loop, clock, engine.settings)
        self.archive = Archive(store, engine)
        self._auditor = SelfAuditor(look, engine, self.loop, clock) if look else None

    async def start(self) -> None:
        """Rebuild the state and begin to work; raises StorageError, then nothing of it runs on."""
        is_started = False
        try:
            await self.loop.start(self._tasks)
            await self.worker.start()
            is_started = True
        finally:
            if not is_started:
                await self._tasks.stop()
        self._tasks.spawn("housekeeping", self.keeper.run())
        if self._auditor is not None:
            self._tasks.spawn("self-audit", self._auditor.run())
        self.is_ready = True

    async def stop(self) -> None:
        """Stop in the order that loses nothing; the store is no longer used afterwards."""
        await self.worker.stop()
        await self.loop.stop()
        await self._tasks.stop()

    def _nudge(self, cancelled: Sequence[str]) -> None:
        self.worker.nudge(cancelled)
