"""kamiFaka (卡密发卡): `temporder` is what buyers asked for, `"order"` what the shop made of it.

    temporder unpaid ──► paid ── a row in "order" with a card ─────► delivered
                           ├──── a row in "order" without a card ──► out of stock
                           └──── no row at all: it died on the way, and repeats are ignored

The payment is written before the order is made. Where too few cards are left for several, making it
ends in an exception: paid, no order, for ever, and nobody is told. A payment has no time but that of
its order, a delivery that of its order. Goods that a person hands over leave no trace of that, so
they are left out altogether: an order nobody can ever see delivered would only be a false alarm.

The two tables have no index in common, so they are followed side by side, each by its ids.
Source: service/database/models.py, service/util/order/handle.py of Baiyuetribe/kamiFaka.
"""

from __future__ import annotations

import msgspec

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
from monitor.model.times import MINUTE_MS

SHARED_MS = 10 * MINUTE_MS  # how long it is believed which goods have one card for all
BY_HAND = "手工发货，请主动联系客服"  # stands where the card of goods does that a person hands over

_WANTED = Rows(
    select="""
    SELECT t.id AS id, t.out_order_id, t.name, t.payment, t.contact, t.num, t.total_price, t.status,
           t.auto, t.updatetime, t.endtime
    FROM temporder t""",
    table="temporder t",
    order_id="t.id",
    state="t.status",
    created="t.updatetime",
    # No index helps here: it is asked when the source is new, and looks through a week's orders.
    owed="""t.status = 1 AND t.out_order_id NOT IN (
        SELECT k.out_order_id FROM "order" k
        WHERE k.id > (SELECT MAX(m.id) FROM "order" m) - 100000)""",
)
_MADE = Rows(
    select="""
    SELECT o.id AS id, o.out_order_id, o.name, o.payment, o.contact, o.num, o.total_price, o.card,
           o.updatetime
    FROM "order" o""",
    table='"order" o',
    order_id="o.id",
    state="'made'",
    created="o.updatetime",
    owed="o.card IS NULL",
)

_BOTH = ("id", "out_order_id", "name", "payment", "contact", "num", "total_price", "updatetime")
TABLES = {
    "temporder": (*_BOTH, "status", "auto", "endtime"),
    "order": (*_BOTH, "card"),
    "card": ("prod_name", "reuse"),
}
KNOWN = (
    Known("created", Precision.SECOND, "temporder.updatetime"),
    Known("paid", Precision.INFERRED, "order.updatetime; without an order, when it was first seen"),
    Known("delivered", Precision.SECOND, "order.updatetime; MISSING for goods handed over by hand"),
    Known("attempted", Precision.SECOND, "order.updatetime, when the order has no card"),
    Known("provider", Precision.EXACT, "temporder.payment"),
    Known("expired", Precision.MISSING, "this shop never ends an order"),
    Known("callback", Precision.MISSING, "a payment of which the shop was never told: relay"),
    Known("refunded", Precision.MISSING, "this shop has no refunds"),
)


class _Marks(msgspec.Struct):
    """Where each of the two walks is; `made` is read when `wanted` has nothing new for now."""

    wanted: str = ""
    made: str = ""
    is_made_next: bool = False


class KamiFaka:
    """Reads one kamiFaka, a page of one of its tables at a time."""

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        if source.database is None:
            raise SourceError(f"{source.name} has no database", hint="name it as database.url")
        self._database = Database(source.database)
        self._facts = facts
        self._wanted = Walk(self._database, _WANTED, facts, self._read_wanted)
        self._made = Walk(self._database, _MADE, facts, self._read_made)
        self._shared: frozenset[str] = frozenset()
        self._shared_until_ms = 0

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        marks = _marks(mark)
        if not marks.is_made_next:
            page = await self._wanted.poll(marks.wanted, now_ms)
            marks.wanted, marks.is_made_next = page.mark, page.is_last
            return Polled(page.events, _written(marks), is_last=False, limit=page.limit)
        await self._learn_shared(now_ms)
        page = await self._made.poll(marks.made, now_ms)
        marks.made, marks.is_made_next = page.mark, not page.is_last
        return Polled(page.events, _written(marks), is_last=page.is_last, limit=page.limit)

    async def close(self) -> None:
        """See ShopPull."""
        await self._database.close()

    async def _learn_shared(self, now_ms: int) -> None:
        """Which goods have one card for all buyers: it is no fault when that is sold again."""
        if now_ms < self._shared_until_ms:
            return
        found = await self._database.rows("SELECT DISTINCT prod_name FROM card WHERE reuse = 1")
        self._shared = frozenset(str(row["prod_name"]) for row in found)
        self._shared_until_ms = now_ms + SHARED_MS

    def _read_wanted(self, row: Row, now_ms: int) -> Seen:
        if not row["auto"]:
            return Seen(())
        created = self._facts.when(row["updatetime"], now_ms)
        made = self._event(EventType.CREATED, row, created, now_ms)
        if not row["status"]:
            return Seen((made,), (now_ms if created is None else created.time_ms) + UNPAID_MS)
        ended = self._facts.when(row["endtime"], now_ms)
        return Seen((made, self._event(EventType.PAID, row, ended, now_ms)))

    def _read_made(self, row: Row, now_ms: int) -> Seen:
        card = row["card"]
        if card == BY_HAND:
            return Seen(())
        made = self._facts.when(row["updatetime"], now_ms)
        bound = None if made is None else When(made.time_ms, made.is_inferred, is_bound=True)
        paid = self._event(EventType.PAID, row, bound, now_ms)
        if not card:
            failed = self._facts.event(
                EventType.ATTEMPT_FAILED, row["out_order_id"], made, now_ms, reason=WITHOUT_GOODS
            )
            return Seen((paid, failed))
        goods = None if row["name"] in self._shared else _cards(card, row["num"])
        delivered = self._facts.delivered(
            row["out_order_id"], made, now_ms, goods, quantity=row["num"]
        )
        return Seen((paid, delivered))

    def _event(self, kind: EventType, row: Row, when: When | None, now_ms: int) -> OrderEvent:
        return self._facts.event(
            kind, row["out_order_id"], when, now_ms,
            channel="auto", fulfilment="auto", sku=row["name"], quantity=row["num"],
            amount_minor=self._facts.minor(row["total_price"]), currency=self._facts.currency,
            provider=row["payment"], customer_hash=self._facts.customer(row["contact"]),
        )  # fmt: skip


def _cards(card: str, quantity: int) -> object:
    """Several cards are joined by commas, which a card itself may hold: then it is one text."""
    cards = card.split(",")
    return cards if quantity > 1 and len(cards) == quantity else card


def _marks(written: str) -> _Marks:
    try:
        return msgspec.json.decode(written, type=_Marks)
    except msgspec.DecodeError:
        return _Marks()  # of another release: the same as a lost one


def _written(marks: _Marks) -> str:
    return msgspec.json.encode(marks).decode()


KIND = PullKind(KamiFaka, KNOWN, TABLES, orders="temporder", created="updatetime")
