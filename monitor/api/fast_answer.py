"""Answers that are bytes before anybody asks: the head of a 202 is put together once a second.

aiohttp builds and writes the headers of every answer anew, a fifth of what a request costs. The
headers here are the same as there, whichever way an answer takes.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from monitor.model.times import SECOND_MS

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SERVER = "delivery-monitor"  # without the versions of what it is made of
NO_STORE = "no-store"


class Accepted:
    """Writes `202 Accepted` with a JSON body, for connections that stay open."""

    def __init__(self) -> None:
        self._second = -1
        self._head = b""
        self._body: bytes | None = None  # of the latest answer, which often is that of the next
        self._answer = b""

    def answer(self, body: bytes, now_ms: int) -> bytes:
        """The whole answer."""
        if now_ms // SECOND_MS != self._second:
            self._second = now_ms // SECOND_MS
            self._head = head_of(202, {"Content-Type": "application/json"}, now_ms)
            self._body = None
        if body is not self._body:
            self._body = body
            self._answer = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        return self._answer


def head_of(status: int, headers: dict[str, str], now_ms: int) -> bytes:
    """Everything of an answer up to the number of its `Content-Length`."""
    common = {
        "Server": SERVER,
        **SECURITY_HEADERS,
        "Cache-Control": NO_STORE,
        "Date": formatdate(now_ms / SECOND_MS, usegmt=True),
    }
    lines = [f"{name}: {value}" for name, value in {**headers, **common}.items()]
    start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return "\r\n".join((start, *lines, "Content-Length: ")).encode("latin-1")


def as_bytes(response: web.Response, now_ms: int, *, is_last: bool) -> bytes:
    """Write out an answer that was made for aiohttp; `is_last` says that the connection ends."""
    body = response.body if isinstance(response.body, bytes) else b""
    headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
    if is_last:
        headers["Connection"] = "close"
    return b"%b%d\r\n\r\n%b" % (head_of(response.status, headers, now_ms), len(body), body)


class ReadyAnswer(web.StreamResponse):
    """An answer of aiohttp's that is bytes already; only for HTTP/1.1 connections that stay open."""

    def __init__(self, status: int, raw: bytes) -> None:
        super().__init__(status=status)
        self._raw = raw
        self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it; aiohttp calls this once, when the handler is done."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(self._raw)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""
