"""For whoever runs the service: metrics, and a new configuration without a restart."""

from __future__ import annotations

from aiohttp import web

from monitor.api.edge import EDGE
from monitor.api.json_body import answer

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Give the Prometheus text exposition, also while the state is being rebuilt."""
    body = request.app[EDGE].service.metrics()
    return web.Response(body=body, headers={"Content-Type": EXPOSITION})


async def post_reload(request: web.Request) -> web.StreamResponse:
    """Read configuration and rules again; a bad file changes nothing.

    Raises: ConfigError with every problem.
    """
    changed, needs_restart = await request.app[EDGE].service.reload()
    return answer({"changed": changed, "needs_restart": needs_restart})
