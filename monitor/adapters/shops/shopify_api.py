"""Reads changed orders of Shopify over its Admin API, for webhooks that never came.

Shopify deletes a subscription after eight failures in a row and says so by mail only. Orders come by
the time of their change, oldest first; the next page is named by the answer's `Link` header, which
may be repeated with a limit and nothing else. Needs an app with `read_orders`; `api.key` is its token.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.api import (
    ReadItem,
    ShopApi,
    WebhookState,
    decode_page,
    read_items,
)
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.shopify_orders import ShopifyOrder, events_of
from monitor.adapters.shops.sweep import Sweep
from monitor.model.endpoints import ApiAccess, ShopSource
from monitor.model.errors import SourceError
from monitor.model.shops import Known, Polled, Precision
from monitor.model.times import format_rfc3339

# Shopify answers a version it no longer has with the oldest it has.
ORDERS = "/admin/api/2026-07/orders.json"
PAGE = 250
# Of the buyer only the address, which becomes a keyed name; no notes, no properties of a line.
_FIELDS = ",".join(ShopifyOrder.__struct_fields__)
_NEXT = re.compile(r"<([^>]+)>;\s*rel=\"?next\"?")

KNOWN = (
    Known("created", Precision.SECOND, "created_at"),
    Known("paid", Precision.INFERRED, "updated_at as first seen; the webhook orders/paid is exact"),
    Known("delivered", Precision.SECOND, "fulfillments.created_at, the last one"),
    Known("cancelled", Precision.SECOND, "cancelled_at"),
    Known("refunded", Precision.SECOND, "refunds.created_at, the last one"),
    Known("attempted", Precision.MISSING, "apps deliver without a trace"),
)

_orders = msgspec.json.Decoder(ShopifyOrder)


class OrderPage(msgspec.Struct, frozen=True):
    """An answer of the list of orders."""

    orders: list[msgspec.Raw]


class ShopifyApi:
    """Changed orders, a page at a time."""

    def __init__(
        self, source: ShopSource, facts: Facts, client: HttpClient, _: WebhookState
    ) -> None:
        api = source.api or ApiAccess()
        token = api.key.reveal() if api.key else ""
        self._name = source.name
        self._facts = facts
        self._api = ShopApi(client, source.name, api.url or "", {"X-Shopify-Access-Token": token})

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See `ShopPull`."""
        sweep = Sweep.resume(mark, now_ms)
        answer = await self._api.get(ORDERS, _query(sweep), now_ms)
        if answer.status == 400 and sweep.cursor:
            # The name of a page does not live for ever: the sweep begins again.
            return Polled((), sweep.again().mark, is_last=False)
        if answer.status != 200:
            hint = "check `api.url`: https://<shop>.myshopify.com"
            raise SourceError(f"{self._name}: the API answers HTTP {answer.status}", hint=hint)
        listed = decode_page(answer.body, OrderPage, self._name).orders
        events, newest_ms = read_items(listed, lambda item: self._read(item, now_ms), self._name)
        cursor = _next(answer.headers.get("link", ""))
        return Polled(events, sweep.after(cursor, newest_ms).mark, is_last=not cursor)

    async def close(self) -> None:
        """Nothing is held: the client belongs to the service."""

    def _read(self, item: msgspec.Raw, now_ms: int) -> ReadItem:
        order = _orders.decode(item)
        changed = self._facts.when(order.updated_at, now_ms)
        return events_of(order, self._facts, now_ms), changed.time_ms if changed else 0


def _query(sweep: Sweep) -> tuple[tuple[str, str], ...]:
    page = (("limit", str(PAGE)), ("fields", _FIELDS))
    if sweep.cursor:
        return (*page, ("page_info", sweep.cursor))
    since = format_rfc3339(sweep.since_ms)
    return (*page, ("status", "any"), ("order", "updated_at asc"), ("updated_at_min", since))


def _next(link: str) -> str:
    """The name of the next page; empty after the last one. Only the name: the host stays ours."""
    found = _NEXT.search(link)
    return parse_qs(urlsplit(found[1]).query).get("page_info", [""])[0] if found else ""
