"""A shop on a raw socket: it keeps every byte it is sent, and answers what the test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Seen:
    """One request as it came."""

    method: str
    target: str
    head: bytes
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        return self.head.split(b"\r\n")[1:-2]


SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nsuccess"


def answer(body: bytes, status: int = 200, headers: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n".encode()
    return f"HTTP/1.1 {status} Said\r\n".encode() + headers + length + b"\r\n" + body


@dataclass
class Shop:
    """Answers with `says`; `gate` holds answers back while it is clear."""

    port: int = 0
    says: Callable[[Seen], bytes] = lambda _: SUCCESS
    seen: list[Seen] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    order_of: Callable[[Seen], str] = lambda seen: seen.target
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=4 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def wait_for(self, count: int) -> None:
        while len(self.seen) < count:
            self.changed.clear()
            async with asyncio.timeout(20):
                await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
            body = await reader.readexactly(_length(head))
            seen = Seen(method.decode(), target.decode("latin-1"), head, body)
            await self._answer(seen, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        order = self.order_of(seen)
        self.under_way[order] += 1
        self.most_at_once[order] = max(self.most_at_once[order], self.under_way[order])
        self.seen.append(seen)
        self.changed.set()
        try:
            await self.gate.wait()
            said = self.says(seen)
            writer.write(
                said if seen.method != "HEAD" else said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            )
            await writer.drain()
        finally:
            self.under_way[order] -= 1


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@asynccontextmanager
async def open_shop(says: Callable[[Seen], bytes] | None = None) -> AsyncIterator[Shop]:
    shop = Shop()
    shop.gate.set()
    if says is not None:
        shop.says = says
    await shop.open()
    try:
        yield shop
    finally:
        shop.gate.set()
        await shop.close()
