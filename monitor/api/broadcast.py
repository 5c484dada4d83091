"""From a turn of the loop to server-sent events: what was decided, and that numbers moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from monitor.api.service import StreamEvent
from monitor.core.engine import Engine
from monitor.core.views.signals import health
from monitor.model.commands import Command, Decide
from monitor.model.records import AlertMoved, CaseMoved, SwitchDecided
from monitor.model.times import MINUTE_MS

SIGNAL_EVERY_S = 1.0  # "numbers changed" is said no more often than this
HEALTH_WINDOW_MS = 15 * MINUTE_MS

_KINDS = {AlertMoved: "alert", SwitchDecided: "switch", CaseMoved: "takeover"}


class Broadcast:
    """Listeners and what they are told; costs nothing while nobody listens."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[StreamEvent], None]] = []
        self._wants: list[Callable[[], bool]] = []
        self._signalled_s = 0.0

    def subscribe(
        self, listener: Callable[[StreamEvent], None], wants_signals: Callable[[], bool]
    ) -> Callable[[], None]:
        """Call a listener with every event from now on; returns how to stop that."""
        self._listeners.append(listener)
        self._wants.append(wants_signals)

        def end() -> None:
            self._listeners.remove(listener)
            self._wants.remove(wants_signals)

        return end

    def publish(self, commands: Sequence[Command], engine: Engine, now_ms: int) -> None:
        """Tell what a turn decided, and now and then that numbers moved."""
        if not self._listeners:
            return
        for command in commands:
            if isinstance(command, Decide) and type(command.decision) in _KINDS:
                kind = _KINDS[type(command.decision)]
                self._tell(StreamEvent(kind, msgspec.json.encode(command.decision)))
        now_s = asyncio.get_running_loop().time()
        is_due = now_s - self._signalled_s >= SIGNAL_EVERY_S
        if is_due and any(wants_signals() for wants_signals in self._wants):
            self._signalled_s = now_s
            index = health(engine, None, HEALTH_WINDOW_MS, now_ms)
            self._tell(StreamEvent("signal", msgspec.json.encode({"health_index": index})))

    def _tell(self, event: StreamEvent) -> None:
        for listener in list(self._listeners):
            listener(event)
