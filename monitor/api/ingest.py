"""`POST /v1/events`: decode, hand over, answer only after the events are synced to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from monitor.api.body import read_body
from monitor.api.caller import Caller
from monitor.api.decode import DecodeContext, Decoded, Rejected, decode
from monitor.api.edge import CALLER, EDGE
from monitor.api.problems import FieldError, problem
from monitor.model.errors import InputError
from monitor.model.ids import DEFAULT_SOURCE
from monitor.model.settings import SourceSettings

ACCEPTED, DUPLICATE = "accepted", "duplicate"

_WHOLE_BODY_CODES = ("unsupported_media_type", "too_many_events")
_REFUSALS = {"refused": "the event was refused"}


class IngestAnswer(msgspec.Struct, frozen=True):
    """The body of a 202."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...]
    warnings: tuple[str, ...]


async def post_events(request: web.Request) -> web.StreamResponse:
    """Take events; repeating the request is harmless.

    Raises: InputError, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    body = await read_body(request, edge.limits)
    caller = request[CALLER]
    context = DecodeContext(
        received_ms=edge.clock.now_ms(),
        default_source=caller.source or DEFAULT_SOURCE,
        sources=known_sources(caller, edge.service.sources()),
    )
    content_type = request.headers.get("Content-Type", "")
    decoded = decode(body, content_type, request.headers, context)
    edge.service.left_out.count(
        context.default_source,
        rejected=len(decoded.rejected),
        ignored_fields=decoded.unknown_fields + decoded.secret_fields,
    )
    if not decoded.events and decoded.rejected and decoded.rejected[0].code in _WHOLE_BODY_CODES:
        raise InputError(decoded.rejected[0].detail, code=decoded.rejected[0].code)
    taken = edge.service.ingest(decoded.events, caller.message) if decoded.events else None
    return _answer(decoded, () if taken is None else await taken)


def known_sources(
    caller: Caller, configured: Mapping[str, SourceSettings]
) -> Mapping[str, SourceSettings]:
    """Return the configured sources and the caller's own: a key speaks for no other than its own."""
    if caller.source is None or caller.source in configured:
        return configured
    return {**configured, caller.source: SourceSettings(caller.source)}


def _answer(decoded: Decoded, outcomes: Sequence[str]) -> web.Response:
    assert len(outcomes) == len(decoded.events)
    refused = [
        Rejected(
            index,
            outcome,
            _REFUSALS.get(outcome, f"the event was not taken: {outcome}"),
            f"/{index}" if decoded.is_list else "",
        )
        for index, outcome in zip(decoded.indexes, outcomes, strict=True)
        if outcome not in (ACCEPTED, DUPLICATE)
    ]
    rejected = tuple(sorted((*decoded.rejected, *refused), key=lambda one: one.index))
    answer = IngestAnswer(
        outcomes.count(ACCEPTED), outcomes.count(DUPLICATE), rejected, decoded.warnings
    )
    if rejected and not answer.accepted and not answer.duplicates:
        return _all_rejected(rejected)
    return web.Response(
        status=202, body=msgspec.json.encode(answer), content_type="application/json"
    )


def _all_rejected(rejected: tuple[Rejected, ...]) -> web.Response:
    first = rejected[0]
    more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
    return problem(
        400,
        first.code if len({one.code for one in rejected}) == 1 else "all_rejected",
        f"no event was taken: {first.detail}{more}",
        hint="correct what the pointers lead to; nothing of this request was stored",
        errors=tuple(FieldError(one.pointer, one.code, one.detail) for one in rejected),
    )
