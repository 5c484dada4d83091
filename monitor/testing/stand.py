"""One service in virtual time, without disk and network: an engine that can be stopped and killed.

    go_to(now) ─► ticks the engine asked for ─► batch or tick at `now` ─► ledger
    stop  ─► snapshot ─► start ─► new engine ─► restore ─► resume
    kill  ─► start ─► new engine ─► restore the snapshot of the last minute
          ─► refold what was logged since ─► resume

Between the end and the start time passes without a tick, as in a process that does not run.

Orders leave the engine's memory and come back as they do in the service; a dictionary stands for
the store.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.core.rules.lookback import settings_for
from monitor.core.views.ledger import Ledger
from monitor.model.commands import Batch, Decide, Input, Tick, WakeAt
from monitor.model.events import OrderEvent
from monitor.model.records import Decision, Entry, Gauged
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import MINUTE_MS

SNAPSHOT_EVERY_MS = MINUTE_MS  # as the service does

Watcher = Callable[[Engine, int], None]


def _nothing(engine: Engine, now_ms: int) -> None:
    """Watch nothing."""


class Stand:
    """An engine, the time, and what it would need to survive; `keeps_log` is needed for `kill`."""

    def __init__(self, settings: Settings, rules: RuleSet, *, keeps_log: bool = False) -> None:
        self.engine = Engine(settings_for(settings, rules), rules)
        self.ledger = Ledger(rules)
        self.watcher: Watcher = _nothing
        self._settings = settings
        self._rules = rules
        self._wake_ms: int | None = None
        self._is_down = False
        self._store: dict[str, Order] = {}
        self._keeps_log = keeps_log
        self._snapshot = self.engine.snapshot() if keeps_log else b""
        self._snapshot_ms = 0
        self._log: list[tuple[Entry | Decision, ...]] = []  # by segment, as it is stored
        self._as_of_snapshot: dict[str, Order] = {}  # stored orders that came back since

    def go_to(self, now_ms: int, entries: tuple[OrderEvent | Gauged, ...] = ()) -> None:
        """Let time pass, hand over what arrives, and let everything happen that is due by now.

        While the service is down nothing happens and nothing may arrive.
        """
        if self._is_down:
            assert not entries
            return
        while self._wake_ms is not None and self._wake_ms < now_ms:
            self._handle(Tick(), self._wake_ms)
        self._bring_back(entries, now_ms)
        self._handle(Batch(entries) if entries else Tick(), now_ms)

    def stop(self, now_ms: int) -> None:
        """Stop in order, as on SIGTERM: the last thing is a snapshot."""
        self._is_down = True
        self._keep(self.engine.snapshot(), now_ms)

    def kill(self) -> None:
        """Lose everything but the snapshot of the last minute and the log since."""
        assert self._keeps_log
        self._is_down = True

    def start(self, now_ms: int) -> None:
        """Rebuild the state as the service does when it starts, and go on from now."""
        self._is_down = False
        self.engine = Engine(settings_for(self._settings, self._rules), self._rules)
        self.engine.restore(self._snapshot, now_ms)
        for segment in self._log:
            gone = self.engine.missing([one for one in segment if isinstance(one, OrderEvent)])
            known = (self._as_of_snapshot.get(one) or self._store.get(one) for one in gone)
            self.engine.hydrate([_copy(one) for one in known if one is not None], now_ms)
            self.engine.refold(*segment)
        self.engine.resume(now_ms, now_ms)
        self._handle(Tick(), now_ms)

    def reload(self, rules: RuleSet, now_ms: int) -> None:
        """Load other rules; a service that is down starts with them."""
        self._rules = self.ledger.rules = rules
        if self._is_down:
            return
        self.engine.configure(settings_for(self._settings, rules), rules)
        self._handle(Tick(), now_ms)

    def _bring_back(self, entries: tuple[OrderEvent | Gauged, ...], now_ms: int) -> None:
        known = {
            one: self._store[one] for one in self.engine.missing(entries) if one in self._store
        }
        if not known:
            return
        if self._keeps_log:
            self._as_of_snapshot = known | self._as_of_snapshot
        self.engine.hydrate([_copy(order) for order in known.values()], now_ms)

    def _handle(self, given: Input, now_ms: int) -> None:
        if self._keeps_log and isinstance(given, Batch):
            self._log.append(given.entries)
        for command in self.engine.handle(given, now_ms):
            if isinstance(command, WakeAt):
                self._wake_ms = command.at_ms
                continue
            self.ledger.take(command)
            if self._keeps_log and isinstance(command, Decide):
                self._log.append((command.decision,))
        shard = self.engine.shard
        for order in (*shard.drain_dirty(), *shard.drain_dormant()):
            self._store[order.order_id] = order
        shard.history.drain()
        if self._keeps_log and now_ms - self._snapshot_ms >= SNAPSHOT_EVERY_MS:
            self._keep(self.engine.snapshot(), now_ms)
        self.watcher(self.engine, now_ms)

    def _keep(self, snapshot: bytes, now_ms: int) -> None:
        self._snapshot, self._snapshot_ms = snapshot, now_ms
        self._log.clear()
        self._as_of_snapshot.clear()


def _copy(order: Order) -> Order:
    """The stored order and the one in memory must not change together."""
    return msgspec.structs.replace(order)
