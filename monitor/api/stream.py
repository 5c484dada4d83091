"""Server-sent events to many readers: bounded queues, and an end at once when we shut down.

aiohttp by itself waits for open streams until its shutdown timeout, twice: two minutes with the
defaults. A reader that is too slow is let go; its browser connects again by itself.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from monitor.api.service import StreamEvent
from monitor.model.errors import CapacityError

READERS_MAX = 200
BACKLOG_MAX = 256  # events one reader may be behind
KEEP_ALIVE_S = 15.0

_KEEP_ALIVE = b":\n\n"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


class _Reader:
    """One open stream; None in the queue ends it."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self.queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue(BACKLOG_MAX + 1)
        self.is_writing = False
        self._task = task

    def offer(self, event: StreamEvent) -> bool:
        """Queue the event; False if the reader is too far behind."""
        if self.queue.qsize() >= BACKLOG_MAX:
            return False
        self.queue.put_nowait(event)
        return True

    def end(self) -> None:
        """End after what is queued, or now if its connection takes no more bytes."""
        if self.is_writing and self._task is not None:
            self._task.cancel()
        elif not self.queue.full():
            self.queue.put_nowait(None)


class StreamHub:
    """Passes every event on to all readers."""

    def __init__(self, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._readers: list[_Reader] = []
        self._keep_alive_s = keep_alive_s
        self._is_closed = False
        self.dropped = 0  # readers let go because they were too slow

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def publish(self, event: StreamEvent) -> None:
        """Queue an event for everybody; never waits."""
        for reader in tuple(self._readers):
            if not reader.offer(event):
                self._readers.remove(reader)
                self.dropped += 1
                reader.end()

    def close(self) -> None:
        """End all streams and refuse new ones."""
        self._is_closed = True
        self.let_go()

    def let_go(self) -> None:
        """End all streams; whoever still may connects again."""
        for reader in self._readers:
            reader.end()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with events until the reader leaves or we close.

        Raises: CapacityError.
        """
        if self._is_closed or len(self._readers) >= READERS_MAX:
            raise CapacityError("no more event streams are served now", retry_after_s=5)
        response = web.StreamResponse(headers=_HEADERS)
        reader = _Reader(asyncio.current_task())
        self._readers.append(reader)
        try:
            await response.prepare(request)
            await self._write(reader, response, _KEEP_ALIVE)
            while (frame := await self._next_frame(reader)) is not None:
                await self._write(reader, response, frame)
        except ConnectionError:
            return response  # the reader left
        finally:
            if reader in self._readers:
                self._readers.remove(reader)
        return response

    async def _next_frame(self, reader: _Reader) -> bytes | None:
        try:
            async with asyncio.timeout(self._keep_alive_s):
                event = await reader.queue.get()
        except TimeoutError:
            return _KEEP_ALIVE
        return None if event is None else _frame(event)

    async def _write(self, reader: _Reader, response: web.StreamResponse, frame: bytes) -> None:
        reader.is_writing = True
        await response.write(frame)
        reader.is_writing = False


def _frame(event: StreamEvent) -> bytes:
    """Write one event; JSON text has no line breaks, so one `data` line is enough."""
    return b"event: %s\ndata: %s\n\n" % (event.kind.encode(), event.body.replace(b"\n", b" "))
