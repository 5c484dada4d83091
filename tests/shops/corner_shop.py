"""A make of shop that nobody has heard of: what an adapter for it comes to, in one file.

With the line `"corner-shop": corner_shop.KIND` in `PULLS` it is a kind of source like any other; with
`"corner-shop": CornerPush` in `PUSHES` it is heard, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from monitor.adapters.shops.database import Database
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.push import Push, SecretForm, decoded
from monitor.adapters.shops.sessions import Row
from monitor.adapters.shops.walk import UNPAID_MS, Rows, Seen, Walk
from monitor.model.endpoints import ShopSource
from monitor.model.errors import AuthError
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Polled, Precision, Pushed, RawRequest

TABLES = {"sales": ("id", "number", "buyer", "made", "paid", "sent", "goods")}
KNOWN = tuple(Known(fact, Precision.SECOND, "sales") for fact in ("created", "paid", "delivered"))


class CornerShop:
    """Reads one of them."""

    walk: type[Walk] = Walk

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        assert source.database is not None
        self._database, self._facts = Database(source.database), facts
        rows = Rows(
            select="SELECT s.* FROM sales s", table="sales s", order_id="s.id", created="s.made",
            state="CASE WHEN s.paid IS NULL THEN 1 WHEN s.sent IS NULL THEN 2 ELSE 3 END",
            owed="s.paid IS NOT NULL AND s.sent IS NULL",
        )  # fmt: skip
        self._walk = self.walk(self._database, rows, facts, self._read)

    async def poll(self, mark: str, now_ms: int) -> Polled:
        return await self._walk.poll(mark, now_ms)

    async def close(self) -> None:
        await self._database.close()

    def _read(self, row: Row, now_ms: int) -> Seen:
        made = self._facts.when(row["made"], now_ms)
        until_ms = 0 if row["sent"] else (now_ms if made is None else made.time_ms) + UNPAID_MS
        return Seen(events_of(self._facts, row, now_ms), until_ms)


class CornerPush(Push):
    """Takes what one of them sends by itself: the row, and a word that both know."""

    KNOWN, PATIENCE_S, SECRET = KNOWN, 0, SecretForm("the drawer below the till")

    def prove(self, request: RawRequest) -> None:
        word = request.header("Authorization").encode()
        known = [one.reveal().encode() for one in self.secrets]
        if not any(hmac.compare_digest(word, one) for one in known):
            raise AuthError("the word is missing or wrong")

    def said(self, request: RawRequest) -> Pushed:
        row = decoded(request.body, dict[str, str | None])
        return Pushed(events_of(self.facts, row, request.received_ms))


def events_of(facts: Facts, row: Mapping[str, Any], now_ms: int) -> tuple[OrderEvent, ...]:
    """What a row says, wherever it comes from."""
    made, paid, sent = (facts.when(row[name], now_ms) for name in ("made", "paid", "sent"))
    events = [
        facts.event(
            EventType.CREATED, row["number"], made, now_ms,
            customer_hash=facts.customer(row["buyer"]),
        )
    ]  # fmt: skip
    if paid is not None:
        events.append(facts.event(EventType.PAID, row["number"], paid, now_ms))
    if sent is not None:
        events.append(facts.delivered(row["number"], sent, now_ms, row["goods"]))
    return tuple(events)


KIND = PullKind(CornerShop, KNOWN, TABLES, orders="sales", created="made")
