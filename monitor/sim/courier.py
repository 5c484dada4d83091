"""A shop's own outbox: events stay in it until the monitor has acknowledged them.

This is what every shop should do. Whatever happens to the monitor, an event is sent again until a
`202` comes; the journal of acknowledged events is what the monitor must never lose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from monitor.model.errors import MonitorError

Post = Callable[[list[dict[str, Any]]], Awaitable[None]]

BATCH_MAX = 50
RETRY_S = 0.2


class Courier:
    """Sends events in the background over as many connections as `run` is started.

    `post` returns once the events are acknowledged and raises a retryable MonitorError otherwise;
    they are sent again after 0.2 s, then after twice as long each time, up to `retry_s_max`.
    """

    def __init__(self, post: Post, *, retry_s_max: float = RETRY_S) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self._post = post
        self._retry_s_max = retry_s_max
        self._waiting: deque[list[dict[str, Any]]] = deque()
        self._under_way = 0
        self._nudge = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    async def emit(self, events: list[dict[str, Any]]) -> None:
        """Take events that must arrive; returns at once."""
        self._waiting.append(events)
        self._is_empty.clear()
        self._nudge.set()

    async def flushed(self) -> None:
        """Return when everything is acknowledged."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Send for ever; each runner has one request under way."""
        while True:
            batch = self._take()
            if not batch:
                self._nudge.clear()
                await self._nudge.wait()
                continue
            await self._send(batch)
            self.acknowledged += batch
            self._under_way -= 1
            if not self._waiting and not self._under_way:
                self._is_empty.set()

    async def _send(self, batch: list[dict[str, Any]]) -> None:
        pause_s = RETRY_S
        while True:
            try:
                await self._post(batch)
            except MonitorError as error:
                if not error.is_retryable:
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._retry_s_max)
            else:
                return

    def _take(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        while self._waiting and len(batch) < BATCH_MAX:
            batch += self._waiting.popleft()
        if batch:
            self._under_way += 1
        return batch
