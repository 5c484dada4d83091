"""Reads Stripe's list of events, for webhooks that never came; it keeps them for 30 days.

The list is newest first and goes backwards by the last id read, so a sweep ends where the overlap
with the one before begins. `api.key` is a restricted key that may read events.
"""

from __future__ import annotations

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
from monitor.adapters.shops.stripe_events import KINDS, StripeEvent, events_of
from monitor.adapters.shops.sweep import Sweep
from monitor.model.endpoints import ApiAccess, ShopSource
from monitor.model.errors import SourceError
from monitor.model.shops import Known, Polled, Precision
from monitor.model.times import SECOND_MS

URL = "https://api.stripe.com"
EVENTS = "/v1/events"
PAGE = 100

KNOWN = (
    Known("paid", Precision.SECOND, "created of the event"),
    Known("expired", Precision.SECOND, "created of the event"),
    Known("refunded", Precision.SECOND, "created of the event"),
    Known("delivered", Precision.MISSING, "Stripe knows money, not goods"),
)

_events = msgspec.json.Decoder(StripeEvent)


class EventPage(msgspec.Struct, frozen=True):
    """An answer of the list of events."""

    data: list[msgspec.Raw]
    has_more: bool = False


class Named(msgspec.Struct, frozen=True):
    """Of an entry its id, with which the next page is asked for."""

    id: str


class StripeApi:
    """Events of the kinds that say something about an order, a page at a time."""

    def __init__(
        self, source: ShopSource, facts: Facts, client: HttpClient, _: WebhookState
    ) -> None:
        api = source.api or ApiAccess()
        key = api.key.reveal() if api.key else ""
        self._name = source.name
        self._facts = facts
        self._api = ShopApi(client, source.name, api.url or URL, {"Authorization": f"Bearer {key}"})

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See `ShopPull`; pages go backwards, each of them is oldest first."""
        sweep = Sweep.resume(mark, now_ms)
        answer = await self._api.get(EVENTS, _query(sweep), now_ms)
        if answer.status == 400 and sweep.cursor:
            # The event that named the page is older than Stripe keeps them: the sweep begins again.
            return Polled((), sweep.again().mark, is_last=False)
        if answer.status != 200:
            raise SourceError(f"{self._name}: the API answers HTTP {answer.status}")
        page = decode_page(answer.body, EventPage, self._name)
        events, newest_ms = read_items(
            reversed(page.data), lambda item: self._read(item, now_ms), self._name
        )
        has_more = page.has_more and bool(page.data)
        cursor = decode_page(page.data[-1], Named, self._name).id if has_more else ""
        return Polled(events, sweep.after(cursor, newest_ms).mark, is_last=not cursor)

    async def close(self) -> None:
        """Nothing is held: the client belongs to the service."""

    def _read(self, item: msgspec.Raw, now_ms: int) -> ReadItem:
        event = _events.decode(item)
        return events_of(event, self._facts, now_ms), event.created * SECOND_MS


def _query(sweep: Sweep) -> tuple[tuple[str, str], ...]:
    query = (("limit", str(PAGE)), ("created[gte]", str(sweep.since_ms // SECOND_MS)))
    kinds = tuple(("types[]", kind) for kind in KINDS)
    return (*query, *kinds, *((("starting_after", sweep.cursor),) if sweep.cursor else ()))
