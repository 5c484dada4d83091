"""One address: its routes behind the gate, its connections, and an end that takes no longer than it may."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from monitor.api.edge import Edge
from monitor.api.express import Express
from monitor.api.guard import Connections, GuardedConnection
from monitor.api.roles import EVENTS
from monitor.api.routes import ROUTES, Route
from monitor.api.server import make_app
from monitor.model.endpoints import Listen
from monitor.model.errors import ConfigError, Problem

BACKLOG = 4_096  # connections that the kernel keeps for us; it may have a lower limit of its own
TAKEN_AT_ONCE = 16  # in one turn of the event loop, each about 0.1 ms
CLOSED_S = 0.5  # for the last bytes of answers


class Listener:
    """Opens once, closes once."""

    def __init__(self, edge: Edge, routes: Iterable[Route] = ROUTES) -> None:
        self._edge = edge
        served = tuple(routes)
        self._app = make_app(edge, served)
        self._runner = web.AppRunner(
            self._app, handle_signals=False, shutdown_timeout=edge.limits.shutdown_s
        )
        self._server: asyncio.AbstractServer | None = None
        takes_events = any(route.path == EVENTS for route in served)
        self.connections = Connections(edge, Express(edge) if takes_events else None)
        self.address: tuple[str, int] = ("", 0)

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(*self.address)

    async def open(self, listen: Listen) -> None:
        """Listen. Raises: OSError where the address is taken, ConfigError without the C parser."""
        require_c_parser()
        await self._runner.setup()
        manager = self._runner.server
        assert manager is not None, "a runner that is set up has a server"
        options = self._options()

        def connect() -> GuardedConnection:
            return GuardedConnection(manager, self.connections, **options)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(connect, listen.host, listen.port, backlog=TAKEN_AT_ONCE)
        let_wait(server)
        self._server = server
        self.address = (listen.host, server.sockets[0].getsockname()[1])
        self.connections.begin()

    async def close(self) -> None:
        """Answer what is under way, take nothing new; then end whatever is still open."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        self.connections.end()
        await self.connections.drained(CLOSED_S)

    def _options(self) -> dict[str, object]:
        """What every connection is made with."""
        limits = self._edge.limits
        return {
            "loop": asyncio.get_running_loop(),
            "access_log": None,
            "auto_decompress": False,  # a bomb would be inflated before its size is known
            "keepalive_timeout": limits.idle_s,
            "logger": protocol_logger(),
            "lingering_time": limits.lingering_s,
            "max_field_size": limits.line_bytes_max,
            "max_headers": limits.headers_max,
            "max_line_size": limits.line_bytes_max,
        }


def let_wait(server: asyncio.AbstractServer) -> None:
    """Let more connections wait than are taken at once; to asyncio that is one number."""
    for one in getattr(server, "sockets", ()):
        if hasattr(one, "fileno"):  # an address of the virtual network is no socket
            with socket.socket(fileno=os.dup(one.fileno())) as same:
                same.listen(BACKLOG)


def url_of(host: str, port: int) -> str:
    """The URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def require_c_parser() -> None:
    """Raise ConfigError where aiohttp has only its Python parser, which is lenient with smuggling."""
    if HttpRequestParser is HttpRequestParserPy:
        message = "aiohttp runs without its C parser"
        hint = "unset AIOHTTP_NO_EXTENSIONS or install a wheel of aiohttp"
        raise ConfigError([Problem("aiohttp", 1, 1, message, hint)])


def protocol_logger() -> logging.Logger:
    """Return the logger of aiohttp's protocol, which quotes what it could not parse."""
    logger = logging.getLogger("monitor.api.protocol")
    logger.addFilter(_discreet)
    return logger


def _discreet(record: logging.LogRecord) -> bool:
    """Keep only the type of the error: the quoted line may be the one with the token.

    A client that has left is no error.
    """
    if record.exc_info is None:
        return True
    error = record.exc_info[0]
    if error is not None and issubclass(error, ConnectionError):
        return False
    record.fields = {"error": error.__name__ if error else ""}
    record.msg, record.args = "http_request_failed", ()
    record.exc_info = record.exc_text = None
    return True
