"""A shop is added with one file and one line, and a bench of stories; the suite finds what is wrong."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from monitor.adapters.shops import PULLS, PUSHES
from monitor.adapters.shops.walk import Walk
from monitor.model.endpoints import ShopSource
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest
from tests.contracts.shop_contract import MySqlShopContract
from tests.databases import Servers
from tests.shops import corner_shop
from tests.shops.bench import BUYER, SECRET, ShopBench, Story

WITH_ONE_LINE = PULLS | {"corner-shop": corner_shop.KIND}
WITH_ANOTHER_LINE = PUSHES | {"corner-shop": corner_shop.CornerPush}
WORD = "both-of-us-know"


class CornerBench(ShopBench):
    """The stories of a shop that tells every time."""

    name, kind, table = "corner-shop", WITH_ONE_LINE["corner-shop"], "sales"
    script = (
        "CREATE TABLE sales (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, number varchar(20) UNIQUE,"
        " buyer varchar(99), made datetime, paid datetime, sent datetime, goods text)"
    )
    owed = ("create", "pay")
    stories = (
        Story("bought", ((0, "create"), (31, "pay"), (46, "send")),
              {"created_ms": 0, "paid_ms": 31, "delivered_ms": 46}),
        Story("waits", ((0, "create"), (31, "pay")), {"paid_ms": 31, "delivered_ms": None}),
    )  # fmt: skip
    columns = {"pay": "paid", "send": "sent"}
    push_kind = WITH_ANOTHER_LINE["corner-shop"]

    def source(self) -> ShopSource:
        return msgspec.structs.replace(super().source(), secrets=(Secret(WORD),))

    def push(self, word: str, number: int, made_ms: int, now_ms: int) -> RawRequest | None:
        columns = ("number", "buyer", "made", "paid", "sent", "goods")
        row = self.database.write(
            f"SELECT {', '.join(columns)} FROM sales WHERE number = %s",
            self.order_id(number, made_ms),
        ).fetchone()
        said = {name: value and str(value) for name, value in zip(columns, row, strict=True)}
        return RawRequest(
            "POST", "/hooks/stall", (("Authorization", WORD),), msgspec.json.encode(said), now_ms
        )

    def order_id(self, number: int, made_ms: int) -> str:
        return f"C{number}"

    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        cursor = (shop or self.database.shop).cursor()
        values = [self.order_id(number, made_ms), BUYER, self.at(made_ms), f"{SECRET}-{number}"]
        cursor.execute("INSERT sales (number, buyer, made, goods) VALUES (%s, %s, %s, %s)", values)

    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        if word == "create":
            self.create(number, made_ms)
            return
        self.database.write(
            f"UPDATE sales SET {self.columns[word]} = %s WHERE number = %s",
            self.at(now_ms), self.order_id(number, made_ms),
        )  # fmt: skip


class WithoutOverlap(Walk):
    """The bug that every watermark begins with: what lies before the mark is taken for seen."""

    def _watch_gaps(self, mark: Any, ids: Any, now_ms: int) -> None:
        return


class Forgetful(Walk):
    """Another one: what was seen once is never looked at again."""

    def _looks(self, mark: Any, now_ms: int) -> Any:
        return []


def mutant(walk: type[Walk]) -> type[ShopBench]:
    """The same shop, read by an adapter with a bug."""
    shop = type("BuggyShop", (corner_shop.CornerShop,), {"walk": walk})
    kind = msgspec.structs.replace(corner_shop.KIND, make=shop)
    return type("BuggyBench", (CornerBench,), {"kind": kind})


@pytest.fixture
def bench(mariadb_server: Servers) -> Iterator[ShopBench]:
    """The new shop."""
    database = mariadb_server.database(CornerBench.script)
    yield CornerBench(database)
    database.shop.close()


class TestCornerShop(MySqlShopContract):
    """The new shop keeps every promise."""


async def test_watermark_without_overlap_is_caught(bench: ShopBench) -> None:
    """The suite notices an adapter that misses rows which appear late."""
    with pytest.raises(AssertionError):
        await MySqlShopContract().test_row_that_appears_late_is_told(
            mutant(WithoutOverlap)(bench.database)
        )


async def test_adapter_that_forgets_open_orders_is_caught(bench: ShopBench) -> None:
    """The suite notices an adapter that reads each row once."""
    with pytest.raises(AssertionError):
        await MySqlShopContract().test_every_story_is_told(mutant(Forgetful)(bench.database))
