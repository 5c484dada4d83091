"""Who may go through to a handler: by a token in the headers, or by a signature over the body."""

from __future__ import annotations

from aiohttp import web

from monitor.api.body import read_raw
from monitor.api.caller import ANONYMOUS, Caller
from monitor.api.edge import Edge
from monitor.api.routes import Route
from monitor.api.signed import SOURCE_PARAMETER, is_signed


async def admitted(request: web.Request, edge: Edge, route: Route) -> Caller:
    """Return who sends; a signature is checked over the raw body, before anything is decoded.

    Raises: AuthError; InputError for a body that cannot be read.
    """
    if route.scope is None:
        return ANONYMOUS
    now_ms = edge.clock.now_ms()
    if route.has_key:
        key = request.match_info["key"]
        return edge.gate.admit_by_path(key, request.headers, route.scope, now_ms)
    if not (route.takes_signed and is_signed(request.headers)):
        return edge.gate.admit(request.headers, route.scope, now_ms)
    raw_body = await read_raw(request, edge.limits)
    source = request.query.get(SOURCE_PARAMETER)
    return edge.gate.signatures.verify(request.headers, source, raw_body, now_ms)
