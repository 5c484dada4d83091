"""Shops of three makes in a real database: their tables, an order of theirs, their own delivery."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pymysql

from tests.mariadb import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "receivers"
TABLES = Path(__file__).with_name("tables")
SECRET = "whsec_c2hvcC1zZWNyZXQtb2YtdGhlLXJlY2VpdmVycw=="
APOLOGY = "很抱歉，有人在你付款之前抢走了商品，请联系客服。"


class Make(msgspec.Struct, frozen=True):
    """One make of shop: how an order gets in, how the shop delivers it, what a buyer would see."""

    name: str
    insert: str  # of an order that is paid and waits
    unpaid: str
    own_delivery: str  # as the shop itself writes it: of an order that waits
    goods: str
    order_id: str


MAKES = (
    Make(
        "dujiaoka",
        "INSERT orders (order_sn, goods_id, type, buy_amount, actual_price, status) VALUES (%s, 7, 2, 1, 9.90, 2)",
        "UPDATE orders SET status = 1 WHERE order_sn = %s",
        "UPDATE orders SET status = 4, info = 'own' WHERE order_sn = %s AND status IN (2, 6)",
        "SELECT info FROM orders WHERE order_sn = %s AND status = 4",
        "SN{:04}",
    ),
    Make(
        "acg-faka",
        "INSERT `order` (trade_no, commodity_id, amount, create_time, status, secret) VALUES (%s, 7, 9.90, NOW(), 1, '')",
        "UPDATE `order` SET status = 0 WHERE trade_no = %s",
        "UPDATE `order` SET delivery_status = 1, secret = 'own' WHERE trade_no = %s AND delivery_status = 0"
        " AND secret = ''",
        "SELECT secret FROM `order` WHERE trade_no = %s AND delivery_status = 1",
        "123261231000000{:04}",
    ),
    Make(
        "woocommerce",
        "INSERT wp_wc_orders (id, status, currency, total_amount) VALUES (%s, 'wc-processing', 'CNY', 9.9)",
        "UPDATE wp_wc_orders SET status = 'wc-pending' WHERE id = %s",
        "UPDATE wp_wc_orders SET status = 'wc-completed', customer_note = 'own' WHERE id = %s"
        " AND status = 'wc-processing'",
        "SELECT customer_note FROM wp_wc_orders WHERE id = %s AND status = 'wc-completed'",
        "90{:04}",
    ),
)  # fmt: skip


class Stall:
    """One shop with its database and its receiver."""

    def __init__(self, make: Make, place: dict[str, Any], url: str) -> None:
        self.make, self.place, self.url = make, place, url
        self._orders = 0

    def order(self) -> str:
        """Put one more order in that is paid and waits."""
        self._orders += 1
        order_id = self.make.order_id.format(self._orders)
        self.do(self.make.insert, order_id)
        if self.make.name == "woocommerce":
            self.do("INSERT wp_wc_order_product_lookup VALUES (%s, %s, 7, 1)", order_id, order_id)
        return order_id

    def do(self, sql: str, *values: object) -> int:
        """Run a statement as the shop; how many rows it touched."""
        with pymysql.connect(**self.place, autocommit=True) as link, link.cursor() as rows:
            touched: int = rows.execute(sql, values)
            return touched

    def one(self, sql: str, *values: object) -> Any:
        """The first column of the first row, None without one."""
        with pymysql.connect(**self.place) as link, link.cursor() as rows:
            rows.execute(sql, values)
            found = rows.fetchone()
            return None if found is None else found[0]

    def goods(self, order_id: str) -> str | None:
        """What the buyer sees; None while nothing is delivered."""
        found: str | None = self.one(self.make.goods, order_id)
        return found


def set_up(make: Make, server: dict[str, Any], name: str) -> dict[str, Any]:
    """Make the shop's database with its own tables and the receiver's."""
    with pymysql.connect(**server, autocommit=True) as link, link.cursor() as rows:
        rows.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    place = server | {"database": name}
    with pymysql.connect(**place, autocommit=True) as link, link.cursor() as rows:
        for file in (TABLES / f"{make.name}.sql", EXAMPLES / "tables.sql"):
            for statement in file.read_text().split(";\n"):
                if statement.strip():
                    rows.execute(statement)
    return place


@contextmanager
def receiving(
    command: list[str], make: Make, place: dict[str, Any], env: dict[str, str]
) -> Iterator[str]:
    """Run a receiver for a shop and give its address."""
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in command]
    settings = {
        "DM_SHOP": str(EXAMPLES / "shops" / f"{make.name}.json"),
        "DM_SECRET": SECRET,
        "DM_DB": json.dumps(place),
        "DM_PORT": str(port),
    }
    process = subprocess.Popen(command, env=env | settings, cwd=EXAMPLES, start_new_session=True)
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # php has workers of its own
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when somebody listens on the port."""
    for _ in range(500):
        assert process.poll() is None, "the receiver ended"
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the receiver does not listen")
