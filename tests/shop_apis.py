"""APIs of shops on a loopback port that page, filter and refuse as their documentation says.

Each holds entries by the time of their change; a test changes them between two pages.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

KEY, SECRET_KEY = "ck_reader", "cs_reader_secret"
SECRET = "LICENSE-9F2C-PLANTED"
START_S = 1_790_000_000


def iso(time_s: int) -> str:
    """A time as the documents write it, without a zone."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def pick(entry: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Of an entry the named fields; `a.b` picks in an object or in each of a list."""
    found: dict[str, Any] = {}
    for name in names:
        outer, _, inner = name.partition(".")
        if outer not in entry:
            continue
        value = entry[outer]
        if not inner:
            found[outer] = value
        elif isinstance(value, list):
            parts = found.setdefault(outer, [{} for _ in value])
            for part, whole in zip(parts, value, strict=True):
                part.update(pick(whole, [inner]))
        else:
            found.setdefault(outer, {}).update(pick(value, [inner]))
    return found


class FakeApi:
    """What the three have in common: a port, a list of requests, a refusal that can be ordered."""

    def __init__(self) -> None:
        self.base = ""
        self.asked: list[web.BaseRequest] = []
        self.entries: dict[Any, dict[str, Any]] = {}
        self.refusal: web.Response | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Note the request and answer it."""
        self.asked.append(request)
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            return refusal
        if not self.is_known(request):
            return web.json_response({"message": "unknown key"}, status=401)
        return self.answer(request)

    def is_known(self, request: web.BaseRequest) -> bool:
        """Whether the right key is shown."""
        raise AssertionError(request)

    def answer(self, request: web.BaseRequest) -> web.Response:
        """The page that is asked for."""
        raise AssertionError(request)

    def put(self, number: int, time_s: int, state: str) -> None:
        """Make or change an entry: `created`, `paid` or `delivered` at a time."""
        raise AssertionError(number, time_s, state)


class FakeWooCommerce(FakeApi):
    """`modified_after` is strict; numbered pages shift while orders change; at most 100 a page."""

    def __init__(self) -> None:
        super().__init__()
        self.webhooks = [{"id": 1, "topic": "order.updated", "status": "active", "secret": SECRET}]

    def is_known(self, request: web.BaseRequest) -> bool:
        """Basic credentials."""
        wanted = base64.b64encode(f"{KEY}:{SECRET_KEY}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"

    def answer(self, request: web.BaseRequest) -> web.Response:
        """Orders, webhooks, or the 404 of a route that is not there."""
        query = request.query
        names = query["_fields"].split(",")
        if request.path == "/wp-json/wc/v3/webhooks":
            return web.json_response([pick(one, names) for one in self.webhooks])
        if request.path != "/wp-json/wc/v3/orders":
            return web.json_response({"code": "rest_no_route"}, status=404)
        assert (query["dates_are_gmt"], query["orderby"], query["order"]) == (
            "true", "modified", "asc",
        )  # fmt: skip
        later = sorted(
            (
                one
                for one in self.entries.values()
                if one["date_modified_gmt"] > query["modified_after"]
            ),
            key=lambda one: (one["date_modified_gmt"], one["id"]),
        )
        size = int(query["per_page"])
        assert size <= 100
        begin = (int(query["page"]) - 1) * size
        return web.json_response([pick(one, names) for one in later[begin : begin + size]])

    def put(self, number: int, time_s: int, state: str) -> None:
        """See FakeApi."""
        order = self.entries.setdefault(
            number,
            {
                "id": number, "status": "pending", "currency": "EUR", "total": "19.90",
                "date_created_gmt": iso(time_s), "date_paid_gmt": None,
                "date_completed_gmt": None, "payment_method": "stripe",
                "billing": {"email": "buyer@example.com", "phone": "1"},
                "meta_data": [{"key": "_license_key", "value": SECRET}],
                "line_items": [{"product_id": 7, "sku": "K", "quantity": 1, "meta": SECRET}],
            },
        )  # fmt: skip
        order["date_modified_gmt"] = iso(time_s)
        if state == "paid":
            order |= {"status": "processing", "date_paid_gmt": iso(time_s)}
        if state == "delivered":
            order |= {"status": "completed", "date_completed_gmt": iso(time_s)}


class FakeShopify(FakeApi):
    """Pages are named by `Link`; a name goes with a limit and fields and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, tuple[str, int]] = {}

    def is_known(self, request: web.BaseRequest) -> bool:
        """The token of an app."""
        return request.headers.get("X-Shopify-Access-Token") == KEY

    def forget_pages(self) -> None:
        """Names of pages do not live for ever."""
        self._pages.clear()

    def answer(self, request: web.BaseRequest) -> web.Response:
        """Orders by the time of their change, from the place that a name stands for."""
        query = dict(request.query)
        size = int(query.pop("limit"))
        names = query.pop("fields").split(",")
        assert size <= 250
        if "page_info" in query:
            if len(query) > 1 or query["page_info"] not in self._pages:
                return web.json_response({"errors": "Invalid page_info"}, status=400)
            since, last = self._pages[query["page_info"]]
        else:
            assert (query["status"], query["order"]) == ("any", "updated_at asc")
            since, last = query["updated_at_min"].replace(".000", ""), 0
        ordered = sorted(self.entries.values(), key=lambda one: (one["updated_at"], one["id"]))
        later = [one for one in ordered if (one["updated_at"], one["id"]) > (since, last)]
        headers = {}
        if len(later) > size:
            name = f"p{len(self._pages)}"
            self._pages[name] = (later[size - 1]["updated_at"], later[size - 1]["id"])
            url = f"https://elsewhere.example{request.path}?limit={size}&page_info={name}"
            headers["Link"] = f'<{url}x>; rel="previous", <{url}>; rel="next"'
        body = {"orders": [pick(one, names) for one in later[:size]]}
        return web.json_response(body, headers=headers)

    def put(self, number: int, time_s: int, state: str) -> None:
        """See FakeApi."""
        at = f"{iso(time_s)}Z"
        order = self.entries.setdefault(
            number,
            {
                "id": number, "created_at": at, "currency": "EUR", "total_price": "19.90",
                "financial_status": "pending", "fulfillment_status": None, "fulfillments": [],
                "payment_gateway_names": ["visa"], "email": "buyer@example.com",
                "note": SECRET, "note_attributes": [{"name": "key", "value": SECRET}],
                "line_items": [{"sku": "K", "quantity": 1, "properties": [{"value": SECRET}]}],
            },
        )  # fmt: skip
        order["updated_at"] = at
        if state == "paid":
            order["financial_status"] = "paid"
        if state == "delivered":
            order["fulfillment_status"] = "fulfilled"
            order["fulfillments"] = [{"status": "success", "created_at": at, "receipt": SECRET}]


