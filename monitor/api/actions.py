"""Actions of playbooks: what is under way, and a person's word about what waits for one."""

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
from monitor.core.views.playbooks import (
    action_view,
    batches,
    unfinished,
    words_for,
    words_for_batch,
)
from monitor.model.errors import InputError, NotFoundError
from monitor.model.playbooks import Action
from monitor.model.records import ActionOrdered

NOTE_MAX = 1_000
STATES = ("waiting", "sent", "open")


class WordRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a word about an action or a batch; an offer takes one of its choices."""

    decision: Literal["approve", "refuse", "alternative", "refund", "wait", "close"]
    note: Annotated[str, msgspec.Meta(max_length=NOTE_MAX)] = ""


async def get_actions(request: web.Request) -> web.StreamResponse:
    """List what is not finished, the oldest first, and the batches; raises InputError."""
    engine = request.app[EDGE].service.rebuilt()
    state, limit, after = choice(request, "state", STATES), limit_of(request), place_of(request)
    placed = [
        ((one.at_ms, one.action_id), one)
        for one in unfinished(engine)
        if state in (None, one.state)
    ]
    rest = [one for one in placed if after is None or one[0] > after]
    views = [action_view(one) for _, one in rest[:limit]]
    last = rest[limit - 1][0] if len(rest) > limit else None
    return answer({"actions": views, "batches": batches(engine), "next": cursor_of(last)})


async def post_action(request: web.Request) -> web.StreamResponse:
    """Approve or refuse what waits, say what the buyer chose, or close a task.

    Raises: NotFoundError, InputError `conflict` where such a word cannot be taken.
    """
    edge = request.app[EDGE]
    engine, name = edge.service.rebuilt(), request.match_info["id"]
    asked = await read_json(request, WordRequest)
    found = _action(engine, name)
    batch = engine.response.crowds.find(name)
    if found is None and batch is None:
        raise NotFoundError(
            "there is no such action that waits for anything", hint="see GET /v1/actions"
        )
    words = words_for_batch(batch) if batch is not None else words_for(found) if found else ()
    if asked.decision not in words:
        can = f"it takes {', '.join(words)}" if words else "it takes no word now"
        raise InputError(f"'{asked.decision}' cannot be taken: {can}", code="conflict",
                         hint="see GET /v1/actions", pointer="/decision")  # fmt: skip
    word = ActionOrdered(
        action_id=name,
        decision=asked.decision,
        actor=request[CALLER].name,
        at_ms=edge.clock.now_ms(),
        order_id=found.order_id if found is not None else "",
        note=said(asked.note),
    )
    before = {"state": batch.state if batch is not None else found.state if found else ""}
    audit = entry(request, before=before, after={"said": asked.decision}, reason=word.note)
    await edge.service.instruct(word, audit)
    if batch is not None:
        return answer(next(one for one in batches(engine) if one.id == name))
    after = _known(engine, word)
    return answer(action_view(after))


def _action(engine: Engine, action_id: str) -> Action | None:
    return next((one for one in unfinished(engine) if one.action_id == action_id), None)


def _known(engine: Engine, word: ActionOrdered) -> Action:
    actions = engine.shard.orders[word.order_id].actions
    return next(one for one in actions if one.action_id == word.action_id)
