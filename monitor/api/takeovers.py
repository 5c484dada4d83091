"""Takeover cases: what the fallback executor did, and a person's word where it had to stop."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from monitor.api.audit import entry
from monitor.api.edge import CALLER, EDGE
from monitor.api.json_body import answer, read_json
from monitor.api.pages import cursor_of, limit_of, place_of
from monitor.api.query import choice
from monitor.api.routing import said
from monitor.core.engine import Engine
from monitor.core.takeover import machine
from monitor.core.takeover.queue import CLAIMED, LET_GO, is_held_by_other
from monitor.core.views.orders import takeover_view
from monitor.model.errors import InputError, NotFoundError
from monitor.model.records import CaseResolved
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import MINUTE_MS, format_rfc3339

NOTE_MAX = 1_000
CLAIM_MINUTES_MAX = 24 * 60


class ResolutionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a resolution; `not_delivered` says that an open attempt brought nothing."""

    resolution: Literal["delivered", "refunded", "alternative", "not_delivered"]
    note: Annotated[str, msgspec.Meta(max_length=NOTE_MAX)] = ""


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a cancel; it may be empty."""

    note: Annotated[str, msgspec.Meta(max_length=NOTE_MAX)] = ""


class ClaimRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a claim: for how long, or `release` to give the case back to the queue."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=CLAIM_MINUTES_MAX)] = 30
    release: bool = False
    note: Annotated[str, msgspec.Meta(max_length=NOTE_MAX)] = ""


async def get_takeovers(request: web.Request) -> web.StreamResponse:
    """List cases, the latest first; `state=escalated` is the queue of people. Raises InputError."""
    engine = request.app[EDGE].service.rebuilt()
    limit, after = limit_of(request), place_of(request)
    state = choice(request, "state", tuple(CaseState))
    cases = [case for case in _cases(engine) if state is None or case.state == state]
    placed = sorted(((-case.opened_ms, case.takeover_id), case) for case in cases)
    rest = [one for one in placed if after is None or one[0] > after]
    views = [takeover_view(case) for _, case in rest[:limit]]
    last = rest[limit - 1][0] if len(rest) > limit else None
    return answer({"takeovers": views, "next": cursor_of(last)})


async def get_takeover(request: web.Request) -> web.StreamResponse:
    """Tell everything about one case; raises NotFoundError."""
    engine = request.app[EDGE].service.rebuilt()
    return answer(takeover_view(_case(engine, request.match_info["id"])))


async def post_resolution(request: web.Request) -> web.StreamResponse:
    """Close a case by hand, or let the machine go on where it had to stop.

    Raises: NotFoundError, InputError `conflict` where a person's word cannot be taken.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    case = _case(engine, request.match_info["id"])
    asked = await read_json(request, ResolutionRequest)
    order = CaseResolved(
        case.takeover_id, asked.resolution, request[CALLER].name, now_ms, said(asked.note)
    )
    return await _ordered(request, case, order)


async def post_cancel(request: web.Request) -> web.StreamResponse:
    """Give the order back to its shop, if nothing can have been bought for it.

    Raises: NotFoundError, InputError `conflict` while an attempt is open or its goods are here.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    case = _case(engine, request.match_info["id"])
    asked = await read_json(request, CancelRequest)
    order = CaseResolved(
        case.takeover_id, "cancelled", request[CALLER].name, now_ms, said(asked.note)
    )
    return await _ordered(request, case, order)


async def post_claim(request: web.Request) -> web.StreamResponse:
    """Take an escalated case, so that nobody else decides it meanwhile, or give it back.

    Raises: NotFoundError, InputError `conflict` while somebody else has it.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    case = _case(engine, request.match_info["id"])
    asked = await read_json(request, ClaimRequest)
    order = CaseResolved(
        case.takeover_id, LET_GO if asked.release else CLAIMED, request[CALLER].name, now_ms,
        said(asked.note), None if asked.release else now_ms + asked.minutes * MINUTE_MS,
    )  # fmt: skip
    return await _ordered(request, case, order)


async def _ordered(
    request: web.Request, case: TakeoverCase, order: CaseResolved
) -> web.StreamResponse:
    """Carry out a person's word, with its entry in the audit."""
    edge = request.app[EDGE]
    engine = edge.service.rebuilt()
    expected = _try(engine, case, order, order.at_ms)
    audit = entry(
        request,
        before=_audited(case),
        after=_audited(expected) | {"said": order.resolution},
        reason=order.note,
    )
    await edge.service.instruct(order, audit)
    after = _case(engine, case.takeover_id)
    count = len(case.attempts)
    if _decided(after, count) != _decided(expected, count):
        raise _conflict(after, "it moved on while your word was under way")
    return answer(takeover_view(after))


def _decided(case: TakeoverCase, count: int) -> tuple[str | None, ...]:
    """What a person's word is about; what the machine did next, after `count` attempts, is not."""
    states = (attempt.state for attempt in case.attempts[:count])
    return case.resolution, case.holder, case.first_word_of, *states


def _audited(case: TakeoverCase) -> dict[str, object]:
    words: dict[str, object] = {"state": case.state, "resolution": case.resolution}
    more = {"holder": case.holder, "first_word_of": case.first_word_of}
    return words | {name: value for name, value in more.items() if value is not None}


def _try(engine: Engine, case: TakeoverCase, order: CaseResolved, now_ms: int) -> TakeoverCase:
    """Try the order on the pure machine first: what changes nothing must not look like success."""
    if not machine.may_person_decide(case):
        final = case.resolution is not None
        raise _conflict(case, "it is closed" if final else "it is waiting for an answer")
    tried = machine.on_person(case, order, engine.settings, now_ms, gate=engine.desk).case
    if is_held_by_other(case, order.actor, now_ms):
        until = format_rfc3339(case.held_until_ms)
        raise _conflict(case, f"{case.holder} has it until {until}")
    if tried is case and case.first_word_of == order.actor:
        raise _conflict(case, "another person must say the same: the amount needs two")
    if tried is case and case.state in (CaseState.CLAIMING, CaseState.CLAIMED):
        raise _conflict(case, "it is waiting for an answer")
    if tried is case:
        raise _conflict(case, f"'{order.resolution}' cannot be taken there")
    return tried


def _conflict(case: TakeoverCase, why: str) -> InputError:
    return InputError(
        f"takeover {case.takeover_id} is in state {case.state}: {why}",
        code="conflict",
        hint="see GET /v1/takeovers/{id}",
    )


def _case(engine: Engine, takeover_id: str) -> TakeoverCase:
    case = engine.desk.cases.get(takeover_id)
    if case is None:
        raise NotFoundError("there is no such takeover", hint="see GET /v1/takeovers")
    return case


def _cases(engine: Engine) -> list[TakeoverCase]:
    return list(engine.desk.cases.values())
