"""The HTTP application: the routes behind the gate, with limits on everything a client may do.

    request ─► problems (errors become problem+json) ─► doorkeeper (Host, Origin)
            ─► guarded (scope of the route) ─► handler ─► Service

Source of the limits: docs of aiohttp's threat model; contract §2 and §3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from monitor.api.admission import admitted
from monitor.api.audit import REQUEST_ID, change_of, note_refusal
from monitor.api.caller import READ
from monitor.api.edge import CALLER, CHANGE, EDGE, Edge
from monitor.api.fast_answer import NO_STORE, SECURITY_HEADERS, SERVER
from monitor.api.live import get_stream
from monitor.api.overload import PAGES_FILL
from monitor.api.problems import Handler, problems
from monitor.api.relay import RELAY_PREFIX, Passed
from monitor.api.roles import INTAKE, OF_SHOPS
from monitor.api.routes import ROUTES, Route
from monitor.api.shed import PAGES
from monitor.model.errors import MonitorError, OverloadError


def make_app(edge: Edge, routes: Sequence[Route] = ROUTES) -> web.Application:
    """Build the application; a `Listener` serves it."""
    app = web.Application(
        middlewares=[problems, doorkeeper], client_max_size=edge.limits.body_bytes_max
    )
    app[EDGE] = edge
    for route in routes:
        handler = guarded(route)
        if route.method == "GET":
            # Answers HEAD too, but where an address is an event: who only looks reports nothing.
            app.router.add_get(route.path, handler, allow_head=not route.has_key)
        else:
            app.router.add_route(route.method, route.path, handler)
    app.on_response_prepare.append(_secure)
    if any(route.handler is get_stream for route in routes):
        app.on_shutdown.append(_close_streams)
        app.cleanup_ctx.append(_feed_streams)
    return app


def guarded(route: Route) -> Handler:
    """Let only callers with the route's scope through to its handler, and only when it can answer."""
    is_intake = route.path in INTAKE
    is_page = route.method == "GET" and route.scope == READ and route.path not in OF_SHOPS

    async def handle(request: web.Request) -> web.StreamResponse:
        edge = request.app[EDGE]
        if is_intake:
            edge.flow.check()  # before the body is read, be it only for its signature
        elif is_page and edge.flow.fill >= PAGES_FILL:
            edge.flow.give_up(PAGES)
            raise OverloadError("pages and lists wait until events have been taken in")
        request[CALLER] = await admitted(request, edge, route)
        if not route.is_early:
            edge.service.rebuilt()  # raises until there is something to tell
        if not route.action:
            return await route.handler(request)
        return await _changed(request, edge, route)

    return handle


async def _changed(request: web.Request, edge: Edge, route: Route) -> web.StreamResponse:
    """Let a change be made under a name that is in its answer and in the audit."""
    request[CHANGE] = change = change_of(request, edge, route.action, route.scope or "")
    try:
        response = await route.handler(request)
    except MonitorError as error:
        await note_refusal(request, error)
        raise
    response.headers[REQUEST_ID] = change.request_id
    return response


@web.middleware
async def doorkeeper(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check Host and Origin of every request, also where there is no route."""
    if request.path.startswith(RELAY_PREFIX):
        return await handler(request)  # the names are the shop's
    gate = request.app[EDGE].gate
    gate.check_host(request.headers)
    gate.check_origin(request.method, request.headers)
    return await handler(request)


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, Passed):
        return  # the shop's own answer, as it is
    response.headers["Server"] = SERVER
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith(("/v1/", "/e/")):
        response.headers.setdefault("Cache-Control", NO_STORE)


async def _feed_streams(app: web.Application) -> AsyncIterator[None]:
    edge = app[EDGE]
    unsubscribe = edge.service.subscribe(edge.publish, edge.wants_signals)
    yield
    unsubscribe()


async def _close_streams(app: web.Application) -> None:
    app[EDGE].streams.close()
