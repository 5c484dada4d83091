"""dujiao-next (独角数卡 Next): orders with parts, read by the time of their last change.

    orders        what a buyer ordered, and for each of its goods a part with `parent_id`
    payments      when the gateway was paid, and when its callback came
    procurement   attempts at the shop's own supplier        fulfillments   what was handed over

`completed` is where an automatic delivery ends and `delivered` where one by hand does: neither word
is read, the fulfillments are. An order is delivered when the last of its parts is. Times carry their
zone and parts of a second. SQLite keeps them as texts, in the zone of whoever wrote, so texts are
only compared with a day to spare, and the moment they stand for decides.
Source: internal/models, internal/service of dujiao-next 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from monitor.adapters.shops.database import Database, places_for
from monitor.adapters.shops.database_url import POSTGRESQL
from monitor.adapters.shops.dujiao_order import events_of
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.sessions import Row
from monitor.adapters.shops.skipped import skipped
from monitor.adapters.shops.sweep import OVERLAP_MS
from monitor.model.endpoints import ShopSource
from monitor.model.errors import UNREADABLE, InputError, SourceError
from monitor.model.events import OrderEvent
from monitor.model.ids import digest
from monitor.model.shops import Known, Polled, Precision
from monitor.model.times import DAY_MS, MINUTE_MS

PAGE = 200  # orders, with all their parts
RECENT_MS = DAY_MS  # what a first look tells of everything
TOLD_MAX = 5_000
FRESH_MS = 2 * MINUTE_MS  # for so long an order is looked at again though its time is the same
OWED_MS = 7 * DAY_MS  # … and of what is paid and not delivered
ZONES = timedelta(hours=26)  # between the clocks of the earliest and the latest zone

# Which orders changed: through their own row, a payment, or an attempt at the supplier. The first
# look asks for a week and wants of the days before the last one only what is still owed.
_CHANGED = """
    SELECT c.root AS root, MAX(c.changed) AS changed FROM (
        SELECT COALESCE(o.parent_id, o.id) AS root, {o} AS changed, o.status AS status
        FROM orders o WHERE o.updated_at >= %s
        UNION ALL
        SELECT COALESCE(o.parent_id, o.id), {p}, ''
        FROM payments p JOIN orders o ON o.id = p.order_id WHERE p.updated_at >= %s
        UNION ALL
        SELECT COALESCE(o.parent_id, o.id), {q}, ''
        FROM procurement_orders q JOIN orders o ON o.id = q.local_order_id WHERE q.updated_at >= %s
    ) c
    WHERE c.changed >= %s AND
          (c.changed >= %s OR c.status IN ('paid', 'fulfilling', 'partially_delivered'))
    GROUP BY c.root
    HAVING MAX(c.changed) > %s OR (MAX(c.changed) = %s AND c.root > %s)
    ORDER BY changed, root LIMIT {page}"""
_PARTS = """
    SELECT o.id, COALESCE(o.parent_id, o.id) AS root, o.parent_id, o.order_no, o.status, o.currency,
           o.total_amount, o.guest_email, o.expires_at, o.paid_at, o.canceled_at, o.created_at,
           o.updated_at, i.id AS item_id, i.sku_id, i.product_id, i.quantity, i.fulfillment_type,
           f.status AS handed, f.payload, f.delivered_at,
           q.id AS attempt_id, q.connection_id, q.status AS attempt_status, q.retry_count,
           q.created_at AS attempt_created_at, q.updated_at AS attempt_updated_at,
           p.id AS payment_id, p.provider_type, p.channel_type, p.status AS payment_status,
           p.paid_at AS money_at, p.callback_at
    FROM orders o
    LEFT JOIN order_items i ON i.order_id = o.id AND i.deleted_at IS NULL
    LEFT JOIN fulfillments f ON f.order_id = o.id AND f.deleted_at IS NULL
    LEFT JOIN procurement_orders q ON q.local_order_id = o.id AND q.deleted_at IS NULL
    LEFT JOIN payments p ON p.order_id = o.id AND p.deleted_at IS NULL
    WHERE (o.id IN ({places}) OR o.parent_id IN ({places})) AND o.deleted_at IS NULL
    ORDER BY o.id, item_id, attempt_id, payment_id"""

TABLES = {
    "orders": ("id", "order_no", "parent_id", "status", "currency", "total_amount", "guest_email",
               "expires_at", "paid_at", "canceled_at", "created_at", "updated_at", "deleted_at"),
    "order_items": ("id", "order_id", "sku_id", "product_id", "quantity", "fulfillment_type",
                    "deleted_at"),
    "fulfillments": ("order_id", "status", "payload", "delivered_at", "deleted_at"),
    "procurement_orders": ("id", "local_order_id", "connection_id", "status", "retry_count",
                           "created_at", "updated_at", "deleted_at"),
    "payments": ("id", "order_id", "provider_type", "channel_type", "status",
                 "paid_at", "callback_at", "updated_at", "deleted_at"),
}  # fmt: skip
KNOWN = (
    Known("created", Precision.EXACT, "orders.created_at"),
    Known("paid", Precision.EXACT, "payments.paid_at, the gateway's word; else orders.paid_at"),
    Known("callback", Precision.EXACT, "payments.callback_at, the last one"),
    Known("accepted", Precision.EXACT, "orders.paid_at"),
    Known("attempted", Precision.EXACT, "procurement_orders.created_at, at a supplier"),
    Known("delivered", Precision.EXACT, "fulfillments.delivered_at, the last part"),
    Known("cancelled", Precision.EXACT, "orders.canceled_at"),
    Known("refunded", Precision.INFERRED, "orders.updated_at when it was first seen refunded"),
    Known("provider", Precision.EXACT, "payments.provider_type, channel_type"),
)


_UNTOLD = (0, "")


class _Mark(msgspec.Struct, omit_defaults=True):
    """Where reading is.

    `told`, of the orders of the overlap by their rows' ids: when they changed, and a digest of what
    they said. While `last_ms` is not 0 a sweep is under way: it went so far, up to the order
    `last_root`. `recent_ms`: before it only what is owed is wanted, in the first sweep.
    """

    horizon_ms: int
    recent_ms: int = 0
    last_ms: int = 0
    last_root: int = 0
    told: dict[str, tuple[int, str]] = {}


class DujiaoNext:
    """Reads one dujiao-next, from SQLite or PostgreSQL."""

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        if source.database is None:
            raise SourceError(f"{source.name} has no database", hint="name it as database.url")
        self._database = Database(source.database)
        self._facts = facts
        self._unread = 0
        self._is_postgresql = self._database.place.engine == POSTGRESQL

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        place = _place(mark, now_ms)
        if place is None:
            begin = _Mark(now_ms - OWED_MS, recent_ms=now_ms - RECENT_MS)
            return Polled((), msgspec.json.encode(begin).decode(), is_last=False)
        since_ms = place.horizon_ms - OVERLAP_MS
        since = self._comparable(since_ms)
        found = await self._database.rows(
            _CHANGED.format(page=PAGE, **{name: self._moment(name) for name in "opq"}),
            [since, since, since, since_ms, place.recent_ms or since_ms,
             place.last_ms, place.last_ms, place.last_root],
        )  # fmt: skip
        events = await self._changed(place, found, now_ms)
        is_last = len(found) < PAGE
        if found:
            place.last_ms, place.last_root = int(found[-1]["changed"]), int(found[-1]["root"])
        if is_last:
            horizon_ms = max(place.horizon_ms, min(place.last_ms, now_ms))
            place = _Mark(horizon_ms, told=place.told)
        _forget(place, max(place.horizon_ms, min(place.last_ms, now_ms)) - OVERLAP_MS)
        return Polled(events, msgspec.json.encode(place).decode(), is_last)

    async def close(self) -> None:
        """See ShopPull."""
        await self._database.close()

    async def _changed(
        self, place: _Mark, found: Sequence[Row], now_ms: int
    ) -> tuple[OrderEvent, ...]:
        """What the orders that were found say now, as far as they did not say it before."""
        changed = {int(row["root"]): int(row["changed"]) for row in found}
        # A payment may be written behind an order with an earlier time than the order's.
        fresh_ms = now_ms - FRESH_MS
        roots = [
            one
            for one, at_ms in changed.items()
            if at_ms >= fresh_ms or place.told.get(str(one), _UNTOLD)[0] != at_ms
        ]
        if not roots:
            return ()
        rows = await self._database.rows(_PARTS.format(places=places_for(roots)), [*roots, *roots])
        told: list[OrderEvent] = []
        for root, one in _grouped(roots, rows).items():
            events = self._said(one, now_ms)
            said = digest(*(event.event_id for event in events), size=8).hex()
            if place.told.get(str(root), _UNTOLD)[1] != said:
                told += events
            place.told[str(root)] = (changed[root], said)
        return tuple(told)

    def _said(self, rows: list[Row], now_ms: int) -> tuple[OrderEvent, ...]:
        try:
            return events_of(rows, self._facts, now_ms)
        except (InputError, *UNREADABLE) as error:  # one order must not hide the others
            self._unread = skipped(self._facts.source, rows[0]["id"], error, self._unread)
            return ()

    def _moment(self, table: str) -> str:
        """SQL for the moment of a row's last change, in milliseconds."""
        if self._is_postgresql:
            return f"CAST(FLOOR(EXTRACT(EPOCH FROM {table}.updated_at) * 1000) AS BIGINT)"
        days = f"julianday({table}.updated_at) - 2440587.5"  # of the epoch
        return f"CAST(ROUND(({days}) * 86400000) AS INTEGER)"

    def _comparable(self, time_ms: int) -> Any:
        """A time that the index on `updated_at` can be asked with, early enough."""
        moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
        if self._is_postgresql:
            return moment
        return (moment - ZONES).strftime("%Y-%m-%d %H:%M:%S")


def _place(mark: str, now_ms: int) -> _Mark | None:
    try:
        place = msgspec.json.decode(mark, type=_Mark)
    except msgspec.DecodeError:
        return None  # the first look, or of another release
    # The clock of a shop that is ahead of ours must not make us skip what comes next.
    place.horizon_ms = min(place.horizon_ms, now_ms)
    return place


def _forget(place: _Mark, before_ms: int) -> None:
    """Of what was told, keep the overlap with the next sweep; of too much the newest."""
    kept = [one for one in place.told.items() if one[1][0] >= before_ms]
    kept.sort(key=lambda one: one[1])
    place.told = dict(kept[-TOLD_MAX:])


def _grouped(roots: Iterable[int], rows: Iterable[Row]) -> dict[int, list[Row]]:
    """The rows of each order."""
    found: dict[int, list[Row]] = {root: [] for root in roots}
    for row in rows:
        found[row["root"]].append(row)
    return {root: group for root, group in found.items() if group}


KIND = PullKind(DujiaoNext, KNOWN, TABLES, orders="orders", created="created_at", timezone="UTC")
