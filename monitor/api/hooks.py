"""`POST /hooks/{source}`: what shops and gateways send in their own words, answered as they expect.

    raw request ─► adapter of the source: proof, then events ─► synced to disk ─► the adapter's answer

These senders repeat little or nothing, and some take a 4xx for a no for ever. So what may pass is
always a 503: a full way, a quota, a state that cannot be written yet. A source that does not exist
costs what a wrong signature costs. `GET` shows that the address is right; some senders look first.
"""

from __future__ import annotations

import hmac

from aiohttp import web

from monitor.api.body import read_raw
from monitor.api.caller import INGEST, Caller
from monitor.api.edge import EDGE, Edge
from monitor.model.errors import AuthError, CapacityError, InputError, NotFoundError, OverloadError
from monitor.model.shops import Pushed, RawRequest

HOOKS = "/hooks/{source:[^/]+}"

_NO_KEY = b"\0" * 32  # computed with, never believed
_TAKEN = ("accepted", "duplicate")


async def post_hook(request: web.Request) -> web.StreamResponse:
    """Take what a shop says; the answer, once it is synced, is what that shop takes for a yes.

    Raises: AuthError, NotFoundError, InputError, OverloadError, StorageError.
    """
    edge = request.app[EDGE]
    try:
        return await _taken(request, edge)
    except CapacityError as error:  # of one source or of all: to these senders it is the same
        raise OverloadError(str(error), retry_after_s=error.retry_after_s) from None
    except InputError as error:
        if error.code == "timeout":
            raise OverloadError(str(error)) from None
        raise


async def get_hook(request: web.Request) -> web.StreamResponse:
    """Say that a source takes requests here. Raises: NotFoundError."""
    if request.match_info["source"] not in request.app[EDGE].service.pushes:
        raise _unknown()
    return web.Response(text="ok\n")


async def _taken(request: web.Request, edge: Edge) -> web.StreamResponse:
    name = request.match_info["source"]
    edge.check_quota(Caller(name, (INGEST,), name))
    body = await read_raw(request, edge.limits)
    # Whether an outcome is among them cannot be seen from outside: there is room while there is any.
    place = edge.flow.admit(len(body))
    try:
        await edge.flow.turn(len(body))
        pushed = _read(edge, name, request, body)
        if pushed.events:
            edge.flow.queue(place, len(pushed.events))
            edge.quotas.spend(name, len(pushed.events), edge.clock.now_ms())
            outcomes = await edge.service.ingest(pushed.events)
            _count(edge, name, sum(outcome not in _TAKEN for outcome in outcomes))
    finally:
        edge.flow.leave(place)
    _count(edge, name, len(pushed.warnings))
    for what in pushed.warnings:
        edge.refusals.note("hook_not_understood", name, what, edge.clock.now_ms())
    reply = pushed.reply
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)


def _read(edge: Edge, name: str, request: web.Request, body: bytes) -> Pushed:
    """What the adapter of the source makes of a request."""
    push = edge.service.pushes.get(name)
    if push is None:
        hmac.digest(_NO_KEY, body, "sha256")
        raise _unknown()
    headers = tuple(
        (key.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for key, value in request.raw_headers
    )
    now_ms = edge.clock.now_ms()
    try:
        return push.read(RawRequest(request.method, request.raw_path, headers, body, now_ms))
    except (AuthError, InputError) as error:
        edge.refusals.note("hook_refused", name, error.code, now_ms)
        raise


def _count(edge: Edge, name: str, count: int) -> None:
    """Count what came well signed and said nothing that could be taken."""
    edge.service.left_out.count(name, rejected=count, ignored_fields=0)


def _unknown() -> NotFoundError:
    return NotFoundError(
        "no source of that name takes requests here",
        hint="see name and kind in sources of monitor.yaml",
    )
