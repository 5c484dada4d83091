"""dujiaoka (独角数卡): its table `orders`, read by ids; there is no index on state or time.

    1 waits for payment ── paid, auto ───► 4 delivered      6 paid, and no cards left
      │                 └─ paid, manual ─► 2 pending ─► 3 in work ─► 4 delivered, 5 failed
      └─ -1 expired ──── paid late ──────► any of these

`updated_at` is the only time beside `created_at`: payment and delivery happened then or before, and
the earliest that was seen stands. Source: app/Models/Order.php, OrderProcessService.php,
database/sql/install.sql of assimon/dujiaoka 2.x.
"""

from __future__ import annotations

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

EXPIRED, UNPAID, PENDING, PROCESSING, COMPLETED, FAILED, ABNORMAL = -1, 1, 2, 3, 4, 5, 6
AUTOMATIC = 1

OWED_MS = 30 * DAY_MS

SELECT = """
    SELECT o.id AS id, o.order_sn, o.goods_id, o.type, o.buy_amount, o.actual_price, o.email,
           o.info, o.trade_no, o.status, o.created_at, o.updated_at, p.pay_check
    FROM orders o LEFT JOIN pays p ON p.id = o.pay_id"""
ROWS = Rows(
    select=SELECT,
    table="orders o",
    order_id="o.id",
    state="o.status",
    created="o.created_at",
    owed=f"o.status IN ({PENDING}, {PROCESSING}, {ABNORMAL})",
)

TABLES = {
    "orders": ("id", "order_sn", "goods_id", "type", "buy_amount", "actual_price", "email", "info",
               "pay_id", "trade_no", "status", "created_at", "updated_at"),
    "pays": ("id", "pay_check"),
}  # fmt: skip
KNOWN = (
    Known("created", Precision.SECOND, "orders.created_at"),
    Known("paid", Precision.INFERRED, "orders.updated_at when the state was first seen paid"),
    Known("delivered", Precision.INFERRED, "orders.updated_at when the state became 4"),
    Known("failed", Precision.INFERRED, "orders.updated_at when the state became 5 or 6"),
    Known("expired", Precision.INFERRED, "orders.updated_at when the state became -1"),
    Known("provider", Precision.EXACT, "pays.pay_check"),
    Known("callback", Precision.MISSING, "a payment of which the shop was never told: relay"),
    Known("refunded", Precision.MISSING, "this shop has no refunds"),
)


class Dujiaoka:
    """Reads one dujiaoka."""

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        if source.database is None:
            raise SourceError(f"{source.name} has no database", hint="name it as database.url")
        self._database = Database(source.database)
        self._facts = facts
        self._walk = Walk(self._database, ROWS, facts, self._read)

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        return await self._walk.poll(mark, now_ms)

    async def close(self) -> None:
        """See ShopPull."""
        await self._database.close()

    def _read(self, row: Row, now_ms: int) -> Seen:
        status = int(row["status"])
        created = self._facts.when(row["created_at"], now_ms)
        since_ms = now_ms if created is None else created.time_ms
        until_ms, is_urgent = 0, False
        if status in (UNPAID, EXPIRED):
            until_ms = since_ms + UNPAID_MS
        elif status not in (COMPLETED, FAILED):
            until_ms, is_urgent = since_ms + OWED_MS, True
        events = (self._created(row, created, now_ms), *self._later(row, status, now_ms))
        return Seen(events, until_ms, is_urgent)

    def _created(self, row: Row, created: When | None, now_ms: int) -> OrderEvent:
        is_automatic = row["type"] == AUTOMATIC
        return self._facts.event(
            EventType.CREATED, row["order_sn"], created, now_ms,
            channel="auto" if is_automatic else "manual",
            fulfilment="auto" if is_automatic else "manual",
            sku=str(row["goods_id"]), quantity=row["buy_amount"],
            amount_minor=self._facts.minor(row["actual_price"]), currency=self._facts.currency,
            provider=row["pay_check"], customer_hash=self._facts.customer(row["email"]),
        )  # fmt: skip

    def _later(self, row: Row, status: int, now_ms: int) -> list[OrderEvent]:
        """What happened since it was made, by its state."""
        order, changed = row["order_sn"], self._changed(row, now_ms)
        if status == EXPIRED:
            return [self._facts.event(EventType.EXPIRED, order, changed, now_ms)]
        if status == UNPAID:
            return []
        # A person may set an order that nobody paid to failed: then the gateway's number is missing.
        is_paid = status != FAILED or bool(row["trade_no"])
        events = [self._facts.event(EventType.PAID, order, changed, now_ms)] if is_paid else []
        if status == COMPLETED:
            # What a buyer wrote into a form stands where the goods of an automatic order do.
            goods = row["info"] if row["type"] == AUTOMATIC else None
            events.append(
                self._facts.delivered(order, changed, now_ms, goods, quantity=row["buy_amount"])
            )
        elif status == ABNORMAL:
            events.append(
                self._facts.event(
                    EventType.ATTEMPT_FAILED, order, changed, now_ms, reason=WITHOUT_GOODS
                )
            )
        elif status == FAILED:
            events.append(self._facts.event(EventType.FAILED, order, changed, now_ms))
        return events

    def _changed(self, row: Row, now_ms: int) -> When | None:
        """When the row was changed last: what its state says happened then or before."""
        when = self._facts.when(row["updated_at"] or row["created_at"], now_ms)
        return None if when is None else When(when.time_ms, when.is_inferred, is_bound=True)


# Cards that are sold again and again (`is_loop`) never get fewer.
_STOCK = """
    SELECT goods_id AS sku, COUNT(*) AS unsold FROM carmis
    WHERE status = 1 AND is_loop = 0 AND deleted_at IS NULL GROUP BY goods_id"""

KIND = PullKind(Dujiaoka, KNOWN, TABLES, orders="orders", created="created_at", stock=_STOCK)
