"""Watches what payments are seen by: a phone, or a program that reads the chain.

A listener that is offline loses orders and says nothing. As long as it lives it is given a
heartbeat of the source `listener:<gateway>`; when that falls silent, `PaymentListenerSilent` fires.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from monitor.model.errors import CapacityError, SourceError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.gateways import LISTENER_PREFIX
from monitor.ports import Clock
from monitor.runtime.gateway_query import MALFORMED

log = logging.getLogger("monitor.listeners")

EVERY_S = 8.0  # a third of `LISTENER_HEARTBEAT_MS`, and as long as a question may take
BACK_OFF_S = (8.0, 15.0, 30.0)  # of a gateway that cannot be asked; its silence pages meanwhile


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class ListenerWatch:
    """Asks one listener whether it lives, for as long as `run` runs."""

    def __init__(
        self, name: str, is_alive: Callable[[], Awaitable[bool]], loop: Submitter, clock: Clock
    ) -> None:
        self._is_alive = is_alive
        self._loop = loop
        self._clock = clock
        self._failures = 0
        self.name = name
        self.trouble: str | None = None  # why it cannot be asked right now

    async def run(self) -> None:
        """Ask for ever; a gateway that fails is left alone for longer each time."""
        while True:
            await self.look()
            await asyncio.sleep(self.pause_s)

    @property
    def pause_s(self) -> float:
        """How long until it is asked again."""
        return BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1] if self._failures else EVERY_S

    async def look(self) -> bool:
        """Ask once; whether it lives. The first failure in a row is logged."""
        try:
            is_alive = await self._heard()
            if is_alive:
                await self._loop.submit((self._heartbeat(),))
        except (SourceError, StorageError, CapacityError) as error:
            if not self._failures:
                fields = {"gateway": self.name, "error": str(error)}
                log.warning("listener_not_asked", extra={"fields": fields})
            self._failures += 1
            self.trouble = str(error)
            return False
        self._failures, self.trouble = 0, None
        return is_alive

    async def _heard(self) -> bool:
        try:
            return await self._is_alive()
        except MALFORMED as error:
            raise SourceError(f"the answer cannot be read: {type(error).__name__}") from None

    def _heartbeat(self) -> OrderEvent:
        now_ms = self._clock.now_ms()
        return OrderEvent(
            type=EventType.HEARTBEAT.value,
            order_id="",
            source=f"{LISTENER_PREFIX}{self.name}",
            event_id=f"heartbeat@{now_ms}",
            time_ms=now_ms,
            received_ms=now_ms,
            is_inferred=True,
            is_unique=True,
        )
