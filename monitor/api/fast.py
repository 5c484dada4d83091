"""The optional fast listener (`listen_fast`): `POST /v1/events` without the weight of a web framework.

The same events, keys, signatures, answers and limits as on the main address; several times the
requests for the same CPU time. Only for sources that send many single events: a batch is cheaper
still, on either address.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from monitor.api.edge import Edge
from monitor.api.fast_intake import Intake
from monitor.api.fast_protocol import FastProtocol
from monitor.api.listener import TAKEN_AT_ONCE, let_wait
from monitor.model.endpoints import Listen

CONNECTIONS_MAX = 1_024
LOOK_EVERY_S = 1.0


class FastListener:
    """Its socket and its connections."""

    def __init__(self, edge: Edge, connections_max: int = CONNECTIONS_MAX) -> None:
        self._connections_max = connections_max
        self.intake = Intake(edge)
        self.unread_bytes = 0
        self._connections: dict[FastProtocol, None] = {}
        self._strangers: dict[FastProtocol, None] = {}  # have sent no request; the oldest first
        self._server: asyncio.Server | None = None
        self._look: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()  # no connection is left

    async def start(self, listen: Listen) -> int:
        """Open the socket; returns its port. Raises: OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: FastProtocol(self), listen.host, listen.port, backlog=TAKEN_AT_ONCE
        )
        let_wait(self._server)
        self._look = loop.call_later(LOOK_EVERY_S, self._check)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close the socket; requests under way get their answers, for as long as elsewhere."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        if self._connections:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.intake.edge.limits.shutdown_s):
                    await self._empty.wait()
        if self._look is not None:
            self._look.cancel()
        for connection in list(self._connections):
            connection.abort()

    def now_s(self) -> float:
        """Monotonic seconds."""
        return asyncio.get_running_loop().time()

    def add(self, connection: FastProtocol, /) -> bool:
        """Count a new connection; False: there are too many.

        One that has never sent a whole request gives way: who opens sockets and dribbles keeps
        nobody out.
        """
        if len(self._connections) >= self._connections_max and self._strangers:
            oldest = next(iter(self._strangers))
            self.remove(oldest)
            oldest.abort()
        self._connections[connection] = self._strangers[connection] = None
        self._empty.clear()
        return len(self._connections) <= self._connections_max

    def met(self, connection: FastProtocol, /) -> None:
        """A connection has sent a whole request."""
        self._strangers.pop(connection, None)

    def remove(self, connection: FastProtocol, /) -> None:
        """The connection is gone."""
        self._connections.pop(connection, None)
        self._strangers.pop(connection, None)
        if not self._connections:
            self._empty.set()

    def _check(self) -> None:
        self._look = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._check)
        now_s = self.now_s()
        for connection in list(self._connections):
            connection.check(now_s)
