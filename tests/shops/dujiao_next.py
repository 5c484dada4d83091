"""A stall of dujiao-next: an order of two goods, with parts, payments and a supplier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from monitor.adapters.shops import PULLS
from monitor.model.faults import Fault
from tests.shops.bench import BUYER, SECRET, TABLES, ShopBench, Story

SCRIPT = (TABLES / "dujiao-next.sql").read_text(encoding="utf-8")
KEYS = {
    "postgresql": ("bigserial PRIMARY KEY", "timestamptz"),
    "sqlite": ("integer PRIMARY KEY AUTOINCREMENT", "datetime"),
}
SHANGHAI = timezone(timedelta(hours=8))


class DujiaoNextBench(ShopBench):
    """dujiao-next; all times are its own, and whoever writes a text of a time writes it in its zone."""

    name, kind = "dujiao-next", PULLS["dujiao-next"]
    script = SCRIPT
    table, owed = "orders", ("create auto", "pay")
    zone = "UTC"
    stories = (
        Story("bought", ((0, "create"), (31, "pay"), (32, "deliver 1"), (33, "deliver 2")),
              {"created_ms": 0, "paid_ms": 30, "accepted_ms": 31, "delivered_ms": 33, "sku": "71",
               "quantity": 2, "amount_minor": 1990, "currency": "USD", "provider": "alipay",
               "channel": "auto", "fulfilment": "auto"}),
        Story("one part of two", ((0, "create"), (31, "pay"), (32, "deliver 1")),
              {"paid_ms": 30, "delivered_ms": None}),
        Story("the queue is off", ((0, "create"), (31, "pay")),
              {"paid_ms": 30, "delivered_ms": None, "attempted_ms": None}),
        Story("never paid", ((0, "create"), (900 - 60, "expire")),
              {"paid_ms": None, "cancelled_ms": 840}),
        Story("cancelled by a person", ((0, "create"), (31, "cancel")),
              {"paid_ms": None, "cancelled_ms": 31}),
        Story("money after the end", ((0, "create"), (31, "cancel"), (62, "late money")),
              {"paid_ms": 61, "accepted_ms": None, "cancelled_ms": 31}, (Fault.PAID_LATE,)),
        Story("by a supplier", ((0, "create"), (31, "pay"), (40, "ask 1"), (50, "refuse 1"),
                                (60, "deliver 1"), (61, "deliver 2")),
              {"attempted_ms": 40, "delivered_ms": 61, "channel": "upstream-3"}),
        Story("by hand", ((0, "create manual"), (31, "pay"), (601, "deliver 1"),
                          (602, "deliver 2")),
              {"paid_ms": 30, "delivered_ms": 602, "fulfilment": "manual", "channel": "manual"}),
        Story("given back", ((0, "create"), (31, "pay"), (301, "refund")),
              {"paid_ms": 30, "refunded_ms": 301, "delivered_ms": None}),
    )  # fmt: skip

    @property
    def engine(self) -> str:
        """Which database it is on."""
        return self.database.access.url.partition(":")[0]

    def order_id(self, number: int, made_ms: int) -> str:
        return f"DJ{made_ms // 1_000}{number:06}"

    def moment(self, time_ms: int, *, is_local: bool = False) -> Any:
        """A time as the shop hands it to its database: some of them in the zone of its machine."""
        moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
        if self.engine != "sqlite":
            return moment
        moment = moment.astimezone(SHANGHAI) if is_local else moment
        zone = "+08:00" if is_local else "+00:00"
        return f"{moment:%Y-%m-%d %H:%M:%S}.000000123{zone}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        self._create(number, made_ms, "auto", shop)

    def _create(self, number: int, made_ms: int, way: str, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        order, at = self.order_id(number, made_ms), self.moment(made_ms)
        limit = self.moment(made_ms + 840_000, is_local=True)
        for name, parent, amount in ((order, None, "19.90"), (f"{order}-01", order, "9.95"),
                                     (f"{order}-02", order, "9.95")):  # fmt: skip
            cursor.execute(
                "INSERT INTO orders (order_no, parent_id, guest_email, status, currency,"
                " total_amount, expires_at, created_at, updated_at) VALUES (%s, (SELECT id FROM"
                " orders p WHERE p.order_no = %s), %s, 'pending_payment', 'USD', %s, %s, %s, %s)",
                [name, parent, BUYER, amount, limit, at, at],
            )
        for part in ("01", "02"):
            cursor.execute(
                "INSERT INTO order_items (order_id, product_id, sku_id, quantity, fulfillment_type,"
                " created_at, updated_at) SELECT id, 7, 71, 1, %s, created_at, updated_at"
                " FROM orders WHERE order_no = %s",
                [way, f"{order}-{part}"],
            )
        cursor.execute(
            "INSERT INTO payments (order_id, channel_id, provider_type, channel_type,"
            " interaction_mode, amount, currency, status, created_at, updated_at) SELECT id, 1,"
            " 'official', 'alipay', 'qr', total_amount, currency, 'pending', created_at, updated_at"
            " FROM orders WHERE order_no = %s",
            [order],
        )

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        order, at = self.order_id(number, made_ms), self.moment(now_ms, is_local=True)
        word, _, part = word.partition(" ")
        if word == "create":
            self._create(number, made_ms, part or "auto")
        elif word in ("pay", "late"):
            paid = self.moment(now_ms - 1_000, is_local=True)
            self.database.write(
                "UPDATE payments SET status = 'success', provider_ref = %s, paid_at = %s,"
                " callback_at = %s, updated_at = %s WHERE order_id = (SELECT id FROM orders"
                " WHERE order_no = %s)", f"T{number}", paid, at, at, order,
            )  # fmt: skip
            if word == "pay":
                self._all(order, "status = 'paid', paid_at = %s", at)
        elif word in ("cancel", "expire"):
            self._all(order, "status = 'canceled', canceled_at = %s", at)
        elif word == "refund":
            self._all(order, "status = 'refunded', updated_at = %s", at)
        elif word in ("ask", "refuse"):
            self._ask(word, f"{order}-0{part}", at)
        else:
            self._deliver(order, part, number, at)

    def _all(self, order: str, change: str, at: Any) -> None:
        """Change the order and its parts."""
        self.database.write(
            f"UPDATE orders SET {change}, updated_at = %s WHERE order_no LIKE %s"
            if "updated_at" not in change
            else f"UPDATE orders SET {change} WHERE order_no LIKE %s",
            *((at, at) if "updated_at" not in change else (at,)),
            f"{order}%",
        )

    def _ask(self, word: str, part: str, at: Any) -> None:
        if word == "ask":
            self.database.write(
                "INSERT INTO procurement_orders (connection_id, local_order_id, created_at,"
                " updated_at) SELECT 3, id, %s, %s FROM orders WHERE order_no = %s", at, at, part,
            )  # fmt: skip
            return
        self.database.write(
            "UPDATE procurement_orders SET status = 'failed', retry_count = 1, error_message = %s,"
            " updated_at = %s WHERE local_order_id = (SELECT id FROM orders WHERE order_no = %s)",
            SECRET, at, part,
        )  # fmt: skip

    def _deliver(self, order: str, part: str, number: int, at: Any) -> None:
        name = f"{order}-0{part}"
        self.database.write(
            "INSERT INTO fulfillments (order_id, type, status, payload, delivered_at, created_at,"
            " updated_at) SELECT id, 'auto', 'delivered', %s, %s, %s, %s FROM orders"
            " WHERE order_no = %s", f"{SECRET}-{number}-{part}", at, at, at, name,
        )  # fmt: skip
        self.database.write(
            "UPDATE orders SET status = 'completed', updated_at = %s WHERE order_no = %s", at, name
        )
