"""Shop and supplier of the benchmark of takeovers: they take and give at once, and keep nothing.

Run as `python -m benchmarks.takeover_world`; prints its port, ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

GRANTED = b'{"status":"granted","paid":true,"sku":"steam-50","quantity":1,"amount_minor":4800}'
TAKEN = b'{"status":"delivered"}'


async def claim(request: web.Request) -> web.Response:
    """Grant the claim."""
    await request.read()
    return web.Response(body=GRANTED, content_type="application/json")


async def deliver(request: web.Request) -> web.Response:
    """Take the goods."""
    await request.read()
    return web.Response(body=TAKEN, content_type="application/json")


async def buy(request: web.Request) -> web.Response:
    """Sell one key, named by what was asked."""
    asked = await request.json()
    said = {"status": "delivered", "id": "s1", "keys": [f"KEY-{asked['ref']}"]}
    return web.json_response(said)


async def serve() -> None:
    """Answer until nobody needs it any more."""
    app = web.Application()
    app.router.add_post("/claim", claim)
    app.router.add_post("/deliver", deliver)
    app.router.add_post("/buy", buy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
