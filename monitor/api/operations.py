"""For whoever runs the service: metrics, and a new configuration without a restart."""

from __future__ import annotations

from aiohttp import web

from monitor.api.audit import entry
from monitor.api.edge import EDGE
from monitor.api.json_body import answer

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Give the Prometheus text exposition, also while the state is being rebuilt."""
    body = request.app[EDGE].service.metrics()
    return web.Response(body=body, headers={"Content-Type": EXPOSITION})


async def post_reload(request: web.Request) -> web.StreamResponse:
    """Read configuration and rules again; a bad file changes nothing.

    Raises: ConfigError with every problem; CapacityError, StorageError when the entry of the audit
    cannot be written: then the files are taken over, and repeating the request is harmless.
    """
    service = request.app[EDGE].service
    changed, needs_restart = await service.reload()
    outcome = {"changed": changed, "needs_restart": needs_restart}
    await service.note(entry(request, after=outcome))
    return answer(outcome)
