"""Manual review: a person has the new orders of a scope checked by people, or ends that."""

from __future__ import annotations

import msgspec
from aiohttp import web

from monitor.api.audit import entry
from monitor.api.edge import CALLER, EDGE
from monitor.api.json_body import answer, read_json
from monitor.api.routing import Reason, said
from monitor.core.engine import Engine
from monitor.core.failover.reviews import SCOPES_MAX
from monitor.core.views import fleet
from monitor.model.errors import InputError
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import ReviewOrdered
from monitor.model.reviews import check_scope
from monitor.model.times import DAY_MS, HOUR_MS, from_datetime, parse_rfc3339

REVIEW_MS = 4 * HOUR_MS  # where nobody says until when: an override that is forgotten ends
REVIEW_MAX_MS = 30 * DAY_MS


class ReviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/review`; `until` is a time with its zone, by default four hours from now."""

    on: bool
    scope: str = ALL_ORDERS
    until: str | None = None
    reason: Reason = ""


async def get_reviews(request: web.Request) -> web.StreamResponse:
    """List the reviews that stand, of people and of firing rules."""
    edge = request.app[EDGE]
    return answer({"reviews": fleet.reviews(edge.service.rebuilt(), edge.clock.now_ms())})


async def post_review(request: web.Request) -> web.StreamResponse:
    """Switch manual review of a scope on or off; new orders of it are then routed to people.

    Raises: InputError, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    asked = await read_json(request, ReviewRequest)
    check_scope(asked.scope)
    _check_room(engine, asked, now_ms)
    ordered = ReviewOrdered(
        scope=asked.scope,
        is_on=asked.on,
        actor=request[CALLER].name,
        at_ms=now_ms,
        until_ms=_until_ms(asked, now_ms) if asked.on else None,
        reason=said(asked.reason),
    )
    before = {"reviews": fleet.reviews(engine, now_ms)}
    after = {"on": asked.on, "until_ms": ordered.until_ms}
    audit = entry(request, target=asked.scope, before=before, after=after, reason=ordered.reason)
    await edge.service.instruct(ordered, audit)
    return answer({"reviews": fleet.reviews(engine, now_ms)})


def _check_room(engine: Engine, asked: ReviewRequest, now_ms: int) -> None:
    """Refuse to end what a person did not begin, and more scopes than anybody can keep in mind."""
    standing = [one.scope for one in engine.control.reviews.standing(now_ms)]
    if not asked.on and asked.scope not in standing:
        raise InputError(
            "nobody ordered a review of this scope; a rule's ends with its alert",
            code="conflict", hint="see GET /v1/review", pointer="/scope",
        )  # fmt: skip
    if asked.on and asked.scope not in standing and len(standing) >= SCOPES_MAX:
        detail = f"{SCOPES_MAX} scopes are under review already"
        raise InputError(detail, code="conflict", hint="end one of them first")


def _until_ms(asked: ReviewRequest, now_ms: int) -> int:
    if asked.until is None:
        return now_ms + REVIEW_MS
    try:
        moment = parse_rfc3339(asked.until)
        until_ms = from_datetime(moment) if moment.tzinfo is not None else 0
    except (ValueError, OverflowError):
        until_ms = 0
    if not now_ms < until_ms <= now_ms + REVIEW_MAX_MS:
        raise InputError(
            "until must be a time with its zone, in the next 30 days",
            code="bad_field", hint="for example 2026-01-05T18:00:00+08:00", pointer="/until",
        )  # fmt: skip
    return until_ms
