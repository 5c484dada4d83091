"""Servers with the mistakes that the fuzzer must find; each is a process of its own.

Run as `python -m tests.security.naive [twice]`; prints its port, ends with its standard input.
"""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def naive_server(*, answers_twice: bool) -> Iterator[int]:
    """A running server and its port."""
    command = [sys.executable, "-m", "tests.security.naive", *(["twice"] if answers_twice else [])]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=30)


async def trusting(request: web.Request) -> web.Response:
    """Believe that a body is JSON."""
    event = await request.json()
    return web.json_response({"type": event["type"]} if isinstance(event, dict) else {}, status=202)


class Twice(asyncio.Protocol):
    """Takes whatever follows a blank line for another request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER * max(1, data.count(b"\r\n\r\n")) + ANSWER)


async def serve(*, answers_twice: bool) -> None:
    logging.disable()
    if answers_twice:
        server = await asyncio.get_running_loop().create_server(Twice, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        return
    app = web.Application()
    app.router.add_post("/v1/events", trusting)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(answers_twice=len(sys.argv) > 1))
