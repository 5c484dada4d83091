"""Where new orders should go: `/v1/route` for shops, `/v1/switches` for people and for the ack."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from monitor.api.audit import entry
from monitor.api.decisions import decision_view
from monitor.api.edge import CALLER, EDGE
from monitor.api.json_body import answer, read_json
from monitor.api.orders import speeds
from monitor.api.pages import page
from monitor.api.query import choice, text
from monitor.core.announce import switch_key
from monitor.core.engine import Engine
from monitor.core.failover.controller import UNROUTED_KINDS
from monitor.core.views import fleet
from monitor.model.errors import InputError, NotFoundError
from monitor.model.ids import ALL_ORDERS, OTHER
from monitor.model.records import SwitchAnswered, SwitchOrdered
from monitor.model.reviews import Subject
from monitor.model.spelling import did_you_mean

REASON_MAX = 500
WEIGHT_MAX = 1_000
CHANNELS_MAX = 200
TIERS = ("normal", "vip")

Reason = Annotated[str, msgspec.Meta(max_length=REASON_MAX)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)]


class SwitchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/switches`; weights are shares, a channel that is not named gets none."""

    weights: Annotated[dict[str, Weight], msgspec.Meta(max_length=CHANNELS_MAX)]
    scope: str = ALL_ORDERS
    reason: Reason = ""
    dry_run: bool = False


class AckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of an acknowledgement, as in the answer to the `channel.switch` webhook."""

    status: Literal["applied", "stale", "refused"]
    applied_epoch: Annotated[int, msgspec.Meta(ge=0)] | None = None


async def get_route(request: web.Request) -> web.StreamResponse:
    """Give the ranked channels from memory; 304 while the caller's ETag is still right.

    There is one scope, so `sku`, `customer_tier` and `speed` only say whether the order is one that
    people check first (`mode` is `review`).

    Raises: InputError.
    """
    edge = request.app[EDGE]
    engine = edge.service.rebuilt()
    wanted = Subject(
        sku=text(request, "sku"),
        customer_tier=choice(request, "customer_tier", TIERS),
        speed=choice(request, "speed", speeds(engine)),
    )
    view = fleet.route(engine, edge.clock.now_ms(), wanted)
    headers = {"ETag": f'"{view.etag}"', "Cache-Control": "no-cache"}
    known = request.if_none_match or ()
    if any(tag.value in (view.etag, "*") for tag in known):
        return web.Response(status=304, headers=headers)
    return answer(view, headers=headers)


async def get_switches(request: web.Request) -> web.StreamResponse:
    """Give the current decision, and the latest ones of this process, also mere advice."""
    edge = request.app[EDGE]
    found = page(request, "switches", edge.decisions.latest_first())
    return answer({"current": fleet.switch(edge.service.rebuilt()), **found})


async def post_switch(request: web.Request) -> web.StreamResponse:
    """Set the weights by hand, or (`dry_run`) say what that would decide.

    Raises: InputError, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    asked = await read_json(request, SwitchRequest)
    check_weights(engine, asked)
    reason = said(asked.reason) or "manual switch"
    ordered = SwitchOrdered(ALL_ORDERS, asked.weights, reason, request[CALLER].name, now_ms)
    if asked.dry_run:
        speed_of = engine.control.speeds(engine.view(now_ms))
        would = engine.control.controller.order(ordered, speed_of, now_ms)
        return answer(decision_view(would, dry_run=True))
    mark = edge.decisions.mark()
    before, after = {"weights": engine.route.weights}, {"weights": ordered.weights}
    audit = entry(request, target=ordered.scope, before=before, after=after, reason=reason)
    await edge.service.instruct(ordered, audit)
    made = [one for one in edge.decisions.since(mark) if one.mode == "manual"]
    # Two people may order in the same instant: ours is the one that gives our weights.
    mine = [one for one in made if _gives(one.weights, asked.weights)]
    return answer(decision_view((mine or made)[-1]))


