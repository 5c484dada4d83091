"""What a buyer or a shopkeeper asks about orders: one, many, and what to expect before buying."""

from __future__ import annotations

from aiohttp import web

from monitor.api.edge import EDGE
from monitor.api.json_body import answer
from monitor.api.pages import cursor_of, limit_of, place_of
from monitor.api.query import choice, text
from monitor.core.engine import Engine
from monitor.core.views.orders import order_details, order_page, quote_for
from monitor.model.errors import NotFoundError

STATES = ("open", "late", "at_risk", "delivered", "failed", "all")
SPEEDS = ("express", "normal", "economy")


async def get_order(request: web.Request) -> web.StreamResponse:
    """Tell everything about one order, also when it has left memory.

    Raises: NotFoundError, StorageError.
    """
    edge = request.app[EDGE]
    order = await edge.service.find_order(request.match_info["id"])
    if order is None:
        raise NotFoundError(
            "there is no such order", hint="no event ever named it, or it is past its retention"
        )
    return answer(order_details(edge.service.rebuilt(), order, edge.clock.now_ms()))


async def get_orders(request: web.Request) -> web.StreamResponse:
    """List paid orders in memory by state: waiting ones by deadline, others latest first.

    Raises: InputError.
    """
    edge = request.app[EDGE]
    page = order_page(
        edge.service.rebuilt(),
        edge.clock.now_ms(),
        wanted=choice(request, "state", STATES) or "all",
        channel=text(request, "channel"),
        sku=text(request, "sku"),
        after=place_of(request),
        limit=limit_of(request),
    )
    return answer({"orders": page.lines, "next": cursor_of(page.last)})


async def get_quote(request: web.Request) -> web.StreamResponse:
    """Say how long a delivery would take if it were bought now.

    Raises: InputError.
    """
    edge = request.app[EDGE]
    engine = edge.service.rebuilt()
    found = quote_for(
        engine,
        edge.clock.now_ms(),
        sku=text(request, "sku"),
        speed=choice(request, "speed", speeds(engine)),
        channel=text(request, "channel"),
    )
    return answer(found)


def speeds(engine: Engine) -> list[str]:
    """The speeds an order can have: the usual ones and those a promise is configured for."""
    return list(dict.fromkeys([*SPEEDS, *engine.settings.promise.by_speed]))
