"""ZFAKA: its table `t_order`, read by ids; there is no index on state or time.

    0 unpaid ── paid ──► 1 paid ── automatic, cards left ─────────► 2 done
      │                    ├─ automatic, too few cards ──► 3 failed ──┤ by a person
      └─ -1 deleted        └─ by hand, or the callback died here ────┘

Times are unix seconds. Of a delivery there is none: an automatic one happens in the callback of the
payment, so its time is that of the payment, unless the order was seen waiting after it. A crash
between 1 and 2 leaves the order at 1 for ever: later callbacks are told that it is done.
Source: application/library/Pay/notify.php, install/ of ZFAKA/ZFAKA 1.x.
"""

from __future__ import annotations

from typing import Any

from monitor.adapters.shops.database import Database
from monitor.adapters.shops.facts import Facts, When
from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.sessions import Row
from monitor.adapters.shops.walk import UNPAID_MS, Rows, Seen, Walk
from monitor.model.endpoints import ShopSource
from monitor.model.errors import SourceError
from monitor.model.events import EventType, OrderEvent
from monitor.model.goods import WITHOUT_GOODS
from monitor.model.shops import Known, Polled, Precision
from monitor.model.times import DAY_MS

DELETED, UNPAID, PAID, DONE, FAILED = -1, 0, 1, 2, 3

OWED_MS = 30 * DAY_MS

_SELECT = """
    SELECT o.id AS id, o.orderid, o.pid, o.number, o.money, o.email, o.status, o.addtime, o.paytime,
           o.paymethod, o.kami, o.isdelete, p.auto, p.stockcontrol
    FROM t_order o LEFT JOIN t_products p ON p.id = o.pid"""
_ROWS = Rows(
    select=_SELECT,
    table="t_order o",
    order_id="o.id",
    state=f"CASE WHEN o.isdelete <> 0 THEN {DELETED} ELSE o.status END",
    created="o.addtime",
    owed=f"o.status IN ({PAID}, {FAILED}) AND o.isdelete = 0",
)

TABLES = {
    "t_order": ("id", "orderid", "pid", "number", "money", "email", "status", "addtime", "paytime",
                "paymethod", "kami", "isdelete"),
    "t_products": ("id", "auto", "stockcontrol"),
}  # fmt: skip
KNOWN = (
    Known("created", Precision.SECOND, "t_order.addtime"),
    Known("paid", Precision.SECOND, "t_order.paytime"),
    Known("delivered", Precision.INFERRED, "t_order.paytime, or when state 2 was first seen"),
    Known("attempted", Precision.INFERRED, "t_order.paytime, when state 3 says too few cards"),
    Known("cancelled", Precision.INFERRED, "when the deletion was first seen"),
    Known("provider", Precision.EXACT, "t_order.paymethod"),
    Known("callback", Precision.MISSING, "a payment of which the shop was never told: relay"),
    Known("refunded", Precision.MISSING, "this shop has no refunds"),
)


class Zfaka:
    """Reads one ZFAKA."""

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        if source.database is None:
            raise SourceError(f"{source.name} has no database", hint="name it as database.url")
        self._database = Database(source.database)
        self._facts = facts
        self._walk = Walk(self._database, _ROWS, facts, self._read)

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        return await self._walk.poll(mark, now_ms)

    async def close(self) -> None:
        """See ShopPull."""
        await self._database.close()

    def _read(self, row: Row, now_ms: int) -> Seen:
        status = DELETED if row["isdelete"] else int(row["status"])
        created = self._facts.when(row["addtime"], now_ms)
        since_ms = now_ms if created is None else created.time_ms
        until_ms, is_urgent = 0, False
        if status == UNPAID:
            until_ms = since_ms + UNPAID_MS
        elif status in (PAID, FAILED):
            until_ms, is_urgent = since_ms + OWED_MS, True
        events = [self._event(EventType.CREATED, row, created, now_ms)]
        paid = self._facts.when(row["paytime"], now_ms)
        if paid is not None:
            events.append(self._event(EventType.PAID, row, paid, now_ms))
        events += self._later(row, status, paid, now_ms)
        return Seen(tuple(events), until_ms, is_urgent)

    def _later(self, row: Row, status: int, paid: When | None, now_ms: int) -> list[OrderEvent]:
        """What became of it, by its state."""
        if status == DONE:
            return [self._delivered(row, paid, now_ms)]
        if status == FAILED:
            when = None if paid is None else When(paid.time_ms, is_inferred=True)
            failed = self._event(EventType.ATTEMPT_FAILED, row, when, now_ms, reason=WITHOUT_GOODS)
            return [failed]
        # An order that was done and is cleared away later was delivered all the same.
        is_dropped = status == DELETED and int(row["status"]) != DONE
        return [self._event(EventType.CANCELLED, row, None, now_ms)] if is_dropped else []

    def _delivered(self, row: Row, paid: When | None, now_ms: int) -> OrderEvent:
        """Handed over by the callback of the payment, or later by a person, which has no time."""
        cards = str(row["kami"] or "").split(",")
        is_matching = not row["stockcontrol"] or len(cards) == row["number"]
        was_waiting = row["seen"] in (str(PAID), str(FAILED))
        if paid is None or was_waiting or not row["auto"] or not is_matching:
            # What a person writes may be the same for many buyers, so it is not looked at.
            return self._event(EventType.DELIVERED, row, None, now_ms)
        return self._facts.delivered(
            row["orderid"], When(paid.time_ms, is_inferred=True), now_ms,
            cards if row["stockcontrol"] else None,  # else one card is sold to everybody
            quantity=row["number"],
        )  # fmt: skip

    def _event(
        self, kind: EventType, row: Row, when: When | None, now_ms: int, **more: Any
    ) -> OrderEvent:
        handling = None if row["auto"] is None else ("auto" if row["auto"] else "manual")
        return self._facts.event(
            kind, row["orderid"], when, now_ms,
            channel=handling, fulfilment=handling, sku=str(row["pid"]), quantity=row["number"],
            amount_minor=self._facts.minor(row["money"]), currency=self._facts.currency,
            provider=row["paymethod"] or None, customer_hash=self._facts.customer(row["email"]),
            **more,
        )  # fmt: skip


KIND = PullKind(
    Zfaka, KNOWN, TABLES, orders="t_order", created="addtime", order_id="id", timezone="UTC"
)
