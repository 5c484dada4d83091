"""The makes of shops whose tables are read, each with its stories."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from monitor.adapters.shops import PULLS
from monitor.model.goods import WITHOUT_GOODS
from tests.shops.bench import BUYER, SECRET, TABLES, ShopBench, Story

APOLOGY = "很抱歉，有人在你付款之前抢走了商品，请联系客服。"


class DujiaokaBench(ShopBench):
    """dujiaoka; a row says when it was changed last, and nothing else."""

    name, kind = "dujiaoka", PULLS["dujiaoka"]
    script = (TABLES / "dujiaoka.sql").read_text(encoding="utf-8")
    table, owed = "orders", ("create manual", "pending")
    stories = (
        Story("bought", ((0, "create"), (31, "complete")),
              {"created_ms": 0, "paid_ms": 31, "delivered_ms": 31, "sku": "7", "quantity": 2,
               "amount_minor": 1980, "currency": "CNY", "provider": "wxpay", "channel": "auto"}),
        Story("never paid", ((0, "create"), (300, "expire")),
              {"paid_ms": None, "cancelled_ms": 300, "delivered_ms": None}),
        Story("paid after it expired", ((0, "create"), (300, "expire"), (420, "complete")),
              {"paid_ms": 420, "cancelled_ms": 300, "delivered_ms": 420}),
        Story("no cards left, then restocked", ((0, "create"), (31, "abnormal"), (601, "complete")),
              {"paid_ms": 31, "delivered_ms": 601}, (WITHOUT_GOODS,)),
        Story("by hand", ((0, "create manual"), (31, "pending"), (91, "process"), (601, "done")),
              {"paid_ms": 31, "delivered_ms": 601, "fulfilment": "manual", "channel": "manual"}),
        Story("by hand, and it failed", ((0, "create manual"), (31, "pending"), (601, "fail")),
              {"paid_ms": 31, "delivered_ms": None, "failed_ms": 601}),
        Story("bought and touched again", ((0, "create"), (31, "complete"), (301, "touch")),
              {"paid_ms": 31, "delivered_ms": 31}),
    )  # fmt: skip
    states = {"expire": -1, "pending": 2, "process": 3, "complete": 4, "done": 4, "fail": 5,
              "abnormal": 6}  # fmt: skip

    def order_id(self, number: int, made_ms: int) -> str:
        return f"SN{number:014}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        self._create(number, made_ms, 1, shop)

    def _create(self, number: int, made_ms: int, way: int, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        cursor.execute(
            "INSERT INTO orders (order_sn, goods_id, title, type, buy_amount, actual_price, email,"
            " info, pay_id, buy_ip, created_at, updated_at)"
            " VALUES (%s, 7, 'goods', %s, 2, 19.80, %s, 'account: 42', 15, '::1', %s, %s)",
            [self.order_id(number, made_ms), way, BUYER, self.at(made_ms), self.at(made_ms)],
        )

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        order, at = self.order_id(number, made_ms), self.at(now_ms)
        if word == "create manual":
            self._create(number, made_ms, 2)
        elif word == "touch":
            self.database.write("UPDATE orders SET updated_at = %s WHERE order_sn = %s", at, order)
        else:
            cards = f"{SECRET}-{number}-1\r\n{SECRET}-{number}-2"
            info = {"complete": cards, "abnormal": "库存不足"}.get(word, "account: 42")
            self.database.write(
                "UPDATE orders SET status = %s, info = %s, trade_no = %s, updated_at = %s"
                " WHERE order_sn = %s",
                self.states[word], info, "" if word == "expire" else f"T{number}", at, order,
            )  # fmt: skip


class AcgFakaBench(ShopBench):
    """acg-faka; "delivered" is only what its cards confirm."""

    name, kind = "acg-faka", PULLS["acg-faka"]
    script = (TABLES / "acg-faka.sql").read_text(encoding="utf-8")
    table, owed = "acg_order", ("create manual", "wait")
    stories = (
        Story("bought", ((0, "create"), (31, "cards 2")),
              {"created_ms": 0, "paid_ms": 31, "delivered_ms": 31, "sku": "7", "quantity": 2,
               "amount_minor": 1980, "currency": "CNY", "provider": "Epay", "channel": "auto"}),
        Story("never paid", ((0, "create"),),
              {"created_ms": 0, "paid_ms": None, "delivered_ms": None, "cancelled_ms": None}),
        Story("delivered without goods", ((0, "create"), (31, "apology")),
              {"paid_ms": 31, "delivered_ms": None}, (WITHOUT_GOODS,)),
        Story("one card of two", ((0, "create"), (31, "cards 1")),
              {"paid_ms": 31, "delivered_ms": None}, (WITHOUT_GOODS,)),
        Story("made up for by a person", ((0, "create"), (31, "apology"), (601, "by hand")),
              {"paid_ms": 31, "delivered_ms": 601}, (WITHOUT_GOODS,), ("delivered_ms",)),
        Story("by hand", ((0, "create manual"), (31, "wait"), (601, "done")),
              {"paid_ms": 31, "delivered_ms": 601, "fulfilment": "manual", "channel": "manual"},
              seen=("delivered_ms",)),
        Story("from upstream", ((0, "create upstream"), (31, "upstream")),
              {"paid_ms": 31, "delivered_ms": 31, "channel": "upstream-3"}),
        Story("upstream had none", ((0, "create upstream"), (31, "upstream without")),
              {"paid_ms": 31, "delivered_ms": None}, (WITHOUT_GOODS,)),
    )  # fmt: skip
    goods = {"create": 7, "create manual": 8, "create upstream": 9}

    def order_id(self, number: int, made_ms: int) -> str:
        moment = datetime.fromtimestamp(made_ms // 1_000, UTC).astimezone(ZoneInfo(self.zone))
        return f"{100 + number % 900}{moment:%y%m%d%H%M%S}{number // 900 + 100:03}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        self._create(number, made_ms, 7, shop)

    def _create(self, number: int, made_ms: int, goods: int, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        cursor.execute(
            "INSERT INTO acg_order (trade_no, amount, commodity_id, card_num, pay_id, create_time,"
            " create_ip, create_device, contact) VALUES (%s, 19.80, %s, 2, 2, %s, '::1', 0, %s)",
            [self.order_id(number, made_ms), goods, self.at(made_ms), BUYER],
        )

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        if word in self.goods:
            self._create(number, made_ms, self.goods[word])
            return
        order, at = self.order_id(number, made_ms), self.at(now_ms)
        cards = [f"{SECRET}-{number}-1", f"{SECRET}-{number}-2"]
        secret = {"apology": APOLOGY, "cards 1": cards[0], "upstream without": "库存不足",
                  "done": "已充值", "wait": "正在发货中"}.get(word, "\r\n".join(cards))  # fmt: skip
        if word.startswith("cards"):
            for card in cards[: int(word.split()[1])]:
                self.database.write(
                    "INSERT INTO acg_card (commodity_id, secret, create_time, purchase_time,"
                    " order_id, status) SELECT 7, %s, %s, %s, id, 1 FROM acg_order"
                    " WHERE trade_no = %s", card, at, at, order,
                )  # fmt: skip
        self.database.write(
            "UPDATE acg_order SET status = 1, pay_time = COALESCE(pay_time, %s), secret = %s,"
            " delivery_status = %s WHERE trade_no = %s",
            at, secret, int(word != "wait"), order,
        )  # fmt: skip


BENCHES: dict[str, type[ShopBench]] = {
    "dujiaoka": DujiaokaBench,
    "acg-faka": AcgFakaBench,
}
