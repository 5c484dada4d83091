"""The audit: every change leaves an entry, as durable as the change; `GET /v1/audit` reads it.

A handler that changes something hands its entry over together with the order: both are lines of one
segment of the log. A route that changes something has a name for it in `Route.action`; a caller who
had the right and was refused for another reason leaves an entry too, with the code as outcome. Who
has not the right leaves none: strangers must not be able to fill what is never deleted.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec
from aiohttp import web

from monitor.api.caller import ADMIN, OPERATE
from monitor.api.decode_types import printable
from monitor.api.edge import CALLER, CHANGE, EDGE, Change, Edge
from monitor.api.json_body import answer
from monitor.api.pages import cursor_of, limit_of, place_of
from monitor.model.errors import CapacityError, InvariantError, MonitorError, StorageError
from monitor.model.ids import derived_id
from monitor.model.notes import Audited
from monitor.model.times import format_rfc3339
from monitor.ports import StoredAudit

REQUEST_ID = "X-Request-Id"
REQUEST_ID_MAX = 128

_decoder = msgspec.json.Decoder(Audited)


class AuditView(msgspec.Struct, frozen=True):
    """One entry as it is answered; `key_id` is null for the admin token."""

    id: str
    at: str
    actor: str
    key_id: str | None
    scope: str
    action: str
    target: str
    before: msgspec.Raw
    after: msgspec.Raw
    reason: str
    outcome: str
    request_id: str


async def get_audit(request: web.Request) -> web.StreamResponse:
    """List entries, the newest first; raises InputError, StorageError."""
    limit, place = limit_of(request), place_of(request)
    before = None if place is None else place[0]
    found = await request.app[EDGE].service.audits(before, limit + 1)
    shown = found[:limit]
    following = (shown[-1].place, "") if len(found) > limit else None
    return answer({"entries": [_view(one) for one in shown], "next": cursor_of(following)})


def change_of(request: web.Request, edge: Edge, action: str, scope: str) -> Change:
    """Name a change before it is made; the sender may name its request itself."""
    given = request.headers.get(REQUEST_ID, "")
    is_usable = 0 < len(given) <= REQUEST_ID_MAX and given.isascii() and given.isprintable()
    name = edge.next_name()
    return Change(action, scope, given if is_usable else derived_id("req", name), name)


def entry(
    request: web.Request,
    *,
    target: str = "",
    before: object = None,
    after: object = None,
    reason: str = "",
    outcome: str = "done",
) -> Audited:
    """Write down what this request changes; for `Service.instruct` and its like."""
    change, caller = request[CHANGE], request[CALLER]
    return Audited(
        audit_id=derived_id("aud", change.name),
        at_ms=request.app[EDGE].clock.now_ms(),
        actor=caller.name,
        scope=change.scope,
        action=change.action,
        target=target or _target(request),
        key_id=caller.key_id,
        before=msgspec.Raw(msgspec.json.encode(before)),
        after=msgspec.Raw(msgspec.json.encode(after)),
        reason=reason,
        outcome=outcome,
        request_id=change.request_id,
    )


def entry_of_signal(edge: Edge, action: str, after: object) -> Audited:
    """Write down what a signal to the process changed; who may send one is the system's business."""
    name = edge.next_name()
    return Audited(
        audit_id=derived_id("aud", name),
        at_ms=edge.clock.now_ms(),
        actor="signal",
        scope=ADMIN,
        action=action,
        after=msgspec.Raw(msgspec.json.encode(after)),
        request_id=derived_id("req", name),
    )


async def note_refusal(request: web.Request, error: MonitorError) -> None:
    """Note that a caller with the right was refused; what is wrong with us is no refusal.

    Where the note cannot be written the caller gets the refusal all the same.
    """
    if isinstance(error, (StorageError, InvariantError)):
        return
    if request[CHANGE].scope in (OPERATE, ADMIN):
        with suppress(StorageError, CapacityError):
            await request.app[EDGE].service.note(entry(request, outcome=error.code))


def _target(request: web.Request) -> str:
    return printable(next(iter(request.match_info.values()), ""))


def _view(stored: StoredAudit) -> AuditView:
    found = _decoder.decode(stored.body)
    return AuditView(
        id=found.audit_id,
        at=format_rfc3339(found.at_ms),
        actor=found.actor,
        key_id=found.key_id or None,
        scope=found.scope,
        action=found.action,
        target=found.target,
        before=found.before,
        after=found.after,
        reason=found.reason,
        outcome=found.outcome,
        request_id=found.request_id,
    )
