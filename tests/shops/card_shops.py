"""Stalls of ZFAKA and kamiFaka, each with its stories."""

from __future__ import annotations

from typing import Any

from monitor.adapters.shops import PULLS
from monitor.model.goods import WITHOUT_GOODS
from tests.shops.bench import BUYER, SECRET, TABLES, ShopBench, Story


class ZfakaBench(ShopBench):
    """ZFAKA; it knows when it was paid, and never when it delivered."""

    name, kind = "zfaka", PULLS["zfaka"]
    script = (TABLES / "zfaka.sql").read_text(encoding="utf-8")
    table, owed = "t_order", ("create", "pay")
    stories = (
        Story("bought", ((0, "create"), (31, "cards")),
              {"created_ms": 0, "paid_ms": 31, "delivered_ms": 31, "sku": "7", "quantity": 2,
               "amount_minor": 1980, "currency": "CNY", "provider": "zfbf2f", "channel": "auto"}),
        Story("never paid", ((0, "create"),),
              {"created_ms": 0, "paid_ms": None, "delivered_ms": None, "cancelled_ms": None}),
        Story("given up", ((0, "create"), (300, "delete")),
              {"paid_ms": None, "cancelled_ms": 300}, seen=("cancelled_ms",)),
        Story("no cards left, then by hand", ((0, "create"), (31, "short"), (601, "send")),
              {"paid_ms": 31, "delivered_ms": 601}, (WITHOUT_GOODS,), ("delivered_ms",)),
        Story("the callback died after the payment", ((0, "create"), (31, "pay")),
              {"paid_ms": 31, "delivered_ms": None}),
        Story("by hand", ((0, "create manual"), (31, "pay"), (601, "send")),
              {"paid_ms": 31, "delivered_ms": 601, "fulfilment": "manual", "channel": "manual"},
              seen=("delivered_ms",)),
        Story("one card for all", ((0, "create shared"), (31, "shared")),
              {"paid_ms": 31, "delivered_ms": 31, "sku": "9"}),
        Story("cleared away when done", ((0, "create"), (31, "cards"), (301, "delete")),
              {"paid_ms": 31, "delivered_ms": 31, "cancelled_ms": None}),
    )  # fmt: skip
    goods = {"create": 7, "create manual": 8, "create shared": 9}

    def order_id(self, number: int, made_ms: int) -> str:
        return f"zlkb{made_ms // 1_000}{number:06}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        self._create(number, made_ms, 7, shop)

    def _create(self, number: int, made_ms: int, goods: int, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        cursor.execute(
            "INSERT INTO t_order (orderid, email, pid, price, number, money, addtime)"
            " VALUES (%s, %s, %s, 9.90, 2, 19.80, %s)",
            [self.order_id(number, made_ms), BUYER, goods, made_ms // 1_000],
        )

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        order = self.order_id(number, made_ms)
        cards = f"{SECRET}-{number}-1,{SECRET}-{number}-2"
        if word in self.goods:
            self._create(number, made_ms, self.goods[word])
        elif word == "delete":
            self.database.write("UPDATE t_order SET isdelete = 1 WHERE orderid = %s", order)
        elif word == "send":
            self.database.write(
                "UPDATE t_order SET status = 2, kami = 'sent by mail' WHERE orderid = %s", order
            )
        else:
            self.database.write(
                "UPDATE t_order SET status = 1, paytime = %s, tradeid = %s, paymethod = 'zfbf2f',"
                " paymoney = 19.80 WHERE orderid = %s AND status = 0",
                now_ms // 1_000, f"T{number}", order,
            )  # fmt: skip
            status = {"cards": 2, "shared": 2, "short": 3}.get(word, 1)
            kami = {"cards": cards, "shared": f"{SECRET}-of-all"}.get(word, "")
            self.database.write(
                "UPDATE t_order SET status = %s, kami = %s WHERE orderid = %s", status, kami, order
            )


class KamiFakaBench(ShopBench):
    """kamiFaka; paid without an order is money that nobody will ever look at."""

    name, kind = "kami-faka", PULLS["kami-faka"]
    script = (TABLES / "kami-faka.sql").read_text(encoding="utf-8")
    table, owed = "temporder", ("create", "pay")
    stories = (
        Story("bought", ((0, "create"), (31, "cards")),
              {"created_ms": 0, "paid_ms": 31, "delivered_ms": 31, "sku": "cards", "quantity": 2,
               "amount_minor": 1980, "currency": "CNY", "provider": "PAYJS", "channel": "auto"}),
        Story("never paid", ((0, "create"),),
              {"created_ms": 0, "paid_ms": None, "delivered_ms": None, "cancelled_ms": None}),
        Story("too few cards for two", ((0, "create"), (31, "pay")),
              {"paid_ms": 31, "delivered_ms": None}, seen=("paid_ms",)),
        Story("no card left for one", ((0, "create"), (31, "short")),
              {"paid_ms": 31, "delivered_ms": None}, (WITHOUT_GOODS,)),
        Story("one card for all", ((0, "create shared"), (31, "shared")),
              {"paid_ms": 31, "delivered_ms": 31, "sku": "one for all"}),
    )  # fmt: skip
    goods = {"create": "cards", "create shared": "one for all"}

    def order_id(self, number: int, made_ms: int) -> str:
        return f"Order_{made_ms}{number:06}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        self._create(number, made_ms, "cards", shop)

    def _create(self, number: int, made_ms: int, goods: str, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        cursor.execute(
            "INSERT INTO temporder (out_order_id, name, payment, contact, price, num, total_price,"
            " status, auto, updatetime) VALUES (%s, %s, 'PAYJS', %s, 9.9, 2, 19.8, 0, 1, %s)",
            [self.order_id(number, made_ms), goods, BUYER, self.at(made_ms)],
        )

    def by_hand(self, number: int, made_ms: int) -> None:
        """Goods that a person hands over: the shop calls the order done at once."""
        self._create(number, made_ms, "by hand")
        order = self.order_id(number, made_ms)
        self.database.write("UPDATE temporder SET auto = 0 WHERE out_order_id = %s", order)
        self._make(order, "by hand", "手工发货，请主动联系客服", made_ms)

    def _make(self, order: str, goods: str, card: str | None, now_ms: int) -> None:
        self.database.write("UPDATE temporder SET status = 1 WHERE out_order_id = %s", order)
        self.database.write(
            "INSERT INTO `order` (out_order_id, name, payment, contact, price, num, total_price,"
            " card, status, updatetime) VALUES (%s, %s, 'PAYJS', %s, 9.9, 2, 19.8, %s, %s, %s)",
            order, goods, BUYER, card, int(card is not None), self.at(now_ms),
        )  # fmt: skip

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        order = self.order_id(number, made_ms)
        if word in self.goods:
            self._create(number, made_ms, self.goods[word])
        elif word == "pay":
            self.database.write("UPDATE temporder SET status = 1 WHERE out_order_id = %s", order)
        else:
            card = {"cards": f"{SECRET}-{number}-1,{SECRET}-{number}-2", "short": None}
            goods = "one for all" if word == "shared" else "cards"
            self._make(order, goods, card.get(word, f"{SECRET},{SECRET},"), now_ms)
