"""Is it alive, is it ready, and what happens now: the routes of probes and of the live page."""

from __future__ import annotations

import msgspec
from aiohttp import web

from monitor.api.edge import EDGE


async def get_livez(_request: web.Request) -> web.StreamResponse:
    """Answer as long as the loop turns; asks nobody else."""
    return web.Response(text="ok\n")


async def get_readyz(request: web.Request) -> web.StreamResponse:
    """Answer 200 only when queries can be answered; `?verbose` tells the facts."""
    readiness = request.app[EDGE].service.readiness()
    status = 200 if readiness.is_ready else 503
    headers = {} if readiness.is_ready else {"Retry-After": "1"}
    if "verbose" in request.query:
        body = {"ready": readiness.is_ready, "facts": readiness.facts}
        return web.Response(
            status=status,
            headers=headers,
            body=msgspec.json.encode(body),
            content_type="application/json",
        )
    text = "ready\n" if readiness.is_ready else "not ready\n"
    return web.Response(status=status, headers=headers, text=text)


async def get_stream(request: web.Request) -> web.StreamResponse:
    """Send signals, alerts, switches and takeovers as they happen."""
    return await request.app[EDGE].streams.serve(request)
