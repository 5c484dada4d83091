"""Reads changed orders of WooCommerce over its REST API, for webhooks that never came.

WooCommerce sends each webhook once and switches it off for good after a few failures, so asking is
no luxury. Orders come by the time of their change, oldest first; the next page begins at the last
change seen, because numbered pages shift while orders change. Only where more orders than fit a page
share one second the page is numbered.

Needs WooCommerce 5.8 (`modified_after`) and a key with the right to read.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.api import (
    ReadItem,
    ShopApi,
    WebhookState,
    decode_page,
    log,
    read_items,
)
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.sweep import Sweep
from monitor.adapters.shops.woocommerce_orders import WooOrder, events_of
from monitor.model.endpoints import ApiAccess, ShopSource
from monitor.model.errors import SourceError
from monitor.model.shops import Known, Polled, Precision
from monitor.model.times import SECOND_MS

PAGE = 100  # WooCommerce gives no more
ORDERS, WEBHOOKS = "/wp-json/wc/v3/orders", "/wp-json/wc/v3/webhooks"
# Nested names leave the rest of an order, where plugins keep keys, at the shop.
_FIELDS = (
    "id,status,currency,total,payment_method,billing.email,"
    "date_created_gmt,date_modified_gmt,date_paid_gmt,date_completed_gmt,"
    "line_items.product_id,line_items.sku,line_items.quantity"
)

KNOWN = (
    Known("created", Precision.SECOND, "date_created_gmt"),
    Known("paid", Precision.SECOND, "date_paid_gmt"),
    Known("delivered", Precision.SECOND, "date_completed_gmt: the merchant's word"),
    Known("cancelled", Precision.INFERRED, "date_modified_gmt"),
    Known("refunded", Precision.INFERRED, "date_modified_gmt"),
    Known("failed", Precision.INFERRED, "date_modified_gmt, if it was paid"),
    Known("attempted", Precision.MISSING, "plugins deliver without a trace"),
)

_orders = msgspec.json.Decoder(WooOrder)


class Webhook(msgspec.Struct, frozen=True):
    """One of the shop's webhooks; its secret is not asked for."""

    status: str
    topic: str = ""


class WooCommerceApi:
    """Changed orders, a page at a time; at the end of a sweep also which webhooks are off."""

    def __init__(
        self, source: ShopSource, facts: Facts, client: HttpClient, webhook_state: WebhookState
    ) -> None:
        api = source.api or ApiAccess()
        self._name = source.name
        self._facts = facts
        self._webhook_state = webhook_state
        self._off: tuple[str, ...] = ()
        key, secret = (part.reveal() if part else "" for part in (api.key, api.secret))
        login = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._api = ShopApi(client, source.name, api.url or "", {"Authorization": f"Basic {login}"})

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See `ShopPull`."""
        sweep = Sweep.resume(mark, now_ms)
        after_ms, number = _place(sweep)
        query = (
            ("modified_after", _iso(after_ms)), ("dates_are_gmt", "true"), ("orderby", "modified"),
            ("order", "asc"), ("per_page", str(PAGE)), ("page", str(number)), ("_fields", _FIELDS),
        )  # fmt: skip
        answer = await self._api.get(ORDERS, query, now_ms)
        if answer.status != 200:
            hint = "check `api.url`: it is the address of the shop, without /wp-json"
            raise SourceError(f"{self._name}: the API answers HTTP {answer.status}", hint=hint)
        listed = decode_page(answer.body, list[msgspec.Raw], self._name)
        events, newest_ms = read_items(listed, lambda item: self._read(item, now_ms), self._name)
        is_last = len(listed) < PAGE
        if is_last:
            await self._look_at_webhooks(now_ms)
        cursor = "" if is_last else _next(after_ms, number, newest_ms)
        return Polled(events, sweep.after(cursor, newest_ms).mark, is_last)

    async def close(self) -> None:
        """Nothing is held: the client belongs to the service."""

    def _read(self, item: msgspec.Raw, now_ms: int) -> ReadItem:
        order = _orders.decode(item)
        written = order.date_modified_gmt
        changed = self._facts.when(f"{written}Z" if written else None, now_ms)
        return events_of(order, self._facts, now_ms), changed.time_ms if changed else 0

    async def _look_at_webhooks(self, now_ms: int) -> None:
        """Tell which webhooks are off; a key that may not see them tells nothing."""
        query = (("per_page", str(PAGE)), ("_fields", "status,topic"))
        try:
            answer = await self._api.get(WEBHOOKS, query, now_ms)
        except SourceError:
            return
        if answer.status != 200:
            return
        hooks = decode_page(answer.body, list[Webhook], self._name)
        off = tuple(sorted(f"{one.topic}: {one.status}" for one in hooks if one.status != "active"))
        if off != self._off:
            event = "webhooks_are_off" if off else "webhooks_are_on"
            log.warning(event, extra={"fields": {"source": self._name, "webhooks": off}})
        self._off = off
        self._webhook_state(self._name, off)


def _place(sweep: Sweep) -> tuple[int, int]:
    """From which change on, and which page of what follows."""
    after_ms, _, number = (sweep.cursor or f"{sweep.since_ms} 1").partition(" ")
    return int(after_ms), int(number)


def _next(after_ms: int, number: int, newest_ms: int) -> str:
    """The next page: from a second before the last change on, or one further where that is the same."""
    next_ms = newest_ms - SECOND_MS
    return f"{next_ms} 1" if next_ms > after_ms else f"{after_ms} {number + 1}"


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
