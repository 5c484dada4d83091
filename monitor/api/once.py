"""Wraps the handler of a write, so that a repeated `Idempotency-Key` gets the first answer."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from monitor.api.body import read_body
from monitor.api.edge import CALLER, EDGE, Edge
from monitor.api.idempotency import HEADER, Answers, check_key, digest_of
from monitor.api.problems import Handler

REPLAYED = "Idempotent-Replayed"


def _answers(edge: Edge) -> Answers:
    return edge.answers


def once(handler: Handler, answers_of: Callable[[Edge], Answers] = _answers) -> Handler:
    """Do the write of a key once; without a key every request is a write of its own.

    `answers_of`: where the answers of this kind of write are kept.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return await handler(request)
        check_key(key)
        edge = request.app[EDGE]
        answers = answers_of(edge)
        body = await read_body(request, edge.limits)
        name = (request[CALLER].name, key)
        digest = digest_of(request.method, request.raw_path, body, request.headers)
        known = answers.begin(name, digest, edge.clock.now_ms())
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
            is_success = response.status < 400
            if (
                is_success
                and isinstance(response, web.Response)
                and isinstance(response.body, bytes)
            ):
                answers.keep(name, response.status, response.body)
                kept = True
        finally:
            if not kept:
                answers.forget(name)
        return response

    return handle
