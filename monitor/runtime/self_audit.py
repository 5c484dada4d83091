"""Looks every night for what must never be, and has a person told when it is found.

What was found is a fact from outside and logged like any other entry; the core makes a message and
a metric of it. The first look comes a quarter of an hour after a start, the next ones at four in
the morning of the shop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from monitor.core.engine import Engine
from monitor.core.signals.calendar import offset_ms
from monitor.model.errors import CapacityError, StorageError
from monitor.model.invariants import Violation
from monitor.model.records import SelfAudited
from monitor.model.times import DAY_MS, HOUR_MS, SECOND_MS
from monitor.ports import Clock

log = logging.getLogger("monitor.self_audit")

FIRST_S = 900.0
AT_MS = 4 * HOUR_MS  # after midnight, local time

Look = Callable[[int], Awaitable[Sequence[Violation]]]


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[SelfAudited]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class SelfAuditor:
    """Has the files looked through for as long as `run` runs."""

    def __init__(self, look: Look, engine: Engine, loop: Submitter, clock: Clock) -> None:
        self._look = look
        self._engine = engine
        self._loop = loop
        self._clock = clock

    async def run(self) -> None:
        """Look for ever."""
        await asyncio.sleep(FIRST_S)
        while True:
            await self.look()
            now_ms = self._clock.now_ms()
            await asyncio.sleep((next_night_ms(now_ms, self._engine) - now_ms) / SECOND_MS)

    async def look(self) -> Sequence[Violation]:
        """Look once; files that cannot be read are another's to tell of."""
        now_ms = self._clock.now_ms()
        try:
            found = await self._look(now_ms)
            texts = tuple(str(one) for one in found)
            if texts:
                log.critical("invariants_broken", extra={"fields": {"findings": texts}})
            if texts or self._engine.shard.totals.invariant_violations:
                await self._loop.submit((SelfAudited(texts, now_ms),))
        except (StorageError, CapacityError) as error:
            log.error("self_audit_failed", extra={"fields": {"error": str(error)}})
            return ()
        return found


def next_night_ms(now_ms: int, engine: Engine) -> int:
    """The next four in the morning where the shop is."""
    local_ms = now_ms + offset_ms(now_ms, engine.settings.utc_offsets)
    since_ms = (local_ms - AT_MS) % DAY_MS
    return now_ms + DAY_MS - since_ms