class FakeStripe(FakeApi):
    """Events newest first; `starting_after` goes back from an id; at most 100 a page."""

    def is_known(self, request: web.BaseRequest) -> bool:
        """A bearer key."""
        return request.headers.get("Authorization") == f"Bearer {KEY}"

    def answer(self, request: web.BaseRequest) -> web.Response:
        """Events of the kinds and the time asked for."""
        query = request.query
        kinds, size = query.getall("types[]"), int(query["limit"])
        assert size <= 100
        assert len(kinds) <= 20
        found = [
            one
            for one in reversed(self.entries.values())
            if one["created"] >= int(query["created[gte]"]) and one["type"] in kinds
        ]
        if "starting_after" in query:
            ids = [one["id"] for one in found]
            if query["starting_after"] not in ids:
                return web.json_response({"error": {"code": "resource_missing"}}, status=400)
            found = found[ids.index(query["starting_after"]) + 1 :]
        page = {"object": "list", "data": found[:size], "has_more": len(found) > size}
        return web.json_response(page)

    def put(self, number: int, time_s: int, state: str) -> None:
        """See FakeApi; a delivery is none of Stripe's business."""
        kind = {"paid": "payment_intent.succeeded", "created": "checkout.session.completed"}
        name = f"evt_{number}_{state}"
        self.entries[name] = {
            "id": name, "type": kind.get(state, "customer.created"), "created": time_s,
            "data": {"object": {
                "metadata": {"order_id": str(number)}, "amount": 1_990, "currency": "eur",
                "payment_status": "unpaid", "client_secret": SECRET, "description": SECRET,
            }},
        }  # fmt: skip


@asynccontextmanager
async def served(api: FakeApi) -> AsyncIterator[str]:
    """Run it; yields `host:port`."""
    runner = web.ServerRunner(web.Server(api.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = f"127.0.0.1:{runner.addresses[0][1]}"
    api.base = f"http://{place}"
    try:
        yield place
    finally:
        await runner.cleanup()


def page_for_people() -> web.Response:
    """What a shop under maintenance says."""
    return web.Response(text=f"<html>{json.dumps(SECRET)}</html>", content_type="text/html")
