"""Looks at ZFAKA, kamiFaka and dujiao-next with a million rows of orders, on real databases.

The tables of the first two have no index on state or time, those of dujiao-next have one on the time
of the last change. Times are those of the whole look: statements, driver, rows into events.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pymysql
from pg8000 import dbapi

from benchmarks.row import Row
from monitor.adapters.clock import SystemClock
from monitor.adapters.shops import PULLS
from monitor.adapters.shops.facts import Facts, Naming
from monitor.model.endpoints import DatabaseAccess, ShopSource
from monitor.model.secret import Secret
from monitor.ports import ShopPull
from tests.databases import ShopDatabase
from tests.mariadb import PASSWORD, USER, mariadb
from tests.postgresql import postgresql
from tests.shops.bench import TABLES
from tests.shops.dujiao_next import KEYS
from tests.shops.many_others import fill
from tests.shops.sqlite import sqlite_database

GROUP = "shop poll"
ORDERS = 1_000_000
LIMIT_MS = 50.0
LOOKS = 50
BUSY = 50  # new orders before a look


def rows(scale: float) -> Iterator[Row]:
    """Figures of each make on each of its databases, with `ORDERS` x scale rows of orders."""
    if shutil.which("mariadbd") is None:
        print("  mariadb-server is not installed", file=sys.stderr)
        return
    orders = max(int(ORDERS * scale), 50_000)
    for kind, engine in (
        ("zfaka", "mariadb"), ("kami-faka", "mariadb"),
        ("dujiao-next", "postgresql"), ("dujiao-next", "sqlite"),
    ):  # fmt: skip
        with ExitStack() as stack:
            database = stack.enter_context(_database(kind, engine))
            now_ms = SystemClock().now_ms()
            fill(kind, engine, database, orders, now_ms)
            found = asyncio.run(_figures(kind, engine, database, orders, now_ms))
        yield from found


@contextmanager
def _database(kind: str, engine: str) -> Iterator[ShopDatabase]:
    """A server of its own with the shop's tables."""
    key, moment = KEYS.get(engine, ("", ""))
    script = (TABLES / f"{kind}.sql").read_text(encoding="utf-8")
    script = script.replace("{key}", key).replace("{time}", moment)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if engine == "sqlite":
            yield stack.enter_context(sqlite_database(folder / "shop.db", script))
            return
        if engine == "postgresql":
            port = stack.enter_context(postgresql())
            shop = dbapi.connect(USER, host="127.0.0.1", port=port, database="postgres",
                                 password=PASSWORD)  # fmt: skip
            name = "postgres"
        else:
            place = stack.enter_context(mariadb(folder))
            port, name = int(place["port"]), "shop"
            shop = pymysql.connect(**place)
            shop.cursor().execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
            shop.cursor().execute("USE shop")
        shop.autocommit = True if engine == "postgresql" else shop.autocommit
        if engine == "mariadb":
            shop.autocommit(True)
        scheme = "postgresql" if engine == "postgresql" else "mysql"
        access = DatabaseAccess(f"{scheme}://{USER}@127.0.0.1:{port}/{name}", Secret(PASSWORD))
        database = ShopDatabase(access, shop, {})
        database.make(script)
        yield database
        shop.close()


async def _figures(
    kind: str, engine: str, database: ShopDatabase, orders: int, now_ms: int
) -> list[Row]:
    source = ShopSource("main", kind, database=database.access)
    naming = Naming(lambda text: text[:1], lambda text: text[:1])
    facts = Facts("main", naming, timezone=PULLS[kind].timezone, currency="CNY")
    pull = PULLS[kind](source, facts)
    marks = [""]
    first = await _look(pull, marks, now_ms)
    quiet = [sum(await _look(pull, marks, now_ms + n * 15_000)) for n in range(LOOKS)]
    busy = []
    for n in range(LOOKS // 5):
        now = now_ms + (LOOKS + n) * 15_000
        fill(kind, engine, database, BUSY, now, orders + n * BUSY)
        busy.append(sum(await _look(pull, marks, now)))
    await pull.close()
    name = f"{kind} on {engine}"
    note = f"{orders:,} rows of orders, one every 30 s, on loopback"
    return [
        Row(GROUP, f"{name}: quiet look, median", statistics.median(quiet), "ms", LIMIT_MS,
            "lower", note),
        Row(GROUP, f"{name}: busy look, median", statistics.median(busy), "ms", LIMIT_MS, "lower",
            f"{BUSY} new orders before each"),
        Row(GROUP, f"{name}: first look, slowest page", max(first), "ms", None, "info",
            f"{len(first)} pages in {sum(first):,.0f} ms: the last day, and a week of what is owed"),
    ]  # fmt: skip


async def _look(pull: ShopPull, marks: list[str], now_ms: int) -> list[float]:
    """Read up to the end; how long each page took, in ms."""
    took = []
    while True:
        began = time.perf_counter()
        polled = await pull.poll(marks[0], now_ms)
        took.append((time.perf_counter() - began) * 1_000)
        marks[0] = polled.mark
        if polled.is_last:
            return took
