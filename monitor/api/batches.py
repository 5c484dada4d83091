"""Many late orders at once: see whom it touches, apply it, read what became of each, take it back."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web

from monitor.api.audit import entry
from monitor.api.edge import CALLER, CHANGE, EDGE
from monitor.api.json_body import answer, read_json
from monitor.api.pages import cursor_of, limit_of, place_of
from monitor.api.routing import Reason, said
from monitor.core.batches import WAITING_MAX
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.core.views.batches import BatchView, Preview, batch_view, preview
from monitor.model.batches import (
    IRREVERSIBLE,
    Batch,
    BatchAction,
    BatchCancelled,
    BatchOrdered,
)
from monitor.model.errors import InputError, NotFoundError
from monitor.model.ids import derived_id
from monitor.model.times import HOUR_MS, SECOND_MS, parse_duration

UNDO_MS = 30 * SECOND_MS  # how long what cannot be undone waits for second thoughts
UNDO_MAX_MS = HOUR_MS

Name = Annotated[str, msgspec.Meta(max_length=200)]
Duration = Annotated[str, msgspec.Meta(max_length=20)]


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/batches`; without `apply` it only says whom it would touch.

    `selection` is that of a preview: if other orders are late by now, nothing is done. `undo` is how
    long the batch waits before it begins.
    """

    action: Literal["retry", "takeover", "refund", "notify"]
    state: Literal["late", "open", "at_risk"] = "late"
    channel: Name | None = None
    sku: Name | None = None
    older_than: Duration = "0s"
    apply: bool = False
    selection: Name | None = None
    undo: Duration | None = None
    reason: Reason = ""


