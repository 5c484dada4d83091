"""Looks at a dujiaoka with a million orders in a real MariaDB, quiet and busy.

The table has no index on state or time; a look goes through the primary key. Times are those of the
whole look: statement, driver, reading the rows into events.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pymysql

from benchmarks.row import Row
from monitor.adapters.clock import SystemClock
from monitor.adapters.shops.database import Database, places_for
from monitor.adapters.shops.dujiaoka import ROWS, Dujiaoka
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.walk import LOOKS_MAX
from monitor.model.endpoints import DatabaseAccess, ShopSource
from monitor.model.secret import Secret
from tests.mariadb import PASSWORD, USER, mariadb
from tests.shops.bench import TABLES
from tests.shops.many_orders import fill

GROUP = "shop poll"
ORDERS = 1_000_000
LIMIT_MS = 50.0
LOOKS = 100
BUSY = 50  # new orders before a look, and as many that were paid


def rows(scale: float) -> Iterator[Row]:
    """Figures of one table of `ORDERS` x scale orders."""
    if shutil.which("mariadbd") is None:
        print("  mariadb-server is not installed", file=sys.stderr)
        return
    orders = max(int(ORDERS * scale), 50_000)
    with tempfile.TemporaryDirectory() as folder, mariadb(Path(folder)) as place:
        shop = pymysql.connect(**place, autocommit=True)
        with shop.cursor() as cursor:
            cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
            cursor.execute("USE shop")
            for statement in (TABLES / "dujiaoka.sql").read_text(encoding="utf-8").split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
        now_ms = SystemClock().now_ms()
        fill(shop, orders, now_ms)
        yield from asyncio.run(_figures(shop, int(place["port"]), orders, now_ms))
        shop.close()


async def _figures(
    shop: pymysql.connections.Connection[pymysql.cursors.Cursor],
    port: int, orders: int, now_ms: int,
) -> list[Row]:  # fmt: skip
    access = DatabaseAccess(f"mysql://{USER}@127.0.0.1:{port}/shop", Secret(PASSWORD))
    source = ShopSource("main", "dujiaoka", database=access)
    naming = Naming(lambda text: text[:1], lambda text: text[:1])
    pull = Dujiaoka(source, Facts("main", naming, timezone="Asia/Shanghai", currency="CNY"))
    note = f"{orders:,} orders, one every 30 s, in MariaDB on loopback"
    first = [took async for took, _ in _looks(pull, [""], now_ms)]
    mark = await _last(pull, now_ms)
    quiet, busy = [], []
    for look in range(LOOKS):
        marks = [mark]
        quiet += [took async for took, _ in _looks(pull, marks, now_ms + look * 15_000)]
        mark = marks[0]
    for look in range(LOOKS // 5):
        with shop.cursor() as cursor:
            cursor.execute(
                "UPDATE orders SET status = 4 WHERE status = -1 ORDER BY id DESC LIMIT %s", [BUSY]
            )
        fill(shop, BUSY, now_ms, orders + look * BUSY)
        marks = [mark]
        busy.append(sum([took async for took, _ in _looks(pull, marks, now_ms + look * 15_000)]))
        mark = marks[0]
    keys = await _keys(access)
    await pull.close()
    return [
        Row(GROUP, "quiet look, median", statistics.median(quiet), "ms", LIMIT_MS, "lower", note),
        Row(GROUP, "quiet look, slowest", max(quiet), "ms", None, "info", f"of {LOOKS}"),
        Row(GROUP, "busy look, median", statistics.median(busy), "ms", LIMIT_MS, "lower",
            f"{BUSY} new orders and {BUSY} that changed before each"),
        Row(GROUP, "busy look, slowest", max(busy), "ms", None, "info", f"of {LOOKS // 5}"),
        Row(GROUP, "first look, slowest page", max(first), "ms", None, "info",
            f"{len(first)} pages in {sum(first):,.0f} ms: the last day, and a week of what is owed"),
        Row(GROUP, "tables not read by their primary key", keys, "tables", 0, "lower",
            "EXPLAIN of both statements"),
    ]  # fmt: skip


async def _looks(pull: Dujiaoka, marks: list[str], now_ms: int) -> AsyncIterator[tuple[float, int]]:
    """Read up to the end; how long each page took, in ms, and how many events it had."""
    while True:
        began = time.perf_counter()
        polled = await pull.poll(marks[0], now_ms)
        marks[0] = polled.mark
        yield (time.perf_counter() - began) * 1_000, len(polled.events)
        if polled.is_last:
            return


async def _last(pull: Dujiaoka, now_ms: int) -> str:
    marks = [""]
    async for _page in _looks(pull, marks, now_ms):
        pass
    return marks[0]


async def _keys(access: DatabaseAccess) -> int:
    """How many tables of the two statements are not read through their primary key."""
    database = Database(access)
    wrong = 0
    newest = (await database.rows("SELECT MAX(id) AS id FROM orders"))[0]["id"]
    looks = list(range(newest - LOOKS_MAX, newest))
    places = places_for(looks)
    states = f"SELECT {ROWS.order_id} AS id, {ROWS.state} AS state FROM {ROWS.table}"
    for statement, args in (
        (f"{states} WHERE (o.id >= %s OR o.id IN ({places})) ORDER BY o.id LIMIT 1001",
         [newest, *looks]),
        (f"{ROWS.select} WHERE o.id IN ({places}) ORDER BY o.id", looks),
    ):  # fmt: skip
        plan = await database.rows(f"EXPLAIN {statement}", args)
        wrong += sum(row["key"] != "PRIMARY" for row in plan)
    await database.close()
    return wrong
