"""One listener's connections: how many there may be, and how long each may take for what it owes.

aiohttp itself waits for ever for the rest of a head and for somebody to read an answer, and takes as
many connections as there are file descriptors. Here no connection has a timer: the listener looks
at all of them twice a second.

    new ──head──► request ──body, handler, answer──► idle ──head──► …
     └ header_deadline_s    └ body_deadline_s (body.py)  └ idle_s, then header_deadline_s
       answers: answer_deadline_s without a byte read by the client

When all places are taken, a connection that owes the rest of a request for a moment already gives
way to the newcomer, the oldest first, then the one that is idle for longest: those who open sockets and dribble keep
nobody out, and a request that is whole is never broken off.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import Counter, deque
from functools import lru_cache
from typing import Any, cast

from aiohttp import StreamReader, web

from monitor.api.edge import Edge
from monitor.api.express import Express
from monitor.api.fast_answer import as_bytes
from monitor.api.fast_intake import Waiting
from monitor.api.problems import from_error, problem
from monitor.api.raw_target import RawTargets
from monitor.api.shed import CONNECTIONS
from monitor.model.errors import OverloadError

LOOK_EVERY_S = 0.5
LOOK_EMPTY_S = 2.0  # while nobody is there: only to see how busy the event loop is
SORT_EVERY_S = 0.05
LAGS_KEPT = 30  # every scrape of a quarter minute sees the worst since the one before
ADDRESSES_KNOWN = 4_096  # those who connect come again
LOG_EVERY_S = 10.0  # what cannot be parsed is told no more often
_log = logging.getLogger("monitor.api.protocol")


class Connections:
    """The open connections of one listener; `express` where it takes events."""

    def __init__(self, edge: Edge, express: Express | None = None) -> None:
        self.edge = edge
        self.express = express
        self._lags = deque([0.0], maxlen=LAGS_KEPT)
        self._open: dict[GuardedConnection, str] = {}
        # The rest of a request, since when; the oldest first.
        self._owing: dict[GuardedConnection, float] = {}
        self._by_address: Counter[str] = Counter()
        self._idle: deque[tuple[GuardedConnection, float]] = deque()  # as of the latest look
        self._sorted_s = -SORT_EVERY_S
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._malformed = 0
        self._logged_s = -LOG_EVERY_S
        self._emptied: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Look after deadlines from now on."""
        loop = asyncio.get_running_loop()
        limits = self.edge.limits
        every_s = LOOK_EVERY_S if self._open else LOOK_EMPTY_S
        every_s = min(every_s, limits.header_deadline_s / 4, limits.idle_s / 4)
        self._due_s = loop.time() + every_s
        self._timer = loop.call_at(self._due_s, self._look)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    async def drained(self, limit_s: float) -> None:
        """Wait until all are gone; those that are not in time are ended, whoever reads or writes."""
        if self._open:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=limit_s)
        for connection in list(self._open):
            connection.abort()

    @property
    def lag_s(self) -> float:
        """How late the latest looks of a quarter minute were: how long the event loop was busy."""
        return max(self._lags)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: GuardedConnection, address: str) -> str:
        """Take a connection in; returns why not, if there is no place for it."""
        limits = self.edge.limits
        place = place_of(address)
        if not self._is_exempt(address) and (
            self._by_address[place] >= limits.connections_per_address
        ):
            return "address"
        if len(self._open) >= limits.connections_max and not self._make_room():
            return "connections"
        self._open[connection] = place
        self.owes(connection)
        self._by_address[place] += 1
        return ""

    def owes(self, connection: GuardedConnection) -> None:
        """A connection has begun another request."""
        self._owing.setdefault(connection, asyncio.get_running_loop().time())

    def settled(self, connection: GuardedConnection) -> None:
        """A connection has sent all of its request."""
        self._owing.pop(connection, None)

    def remove(self, connection: GuardedConnection) -> None:
        """A connection is gone."""
        place = self._open.pop(connection, None)
        self._owing.pop(connection, None)
        if place is not None:
            self._by_address[place] -= 1
            if not self._by_address[place]:
                del self._by_address[place]
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def note_malformed(self, error: BaseException | None) -> None:
        """Log that a request could not be read, without a word of it: it may be the token."""
        self._malformed += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - self._logged_s < LOG_EVERY_S:
            return
        fields = {"error": type(error).__name__, "requests": self._malformed}
        _log.warning("http_request_malformed", extra={"fields": fields})
        self._logged_s, self._malformed = now_s, 0

    def _make_room(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        leaving, since_s = next(iter(self._owing.items()), (None, 0.0))
        if leaving is None or now_s - since_s < self.edge.limits.grace_s:
            leaving = self._longest_idle(now_s) or leaving
        if leaving is None:
            return False
        self.remove(leaving)
        leaving.abort()
        return True

    def _longest_idle(self, now_s: float) -> GuardedConnection | None:
        """Who waits for its next request for longest; to look at all is not for every newcomer."""
        if not self._idle and now_s - self._sorted_s >= SORT_EVERY_S:
            self._sorted_s = now_s
            idle = [one for one in self._open if one.is_idle and one not in self._owing]
            idle.sort(key=GuardedConnection.idle_until_s)
            self._idle.extend((one, one.idle_until_s()) for one in idle)
        while self._idle:
            one, until_s = self._idle.popleft()
            if one in self._open and one.is_idle and one.idle_until_s() == until_s:
                return one
        return None

    def _is_exempt(self, address: str) -> bool:
        known = _parsed(address)
        if known is None:
            return True  # not the internet: a socket of this machine
        return known.is_loopback or any(known in one for one in self.edge.limits.proxies)

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._lags.append(max(0.0, now_s - self._due_s))
        for connection in list(self._open):
            connection.check(now_s)
        self.begin()


class GuardedConnection(web.RequestHandler):
    """aiohttp's connection with the deadlines it lacks."""

    __slots__ = (
        "_answered", "_asked", "_connections", "_ended_s", "_has_begun", "_head_since_s", "_held",
        "_owed", "_socket", "_stuck_since_s", "targets",
    )  # fmt: skip

    def __init__(self, manager: web.Server, connections: Connections, **options: Any) -> None:
        super().__init__(manager, **options)
        self._connections = connections
        self._socket: asyncio.Transport | None = None  # aiohttp forgets its own when it closes
        self._head_since_s: float | None = None
        self._has_begun = False  # a head, of which there is at least one byte
        self._owed: StreamReader | None = None  # a body that is not whole yet
        self._stuck_since_s: float | None = None  # the client reads nothing of what it asked for
        self._ended_s: float | None = None
        self._asked: Waiting | None = None  # a request that aiohttp knows nothing of
        self._held = b""  # what came behind it
        self.targets = RawTargets()
        self._answered: asyncio.Future[None] | None = None  # while the end waits for its answer

    # --- of asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self._socket = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        refusal = self._connections.add(self, peer[0] if peer else "")
        if refusal:
            self._connections.edge.flow.give_up(CONNECTIONS)
            self._force_close = True
            error = OverloadError("too many connections", retry_after_s=1)
            self._say(from_error(error))
            return
        self._head_since_s = self._loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take a whole event, or hand the bytes on and note what they end or begin."""
        if self._asked is not None:
            self._hold(data)
            return
        express = self._connections.express
        if express is not None and self.is_idle and not self._has_begun and self._owed is None:
            whole = express.whole(data)
            if whole is not None:
                if self._head_since_s is not None:
                    self._head_since_s = None
                    self._settle()
                self._asked = asked = Waiting(express.intake, self._answer)
                express.intake.take(whole.head, whole.body, asked)
                return
        count = self._request_count
        if not self._has_begun and self._owed is None:
            data = self.targets.escaped(data)
        super().data_received(data)
        if self._request_count != count:
            body = self._messages[-1][1]
            if not body.is_eof():
                self._owed = body
                self._connections.owes(self)
            elif self._head_since_s is not None or self._owed is not None:
                self._settle()
            self._head_since_s, self._has_begun = None, False
        elif self._owed is not None:
            if self._owed.is_eof():
                self._settle()
        elif self.is_idle:
            self._has_begun = True
            if self._head_since_s is None:
                self._head_since_s = self._loop.time()
                self._connections.owes(self)

    def pause_writing(self) -> None:
        """The client does not read as fast as we answer."""
        super().pause_writing()
        self._stuck_since_s = self._loop.time()

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        self._stuck_since_s = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._connections.remove(self)
        self._socket = None
        super().connection_lost(exc)

    # --- of the listener --------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return self._asked is None and self._waiter is not None and not self._waiter.done()

    def idle_until_s(self) -> float:
        """When it would end if it stayed idle: whoever is idle for longest has the earliest."""
        return self._next_keepalive_close_time

    def check(self, now_s: float) -> None:
        """End the connection if it owes something for too long."""
        limits = self._connections.edge.limits
        if self._socket is None:
            return
        if self._socket.is_closing():  # and the client does not read the rest
            self._ended_s = self._ended_s or now_s
            if now_s - self._ended_s > limits.lingering_s:
                self.abort()
        elif _is_over(self._stuck_since_s, limits.answer_deadline_s, now_s):
            self.abort()
        elif _is_over(self._head_since_s, limits.header_deadline_s, now_s) and self.is_idle:
            if self._has_begun:
                detail = f"the head did not arrive within {limits.header_deadline_s:g} s"
                self._say(problem(408, "timeout", detail))
            self.force_close()

    def abort(self) -> None:
        """End at once, whatever is still to be sent."""
        if self._socket is not None:
            self._socket.abort()

    # --- of the short way -------------------------------------------------------------------------

    def _hold(self, data: bytes) -> None:
        """Keep what comes behind a request until that is answered; no more is read."""
        if not self._held and self._socket is not None:
            self._socket.pause_reading()
        self._held += data

    def _answer(self) -> None:
        """Write the answer that is due, and go on with what came behind the request."""
        asked, self._asked = self._asked, None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        if asked is None or asked.raw is None or self._socket is None:
            return
        self._socket.write(asked.raw)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if asked.is_last:
            self.force_close()
        elif self._held:
            held, self._held = self._held, b""
            self._socket.resume_reading()
            self.data_received(held)

    # --- of aiohttp -------------------------------------------------------------------------------

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - of aiohttp
        """End, when the answer that is due has left."""
        if self._asked is not None:
            self._answered = self._loop.create_future()
            await asyncio.wait([self._answered], timeout=timeout)
        await super().shutdown(timeout)

    def _process_keepalive(self) -> None:
        """A request that aiohttp knows nothing of is no idleness."""
        if self._asked is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed in the form of every other refusal.

        aiohttp stumbles over bytes of a header that it repeats (`Expect`) and calls it its own
        mistake; errors of handlers never come here.
        """
        if status != 400 and not isinstance(exc, UnicodeError):
            return super().handle_error(request, status, exc, message)
        self._connections.note_malformed(exc)
        response = problem(400, "bad_request", "the request cannot be read")
        response.force_close()
        return response

    def _settle(self) -> None:
        self._owed = None
        self._connections.settled(self)

    def _say(self, response: web.Response) -> None:
        if self._socket is not None:
            now_ms = self._connections.edge.clock.now_ms()
            self._socket.write(as_bytes(response, now_ms, is_last=True))
            self._socket.close()


@lru_cache(ADDRESSES_KNOWN)
def place_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 host has to itself."""
    known = _parsed(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address


@lru_cache(ADDRESSES_KNOWN)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_over(since_s: float | None, limit_s: float, now_s: float) -> bool:
    return since_s is not None and now_s - since_s > limit_s
