"""`POST /v1/events`: decode, hand over, answer only after the events are synced to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import HttpVersion11, web

from monitor.api.body import read_body
from monitor.api.caller import Caller
from monitor.api.decode import DecodeContext, Decoded, Rejected, decode
from monitor.api.edge import CALLER, EDGE, Edge
from monitor.api.fast_answer import ReadyAnswer
from monitor.api.idempotency import HEADER
from monitor.api.problems import FieldError, problem
from monitor.model.errors import InputError
from monitor.model.ids import DEFAULT_SOURCE
from monitor.model.settings import SourceSettings

ACCEPTED, DUPLICATE = "accepted", "duplicate"
ONE_ACCEPTED = b'{"accepted":1,"duplicates":0,"rejected":[],"warnings":[]}'

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
    edge, headers = request.app[EDGE], request.headers
    edge.check_quota(request[CALLER])
    body = await read_body(request, edge.limits)
    return await take_in(request, body, headers.get("Content-Type", ""), headers)


async def take_in(
    request: web.Request,
    body: bytes,
    content_type: str,
    attributes: Mapping[str, str],
    remarks: tuple[str, ...] = (),
) -> web.StreamResponse:
    """Take the events of a plain body; `remarks` are said beside the warnings about them.

    Raises: InputError, CapacityError, StorageError.
    """
    edge, caller = request.app[EDGE], request[CALLER]
    place = edge.flow.enter(body, attributes)
    try:
        await edge.flow.turn(len(body))
        decoded = read_events(edge, caller, content_type, attributes, body)
        if remarks:
            decoded = msgspec.structs.replace(decoded, warnings=(*remarks, *decoded.warnings))
        outcomes: Sequence[str] = ()
        if decoded.events:
            edge.flow.queue(place, len(decoded.events))
            outcomes = await edge.service.ingest(decoded.events, caller.message)
    finally:
        edge.flow.leave(place)
    said = answer_body(decoded, outcomes)
    if said is None:
        return all_rejected(decoded, outcomes)
    if request.keep_alive and request.version == HttpVersion11 and HEADER not in request.headers:
        return ReadyAnswer(202, edge.accepted.answer(said, edge.clock.now_ms()))
    return web.Response(status=202, body=said, content_type="application/json")


def read_events(
    edge: Edge, caller: Caller, content_type: str, headers: Mapping[str, str], body: bytes
) -> Decoded:
    """Decode a plain body, and count what is left out of it.

    `headers` may be a CloudEvent's attributes. Raises: InputError for a body that is refused whole.
    """
    context = context_of(edge, caller)
    decoded = decode(body, content_type, headers, context)
    edge.quotas.spend(caller.source, len(decoded.events), context.received_ms)
    ignored = decoded.unknown_fields + decoded.secret_fields
    if decoded.rejected or ignored:
        edge.service.left_out.count(
            context.default_source, rejected=len(decoded.rejected), ignored_fields=ignored
        )
    if not decoded.events and decoded.rejected and decoded.rejected[0].code in _WHOLE_BODY_CODES:
        raise InputError(decoded.rejected[0].detail, code=decoded.rejected[0].code)
    return decoded


def context_of(edge: Edge, caller: Caller) -> DecodeContext:
    """What there is to know of a request before its body is decoded."""
    return DecodeContext(
        received_ms=edge.clock.now_ms(),
        default_source=caller.source or DEFAULT_SOURCE,
        sources=known_sources(caller, edge.service.sources()),
        channels=edge.service.channels(),
        name_customer=edge.name_customer,
        name_goods=edge.name_goods,
    )


def known_sources(
    caller: Caller, configured: Mapping[str, SourceSettings]
) -> Mapping[str, SourceSettings]:
    """Return the configured sources and the caller's own: a key speaks for no other than its own."""
    if caller.source is None or caller.source in configured:
        return configured
    return {**configured, caller.source: SourceSettings(caller.source)}


def answer_body(decoded: Decoded, outcomes: Sequence[str]) -> bytes | None:
    """Say what became of the events, as the body of a 202; None: of all of them nothing."""
    assert len(outcomes) == len(decoded.events)
    accepted, duplicates = outcomes.count(ACCEPTED), outcomes.count(DUPLICATE)
    rejected = _rejected(decoded, outcomes, accepted + duplicates)
    if rejected and not accepted and not duplicates:
        return None
    if not rejected and not decoded.warnings:  # nearly always
        if accepted == 1 and not duplicates:
            return ONE_ACCEPTED
        return b'{"accepted":%d,"duplicates":%d,"rejected":[],"warnings":[]}' % (
            accepted,
            duplicates,
        )
    return msgspec.json.encode(IngestAnswer(accepted, duplicates, rejected, decoded.warnings))


def all_rejected(decoded: Decoded, outcomes: Sequence[str]) -> web.Response:
    """The problem that says that nothing of a request was taken."""
    rejected = _rejected(decoded, outcomes, 0)
    first = rejected[0]
    more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
    return problem(
        400,
        first.code if len({one.code for one in rejected}) == 1 else "all_rejected",
        f"no event was taken: {first.detail}{more}",
        hint="correct what the pointers lead to; nothing of this request was stored",
        errors=tuple(FieldError(one.pointer, one.code, one.detail) for one in rejected),
    )


def _rejected(decoded: Decoded, outcomes: Sequence[str], taken: int) -> tuple[Rejected, ...]:
    """What was not taken, by its place in the request: when it was decoded, or when it was folded."""
    if taken == len(outcomes):
        return decoded.rejected
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
    return tuple(sorted((*decoded.rejected, *refused), key=lambda one: one.index))