async def post_batch(request: web.Request) -> web.StreamResponse:
    """Preview a batch, or carry it out.

    Raises: InputError; `conflict` when the selection has changed, `not_configured` when the shop or
    a channel that it needs is not in the configuration; CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    asked = await read_json(request, BatchRequest)
    _check_means(engine, asked.action)
    shown = preview(
        engine, now_ms, action=asked.action, state=asked.state, channel=asked.channel,
        sku=asked.sku, older_ms=_duration_ms(asked.older_than, "older_than"),
    )  # fmt: skip
    if not asked.apply:
        return answer({"id": None, "preview": shown})
    _check_selection(asked, shown)
    _check_room(engine)
    ordered = BatchOrdered(
        batch_id=derived_id("bat", request[CHANGE].name),
        action=asked.action,
        orders=tuple(order.order_id for order in shown.orders),
        actor=request[CALLER].name,
        at_ms=now_ms,
        starts_ms=now_ms + _undo_ms(asked),
        reason=said(asked.reason),
    )
    after = {
        "action": asked.action, "orders": shown.count, "amount_minor": shown.amount_minor,
        "selection": shown.selection,
    }  # fmt: skip
    audit = entry(request, target=ordered.batch_id, after=after, reason=ordered.reason)
    await edge.service.instruct(ordered, audit)
    return answer(await _view(request, _batch(engine, ordered.batch_id)), status=201)


async def get_batches(request: web.Request) -> web.StreamResponse:
    """List batches, the latest first, without their items."""
    engine = request.app[EDGE].service.rebuilt()
    found = [
        msgspec.structs.replace(await _view(request, batch), items=[])
        for batch in reversed(engine.batches.by_id.values())
    ]
    return answer({"batches": found})


async def get_batch(request: web.Request) -> web.StreamResponse:
    """Tell what became of each order of a batch; raises NotFoundError, InputError, StorageError."""
    engine = request.app[EDGE].service.rebuilt()
    limit, place = limit_of(request), place_of(request)
    offset = 0 if place is None else place[0]
    view = await _view(request, _batch(engine, request.match_info["id"]), limit, offset)
    end = offset + len(view.items)
    following = (end, "") if end < view.orders else None
    return answer(msgspec.structs.asdict(view) | {"next": cursor_of(following)})


async def post_cancel(request: web.Request) -> web.StreamResponse:
    """Take a batch back that has not begun; raises NotFoundError, InputError `conflict`."""
    edge = request.app[EDGE]
    engine = edge.service.rebuilt()
    batch = _batch(engine, request.match_info["id"])
    if not batch.is_waiting:
        detail = "it has begun, and what it does cannot be taken back"
        if batch.cancelled_ms is not None:
            detail = "it was taken back already"
        raise InputError(detail, code="conflict", hint="see GET /v1/batches/{id}")
    cancelled = BatchCancelled(batch.ordered.batch_id, request[CALLER].name, edge.clock.now_ms())
    audit = entry(request, before={"state": "waiting"}, after={"state": "cancelled"})
    await edge.service.instruct(cancelled, audit)
    return answer(await _view(request, _batch(engine, batch.ordered.batch_id)))


def _check_means(engine: Engine, action: str) -> None:
    """Refuse an action for which the configuration names no way.

    Raises: InputError `not_configured`.
    """
    settings = engine.settings
    lacking = ""
    match action:
        case BatchAction.NOTIFY | BatchAction.REFUND:
            lacking = "" if action in settings.shop_takes else f"shop.{action}_url"
        case BatchAction.RETRY:
            kinds = {one.kind for one in settings.channels}
            lacking = "" if "shop_retry" in kinds else "a channel of kind shop_retry"
        case _:
            lacking = "" if settings.fallback.order else "fallback.order"
    if not lacking and action in (BatchAction.TAKEOVER, BatchAction.RETRY):
        lacking = "" if settings.fallback.has_shop else "shop.claim_url"
    if lacking:
        raise InputError(
            f"nothing could be done: {lacking} is not configured",
            code="not_configured", hint="see docs/configuration.md", pointer="/action",
        )  # fmt: skip


def _check_selection(asked: BatchRequest, shown: Preview) -> None:
    if not shown.orders:
        raise InputError("there are no such orders", code="conflict", hint="see /v1/orders")
    if asked.selection is not None and asked.selection != shown.selection:
        raise InputError(
            "other orders are late now than in the preview", code="conflict",
            hint="look at a new preview", pointer="/selection",
        )  # fmt: skip


def _check_room(engine: Engine) -> None:
    if sum(batch.is_waiting for batch in engine.batches.by_id.values()) >= WAITING_MAX:
        raise InputError(
            f"{WAITING_MAX} batches wait to begin already", code="conflict",
            hint="take one of them back, or wait until they have begun",
        )  # fmt: skip


def _undo_ms(asked: BatchRequest) -> int:
    if asked.undo is None:
        return UNDO_MS if asked.action in IRREVERSIBLE else 0
    found_ms = _duration_ms(asked.undo, "undo")
    if found_ms > UNDO_MAX_MS:
        raise InputError("undo must be at most 1h", code="bad_field", pointer="/undo")
    return found_ms


def _duration_ms(words: str, field: str) -> int:
    try:
        return parse_duration(words)
    except (ValueError, OverflowError):
        raise InputError(
            f"{field} must be a duration such as 30s, 10m or 2h", code="bad_field",
            pointer=f"/{field}",
        ) from None  # fmt: skip


async def _view(request: web.Request, batch: Batch, limit: int = 0, offset: int = 0) -> BatchView:
    """The batch with its orders, from memory or, where they have left it, from the store."""
    service = request.app[EDGE].service
    known = service.rebuilt().shard.orders
    orders: list[Order] = []
    for order_id in batch.ordered.orders if batch.begun_ms is not None else ():
        order = known.get(order_id) or await service.find_order(order_id)
        if order is not None:
            orders.append(order)
    return batch_view(batch, orders, limit, offset)


def _batch(engine: Engine, batch_id: str) -> Batch:
    batch = engine.batches.by_id.get(batch_id)
    if batch is None:
        raise NotFoundError("there is no such batch", hint="see GET /v1/batches")
    return batch
