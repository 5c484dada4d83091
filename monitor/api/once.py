"""Wraps the handler of a write, so that a repeated `Idempotency-Key` gets the first answer."""

from __future__ import annotations

from aiohttp import web

from monitor.api.body import read_body
from monitor.api.edge import CALLER, EDGE
from monitor.api.idempotency import HEADER, check_key, digest_of
from monitor.api.problems import Handler

REPLAYED = "Idempotent-Replayed"


def once(handler: Handler) -> Handler:
    """Do the write of a key once; without a key every request is a write of its own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return await handler(request)
        check_key(key)
        edge = request.app[EDGE]
        body = await read_body(request, edge.limits)
        name = (request[CALLER].name, key)
        digest = digest_of(request.method, request.raw_path, body)
        known = edge.answers.begin(name, digest, edge.clock.now_ms())
        if known is not None:
            headers = {REPLAYED: "true"}
            return web.Response(
                status=known.status,
                headers=headers,
                body=known.body,
                content_type="application/json",
            )
        kept = False
        try:
            response = await handler(request)
            if isinstance(response, web.Response) and isinstance(response.body, bytes):
                edge.answers.keep(name, response.status, response.body)
                kept = True
        finally:
            if not kept:
                edge.answers.forget(name)
        return response

    return handle
