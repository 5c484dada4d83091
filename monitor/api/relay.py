"""`/relay/{shop}/{gateway}/…`: takes what a payment gateway sends and hands it to the relay as it came.

Any method, any path below, the query and the body as bytes. Open to everybody, as the shop's own
address is: who may say that money came is shown by the gateway's signature, which only the shop, or
a key in `gateways`, can check. Neither Host nor Origin are looked at: they are the shop's.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict

from monitor.api.body import read_raw
from monitor.api.edge import EDGE
from monitor.api.fast_answer import SERVER
from monitor.api.guard import GuardedConnection
from monitor.model.errors import InputError
from monitor.model.shops import RawRequest

RELAY_PREFIX = "/relay/"
RELAY_PATH = "/relay/{shop:[^/]+}/{gateway:[^/]+}{rest:(/(?s:.*))?}"
DECODED_TIMES = 3  # a web server before another may decode what it passes on
_SEGMENTS = re.compile(r"[/\\]")


class Passed(web.Response):
    """The answer of a shop: nothing is added to it."""


async def pass_callback(request: web.Request) -> web.StreamResponse:
    """Answer with what the shop said, or in its place; raises NotFoundError, InputError."""
    edge = request.app[EDGE]
    target = _target(request)
    raw = RawRequest(
        method=request.method,
        target=target,
        headers=tuple(
            (_text(name), _text(value)) for name, value in request.raw_headers
        ),
        body=await read_raw(request, edge.limits),
        received_ms=edge.clock.now_ms(),
    )  # fmt: skip
    name = f"{request.match_info['shop']}/{request.match_info['gateway']}"
    reply = await edge.service.relay.take(name, raw, rest_of(target))
    headers: CIMultiDict[str] = CIMultiDict()
    for line, value in reply.headers:
        headers.add(line, value)
    headers.setdefault("Server", SERVER)
    return Passed(status=reply.status, headers=headers, body=reply.body)


def rest_of(target: str) -> str:
    """What stands behind `/relay/{shop}/{gateway}` in a target, as it was sent: path, query.

    Raises: InputError for the target of a proxy (`GET http://…`), and for one that climbs out of the
    address that it is put behind.
    """
    path, mark, query = target.partition("?")
    if _climbs(path):
        raise InputError(
            "the path leads out of the relay", code="bad_target",
            hint="write it without '..' segments",
        )  # fmt: skip
    parts = path.split("/", 4)
    if len(parts) < 4 or parts[0] or parts[1] != "relay":
        raise InputError("the target is not a path of the relay", code="bad_target")
    below = f"/{parts[4]}" if len(parts) == 5 else ""
    return below + mark + query


def _climbs(path: str) -> bool:
    """Whether a segment is `..` to anybody: encoded, behind a backslash, with parameters (`..;a`)."""
    for _ in range(DECODED_TIMES):
        if any(one.partition(";")[0] == ".." for one in _SEGMENTS.split(path)):
            return True
        path = unquote(path, errors="surrogateescape")
    return False


def _target(request: web.Request) -> str:
    """The target as it was sent, also where the parser got it escaped."""
    connection = request.protocol
    assert isinstance(connection, GuardedConnection)
    return connection.targets.raw(request.raw_path)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
