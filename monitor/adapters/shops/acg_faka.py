"""acg-faka (异次元发卡): its table `order`, read by ids.

    status 0 ── paid ──► status 1, delivery_status 1    cards were taken from the pool, or bought upstream
                    └──► status 1, delivery_status 0    a person delivers: delivery_status 1 later

`delivery_status` 1 is not believed: when the cards are gone the shop writes an apology where they
belong and says delivered. An order from the pool is delivered when as many rows of `card` belong to
it as were bought. Source: app/Service/Bind/Order.php (orderSuccess, pullCardForLocal) and
kernel/Install/Install.sql of lizhipay/acg-faka 3.6.
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

MANUAL = 1  # commodity.delivery_way
PREFIX = "acg_"

OWED_MS = 30 * DAY_MS

TABLES = {
    "order": ("id", "trade_no", "amount", "commodity_id", "card_num", "pay_id", "create_time",
              "pay_time", "status", "delivery_status", "secret", "contact"),
    "card": ("order_id",),
    "commodity": ("id", "delivery_way", "shared_id"),
    "pay": ("id", "handle"),
}  # fmt: skip
KNOWN = (
    Known("created", Precision.SECOND, "order.create_time"),
    Known("paid", Precision.SECOND, "order.pay_time"),
    Known("delivered", Precision.SECOND, "order.pay_time: cards are handed over with the payment"),
    Known("delivered by hand", Precision.INFERRED, "when it was seen first"),
    Known("verified", Precision.EXACT, "as many rows of card as were bought"),
    Known("provider", Precision.EXACT, "pay.handle"),
    Known("callback", Precision.MISSING, "a payment of which the shop was never told: relay"),
    Known("closed", Precision.MISSING, "this shop knows neither expiry nor refund"),
)


class AcgFaka:
    """Reads one acg-faka."""

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        if source.database is None:
            raise SourceError(f"{source.name} has no database", hint="name it as database.url")
        prefix = PREFIX if source.database.prefix is None else source.database.prefix
        self._database = Database(source.database)
        self._facts = facts
        self._walk = Walk(self._database, _rows(prefix), facts, self._read)

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        return await self._walk.poll(mark, now_ms)

    async def close(self) -> None:
        """See ShopPull."""
        await self._database.close()

    def _read(self, row: Row, now_ms: int) -> Seen:
        created = self._facts.when(row["create_time"], now_ms) or self._by_number(row, now_ms)
        since_ms = now_ms if created is None else created.time_ms
        made = self._created(row, created, now_ms)
        if not row["status"]:
            return Seen((made,), since_ms + UNPAID_MS)
        paid = self._facts.when(row["pay_time"], now_ms)
        told = (made, self._facts.event(EventType.PAID, row["trade_no"], paid, now_ms))
        if not row["delivery_status"]:
            return Seen(told, since_ms + OWED_MS, is_urgent=True)
        delivery = self._delivery(row, paid, now_ms)
        if delivery.type == EventType.DELIVERED:
            return Seen((*told, delivery))
        return Seen((*told, delivery), since_ms + OWED_MS, is_urgent=True)

    def _by_number(self, row: Row, now_ms: int) -> When | None:
        """When it was made, by its number: three digits, `ymdHis`, three digits."""
        digits = row["trade_no"][3:15]
        if len(digits) != 12 or not digits.isdecimal():
            return None
        day, time = digits[:6], digits[6:]
        written = f"20{day[:2]}-{day[2:4]}-{day[4:]} {time[:2]}:{time[2:4]}:{time[4:]}"
        return self._facts.when(written, now_ms)

    def _created(self, row: Row, created: When | None, now_ms: int) -> OrderEvent:
        upstream = row["shared_id"]
        way = "manual" if row["delivery_way"] == MANUAL else "auto"
        return self._facts.event(
            EventType.CREATED, row["trade_no"], created, now_ms,
            channel=f"upstream-{upstream}" if upstream else way,
            fulfilment="auto" if upstream else way,
            sku=str(row["commodity_id"]), quantity=row["card_num"],
            amount_minor=self._facts.minor(row["amount"]), currency=self._facts.currency,
            provider=row["handle"], customer_hash=self._facts.customer(row["contact"]),
        )  # fmt: skip

    def _delivery(self, row: Row, paid: When | None, now_ms: int) -> OrderEvent:
        """What "delivered" comes to: by its cards, else by what stands in their place."""
        order, quantity, secret = row["trade_no"], row["card_num"], row["secret"] or ""
        if row["shared_id"] or 0 < quantity <= row["cards"]:
            return self._facts.delivered(order, paid, now_ms, secret, quantity=quantity)
        if row["delivery_way"] == MANUAL:
            # The same words for every buyer would look like a card that was sold twice.
            return self._facts.event(EventType.DELIVERED, order, None, now_ms, quantity=quantity)
        lines = [line for line in secret.splitlines() if line.strip()]
        if row["cards"] or len(lines) < max(quantity, 1):
            return self._facts.event(
                EventType.ATTEMPT_FAILED, order, paid, now_ms, reason=WITHOUT_GOODS
            )
        # No card of the pool, and as much text as was bought: a person made up for it, unless it
        # is the apology.
        by_hand = self._facts.delivered(order, None, now_ms, secret, quantity=quantity)
        if by_hand.type == EventType.DELIVERED:
            return by_hand
        return self._facts.delivered(order, paid, now_ms, secret, quantity=quantity)


def _rows(prefix: str) -> Rows:
    """The statements, with the names of this shop's tables."""
    order, card = f'"{prefix}order"', f'"{prefix}card"'
    return Rows(
        select=f"""
            SELECT o.id AS id, o.trade_no, o.amount, o.commodity_id, o.card_num, o.create_time,
                   o.pay_time, o.status, o.delivery_status, o.secret, o.contact, c.delivery_way,
                   c.shared_id, p.handle,
                   (SELECT COUNT(*) FROM {card} k WHERE k.order_id = o.id) AS cards
            FROM {order} o LEFT JOIN "{prefix}commodity" c ON c.id = o.commodity_id
                 LEFT JOIN "{prefix}pay" p ON p.id = o.pay_id""",  # noqa: S608 - names of its tables
        table=f"{order} o",
        order_id="o.id",
        # Once delivered in words, another text or more cards are another state: by hand, perhaps.
        state=f"""CASE WHEN o.status = 0 THEN 'unpaid' WHEN o.delivery_status = 0 THEN 'owed'
                  ELSE CONCAT(CHAR_LENGTH(o.secret), '/',
                              (SELECT COUNT(*) FROM {card} k WHERE k.order_id = o.id)) END""",  # noqa: S608
        created="o.create_time",
        owed="o.status = 1 AND o.delivery_status = 0",
    )


# What is locked for an order (2) is not sold yet.
_STOCK = """
    SELECT commodity_id AS sku, COUNT(*) AS unsold FROM "{prefix}card"
    WHERE status IN (0, 2) GROUP BY commodity_id"""

KIND = PullKind(
    AcgFaka, KNOWN, TABLES,
    orders="order", created="create_time", prefix=PREFIX, stock=_STOCK,
)  # fmt: skip
