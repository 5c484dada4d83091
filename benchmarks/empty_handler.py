"""The floor of the ingest benchmarks: an aiohttp handler that reads the body and does nothing.

Run as `python -m benchmarks.empty_handler`; prints its port, ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

ANSWER = b'{"accepted":1,"duplicates":0,"rejected":[],"warnings":[]}'


async def take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202, body=ANSWER, content_type="application/json")


async def serve() -> None:
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/v1/events", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
