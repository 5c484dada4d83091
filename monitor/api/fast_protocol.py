"""One connection of the fast listener: requests are cut out of the stream, answers leave in order.

    bytes ─► head (remembered) ─► whole body ─► Intake.take ─► … ─► answer, in the order of requests

Several requests may be under way at once (pipelining), at most `PIPELINE_MAX`: then nothing more is
read. There are no timers per request: the listener looks once a second for connections that are
silent in the middle of a request, or for too long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from aiohttp import web

from monitor.api.fast_head import HEAD_BYTES_MAX, Head, HeadError
from monitor.api.fast_intake import Intake, Waiting, refusal
from monitor.api.problems import problem
from monitor.model.errors import CapacityError, MonitorError

PIPELINE_MAX = 64
UNREAD_BYTES_MAX = 64 * 1024 * 1024  # of bodies not yet whole, over all connections
_END = b"\r\n\r\n"


class Connections(Protocol):
    """The listener, as a connection sees it."""

    intake: Intake
    unread_bytes: int  # announced bodies that are not whole yet

    def now_s(self) -> float:
        """Monotonic seconds."""
        ...

    def add(self, connection: FastProtocol, /) -> bool:
        """Count a new connection; False: there are too many."""
        ...

    def met(self, connection: FastProtocol, /) -> None:
        """A connection has sent a whole request."""
        ...

    def remove(self, connection: FastProtocol, /) -> None:
        """The connection is gone."""
        ...


class FastProtocol(asyncio.Protocol):
    """See the module."""

    def __init__(self, listener: Connections) -> None:
        self._listener = listener
        self._intake = listener.intake
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Waiting] = deque()
        self._chunks: list[bytes] = []  # received and not yet cut into requests
        self._held = 0
        self._needed = 0  # bytes from which on there is something to cut
        self._announced = 0  # of the body that is awaited, as counted by the listener
        self._is_paused = False  # nothing is read
        self._is_clogged = False  # the client does not read its answers
        self._is_cutting = False
        self._is_closing = False
        self._is_met = False  # it has sent a whole request
        self._begun_s: float | None = None  # when the request that is not whole began
        self._active_s = listener.now_s()

    # --- of asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._listener.add(self):
            self._end(refusal(CapacityError("too many connections", retry_after_s=1)))

    def data_received(self, data: bytes) -> None:
        """Take requests out of the stream, as many as are whole."""
        if self._is_closing:
            return  # read on for a moment, so that the client gets to see the refusal
        self._active_s = self._listener.now_s()
        self._chunks.append(data)
        self._held += len(data)
        if self._held >= self._needed:
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of asyncio
        """Forget the connection; what is under way goes on, its answers go nowhere."""
        self._transport = None
        self._announce(0)
        self._listener.remove(self)

    def pause_writing(self) -> None:
        """Read no more requests of somebody who does not read answers."""
        self._is_clogged = True
        self._steer()

    def resume_writing(self) -> None:
        """The answers were read."""
        self._is_clogged = False
        self._steer()

    # --- of the listener --------------------------------------------------------------------------

    def check(self, now_s: float) -> None:
        """End a connection that is silent in the middle of a request, or for too long."""
        limits = self._intake.edge.limits
        silent_s = now_s - self._active_s
        if self._transport is None:
            return
        if self._waiting and not self._is_clogged:
            return  # it waits for us
        if self._is_closing:
            if silent_s > limits.lingering_s:
                self._transport.abort()
        elif self._begun_s is not None and now_s - self._begun_s > limits.body_deadline_s:
            detail = f"the request did not arrive within {limits.body_deadline_s:g} s"
            self._end(problem(408, "timeout", detail))
        elif silent_s > limits.idle_s:
            self._transport.abort()

    def close(self) -> None:
        """Answer what is under way, then end."""
        self._is_closing = True
        if not self._waiting and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()

    # --- requests ---------------------------------------------------------------------------------

    def _cut(self) -> None:
        stream = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        at, self._needed, self._is_cutting = 0, 0, True
        while at < len(stream) and not self._is_closing and not self._is_paused:
            size = self._cut_one(stream, at)
            if size == 0:
                break
            at += size
        self._is_cutting = False
        self._hold(stream[at:] if at else stream)

    def _cut_one(self, stream: bytes, at: int) -> int:
        """Take one request; returns its size, 0 when it is not whole or was refused."""
        end = stream.find(_END, at, at + HEAD_BYTES_MAX)
        if end < 0:
            if len(stream) - at >= HEAD_BYTES_MAX:
                self._end(refusal(HeadError(431, "headers_too_large", "the head is too large")))
            return 0
        body_at = end + len(_END)
        head = self._head(stream[at:body_at])
        if head is None:
            return 0
        size = body_at + head.length - at
        if at + size > len(stream):
            if self._has_room(head):
                self._needed = size
            return 0
        self._take(head, stream[body_at : at + size])
        return size

    def _hold(self, rest: bytes) -> None:
        self._chunks = [rest] if rest else []
        self._held = len(rest)
        if not rest:
            self._begun_s = None
            self._announce(0)
        elif self._begun_s is None:
            self._begun_s = self._active_s

    def _head(self, raw: bytes) -> Head | None:
        try:
            return self._intake.heads.read(raw)
        except MonitorError as error:
            self._end(refusal(error))
            return None

    def _has_room(self, head: Head) -> bool:
        """Whether the rest of a body may be waited for; else the request is refused."""
        if self._announced == 0:
            if self._listener.unread_bytes + head.length > UNREAD_BYTES_MAX:
                self._end(refusal(CapacityError("too many bodies are on their way")))
                return False
            self._announce(head.length)
        return True

    def _announce(self, size: int) -> None:
        self._listener.unread_bytes += size - self._announced
        self._announced = size

    def _take(self, head: Head, body: bytes) -> None:
        self._begun_s = None
        self._announce(0)
        if not self._is_met:
            self._is_met = True
            self._listener.met(self)
        waiting = Waiting(self._intake, self._flush)
        waiting.is_last = not head.keeps_alive
        self._waiting.append(waiting)
        self._is_closing = self._is_closing or not head.keeps_alive
        self._intake.take(head, body, waiting)
        self._steer()

    # --- answers ----------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write the answers that are due; the first that is not there yet holds up those behind it."""
        ready: list[bytes] = []
        is_last = False
        while self._waiting and (raw := self._waiting[0].raw) is not None and not is_last:
            is_last = self._waiting.popleft().is_last
            ready.append(raw)
        if self._transport is None or not ready:
            return
        self._transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if is_last or (self._is_closing and not self._waiting):
            self._linger()
        elif self._is_paused:
            self._steer()

    def _end(self, response: web.Response) -> None:
        """Refuse whatever comes now, behind the answers that are still due."""
        self._is_closing = True
        waiting = Waiting(self._intake, self._flush)
        waiting.is_last = True
        self._waiting.append(waiting)
        waiting.finish(response)

    def _linger(self) -> None:
        """Say that no more answers come; the rest of a request is read and dropped for a moment."""
        self._is_closing = True
        self._waiting.clear()
        self._chunks, self._held, self._begun_s = [], 0, None
        self._announce(0)
        self._active_s = self._listener.now_s()
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def _steer(self) -> None:
        """Read on, or not: with too many requests under way, or answers that nobody reads."""
        if self._transport is None:
            return
        is_paused = self._is_clogged or len(self._waiting) >= PIPELINE_MAX
        if is_paused == self._is_paused:
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
            return
        self._transport.resume_reading()
        if not self._is_cutting and self._held >= max(self._needed, 1):
            self._cut()
