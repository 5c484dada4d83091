"""Counts every connection this process makes, and lets none leave the machine."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

from aiohttp.abc import AbstractResolver, ResolveResult

_watching: list[list[object]] = []
_is_installed: list[bool] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect" or not _watching:
        return
    target = arguments[1]
    for seen in _watching:
        seen.append(target)
    host = str(target[0]) if isinstance(target, tuple) else ""
    if not (host.startswith("127.") or host in ("::1", "::ffff:127.0.0.1")):
        raise ConnectionRefusedError(f"a test must not leave the machine: {target!r}")


@contextmanager
def connections() -> Iterator[list[object]]:
    """Collect the address of every `connect` of this process, whatever library makes it."""
    if not _is_installed:
        sys.addaudithook(_hook)  # cannot be taken away again; it sleeps between two uses
        _is_installed.append(True)
    seen: list[object] = []
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """Listen on one port of 127.0.0.1 and ::1; yields it and who connected."""
    callers: list[str] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(str(writer.get_extra_info("sockname")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    four = await asyncio.start_server(speak, "127.0.0.1", 0)
    port: int = four.sockets[0].getsockname()[1]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(four)
        with suppress(OSError):  # a machine without IPv6
            await stack.enter_async_context(await asyncio.start_server(speak, "::1", port))
        yield port, callers


class Names(AbstractResolver):
    """A name server that says something else each time it is asked; the last answer repeats."""

    def __init__(self, answers: Sequence[Sequence[str]]) -> None:
        self.answers = [list(answer) for answer in answers]
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        return