async def post_ack(request: web.Request) -> web.StreamResponse:
    """Take in what the shop did with the current switch; repeating it is harmless.

    Scope `ingest`: the shop learns the URL from our signed webhook and has an ingest key.

    Raises: InputError, NotFoundError for any decision but the current one.
    """
    edge = request.app[EDGE]
    engine = edge.service.rebuilt()
    said_by_shop = await read_json(request, AckRequest)
    route = engine.route
    if request.match_info["decision_id"] != route.decision_id:
        current = route.decision_id or "none yet"
        raise NotFoundError(
            "this is not the current switch", hint=f"the current one is {current}; read /v1/route"
        )
    status = _status(said_by_shop, route.epoch)
    if route.answer not in ("applied", status):
        answered = SwitchAnswered(
            effect_key=switch_key(route.epoch),
            epoch=route.epoch,
            status=status,
            applied_epoch=said_by_shop.applied_epoch,
            at_ms=edge.clock.now_ms(),
            detail=f"acknowledged by {request[CALLER].name}",
        )
        audit = entry(request, before={"answer": route.answer}, after={"answer": status})
        await edge.service.acknowledge(answered, audit)
    return answer(fleet.switch(engine))


def check_weights(engine: Engine, asked: SwitchRequest) -> None:
    """Refuse scopes and channels that do not exist, and a switch to nothing.

    Raises: InputError.
    """
    if asked.scope != ALL_ORDERS:
        detail = f"the only scope is '{ALL_ORDERS}', every order of the shop"
        raise InputError(detail, code="unknown_scope", pointer="/scope")
    routable = routable_channels(engine)
    for name, weight in asked.weights.items():
        pointer = "/weights/" + name.replace("~", "~0").replace("/", "~1")
        if name not in routable:
            hint = did_you_mean(name, routable) or f"channels are {', '.join(routable)}"
            raise InputError(
                "orders cannot be routed to this channel: it is unknown, or people serve it",
                code="unknown_channel", hint=hint, pointer=pointer,
            )  # fmt: skip
        if weight and name in engine.route.drained:
            detail = "this channel is drained"
            raise InputError(detail, code="conflict", hint="unlock it first", pointer=pointer)
    if not any(asked.weights.values()):
        raise InputError(
            "at least one channel needs a weight: orders are never switched to nothing",
            code="no_weight",
            pointer="/weights",
        )


def routable_channels(engine: Engine) -> list[str]:
    """Channels that can have a share of new orders."""
    unrouted = {one.name for one in engine.settings.channels if one.kind in UNROUTED_KINDS}
    return [name for name in engine.shard.channels if name not in unrouted and name != OTHER]


def said(words: str) -> str:
    """Bring what a person wrote to one printable line."""
    line = " ".join(words.split())
    return "".join(char if char.isprintable() else "?" for char in line)


def _status(said_by_shop: AckRequest, epoch: int) -> str:
    """Judge the shop's words by the epoch it works with, as for an answer to the webhook."""
    if said_by_shop.status == "stale" and said_by_shop.applied_epoch == epoch:
        return "applied"  # a repeat of what it has done, whose first answer got lost
    if said_by_shop.status != "applied" or said_by_shop.applied_epoch == epoch:
        return said_by_shop.status
    if said_by_shop.applied_epoch is None:
        detail = "applied_epoch is missing: name the epoch that is applied now"
        raise InputError(detail, code="missing_field", pointer="/applied_epoch")
    if said_by_shop.applied_epoch > epoch:
        return "stale"
    raise InputError(
        f"epoch {epoch} is not applied yet", code="conflict", hint="apply it, then say so again",
        pointer="/applied_epoch",
    )  # fmt: skip


def _gives(weights: dict[str, int], asked: dict[str, int]) -> bool:
    return all(weights.get(name) == share for name, share in asked.items())
