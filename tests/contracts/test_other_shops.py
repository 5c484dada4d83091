"""The suite of `ShopPull` over shops on MariaDB, PostgreSQL and SQLite, and what is special there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import apsw
import pytest

from monitor.adapters.shops import dujiao_next, walk
from monitor.model.events import EventType
from tests.contracts.shop_contract import (
    POLL_MS,
    START_MS,
    MySqlShopContract,
    Reader,
    ShopContract,
    told,
)
from tests.databases import Servers
from tests.shops.bench import SECRET, ShopBench
from tests.shops.card_shops import KamiFakaBench, ZfakaBench
from tests.shops.dujiao_next import KEYS, DujiaoNextBench
from tests.shops.sqlite import sqlite_database

STALLS: dict[str, tuple[type[ShopBench], str]] = {
    "zfaka": (ZfakaBench, "mariadb"),
    "kami-faka": (KamiFakaBench, "mariadb"),
    "kami-faka sqlite": (KamiFakaBench, "sqlite"),
    "dujiao-next": (DujiaoNextBench, "postgresql"),
    "dujiao-next sqlite": (DujiaoNextBench, "sqlite"),
}


@pytest.fixture(params=sorted(STALLS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ShopBench]:
    """Each make on each of its databases, with empty tables of its own."""
    make, engine = STALLS[request.param]
    key, time = KEYS.get(engine, ("", ""))
    script = make.script.replace("{key}", key).replace("{time}", time)
    with ExitStack() as stack:
        if engine == "sqlite":
            database = stack.enter_context(sqlite_database(tmp_path / "shop.db", script))
        elif engine == "postgresql":
            database = request.getfixturevalue("postgresql_database")
            database.make(script)
        else:
            servers: Servers = request.getfixturevalue("mariadb_server")
            database = servers.database(script)
            stack.callback(database.shop.close)
        yield make(database)


class TestOtherShops(ShopContract):
    """The suite, on every database."""


@pytest.mark.parametrize("bench", ["kami-faka", "zfaka"], indirect=True)
class TestOtherShopsOnMySql(MySqlShopContract):
    """What is promised besides where many write at once."""


def count_statements(reader: Reader) -> list[str]:
    """Statements from now on, as they are asked."""
    asked: list[str] = []
    database = vars(reader.pull)["_database"]  # all have one
    inner = database.rows

    async def rows(sql: str, args: Sequence[object] = ()) -> list[dict[str, Any]]:
        asked.append(sql)
        found: list[dict[str, Any]] = await inner(sql, args)
        return found

    database.rows = rows
    return asked


async def test_quiet_shop_is_asked_two_statements(bench: ShopBench) -> None:
    """An interval in which nothing happens costs two statements, with orders open and done."""
    reader = Reader(bench)
    bench.owe(1, START_MS)
    bench.create(2, START_MS)
    await reader.poll(START_MS + POLL_MS)
    asked = count_statements(reader)
    await reader.poll(START_MS + 2 * POLL_MS)
    assert 1 <= len(asked) <= 2
    await reader.pull.close()


async def test_many_orders_come_in_pages_and_none_is_missed(bench: ShopBench) -> None:
    """More than a page of one second, between two looks."""
    reader = Reader(bench)
    await reader.poll(START_MS)
    orders = (dujiao_next.PAGE if isinstance(bench, DujiaoNextBench) else walk.PAGE) + 20
    for number in range(1, orders + 1):
        bench.create(number, START_MS)
    found = await reader.poll(START_MS + POLL_MS)
    await reader.pull.close()
    created = {one.order_id for one in found if one.type == EventType.CREATED}
    assert created == {bench.order_id(number, START_MS) for number in range(1, orders + 1)}


@pytest.mark.parametrize("bench", ["dujiao-next sqlite", "kami-faka sqlite"], indirect=True)
async def test_shop_on_sqlite_writes_while_it_is_read(bench: ShopBench) -> None:
    """The shop holds the lock for writing; it is read as it was before, and can finish at once."""
    bench.create(1, START_MS)
    reader = Reader(bench)
    connection: apsw.Connection = bench.database.shop.apsw
    connection.execute("PRAGMA busy_timeout = 0")  # one refusal would be seen
    connection.execute("BEGIN IMMEDIATE")
    bench.create(2, START_MS)
    before = await reader.poll(START_MS + POLL_MS)
    connection.execute("COMMIT")
    after = await reader.poll(START_MS + 2 * POLL_MS)
    await reader.pull.close()
    assert {one.order_id for one in before} == {bench.order_id(1, START_MS)}
    assert bench.order_id(2, START_MS) in {one.order_id for one in after}


@pytest.mark.parametrize("bench", ["kami-faka", "kami-faka sqlite"], indirect=True)
async def test_goods_of_kami_faka_that_a_person_hands_over_are_left_out(bench: ShopBench) -> None:
    """The shop says done at once and never learns more: nothing is said rather than a guess."""
    assert isinstance(bench, KamiFakaBench)
    bench.by_hand(1, START_MS)
    reader = Reader(bench)
    assert await reader.poll(START_MS + POLL_MS) == []
    await reader.pull.close()


@pytest.mark.parametrize("bench", ["kami-faka"], indirect=True)
async def test_old_orders_of_kami_faka_that_were_made_are_not_owed(bench: ShopBench) -> None:
    """Paid two days ago with a row in "order": a first look must not take it for lost money."""
    bench.create(1, START_MS)
    bench.step("cards", 1, START_MS, START_MS)
    reader = Reader(bench)
    assert await reader.poll(START_MS + 2 * 86_400_000) == []
    await reader.pull.close()


@pytest.mark.parametrize("bench", ["zfaka"], indirect=True)
async def test_single_card_of_zfaka_by_hand_is_told_from_an_automatic_one(bench: ShopBench) -> None:
    """One card is one card: that a person sent it later is known because it was seen waiting."""
    reader = Reader(bench)
    for number in (1, 2):
        bench.create(number, START_MS)
    bench.database.write("UPDATE t_order SET number = 1")
    bench.step("short", 1, START_MS, START_MS + 20_000)
    await reader.poll(START_MS + 30_000)
    bench.step("send", 1, START_MS, START_MS + 300_000)
    bench.step("cards", 2, START_MS, START_MS + 290_000)
    bench.database.write("UPDATE t_order SET kami = %s WHERE status = 2", SECRET)
    await reader.poll(START_MS + 315_000)
    await reader.pull.close()
    times = {name: order.facts.delivered_ms for name, order in reader.orders().items()}
    assert times == {
        bench.order_id(1, START_MS): START_MS + 315_000,
        bench.order_id(2, START_MS): START_MS + 290_000,
    }


@pytest.mark.parametrize("bench", ["zfaka", "dujiao-next"], indirect=True)
async def test_cards_are_counted_and_a_shared_one_is_not(bench: ShopBench) -> None:
    """Two cards are two units, each with its digest; the card that everybody gets is no evidence."""
    reader = Reader(bench)
    await told(bench, reader)
    for order in reader.orders().values():
        units = {
            (len(event.goods), event.goods_units)
            for event in order.timeline
            if event.type == EventType.DELIVERED and event.goods
        }
        assert units <= {(2, 2)}
    shared = [order for order in reader.orders().values() if order.facts.sku == "9"]
    assert all(not event.goods for order in shared for event in order.timeline)


@pytest.mark.parametrize("bench", ["dujiao-next sqlite"], indirect=True)
async def test_texts_of_two_zones_are_compared_as_moments(bench: ShopBench) -> None:
    """10:00+08:00 is before 02:30+00:00 though its text is greater: neither is missed or told for ever."""
    assert isinstance(bench, DujiaoNextBench)
    reader = Reader(bench)
    bench.create(1, START_MS)
    await reader.poll(START_MS + POLL_MS)
    bench.step("pay", 1, START_MS, START_MS + 3_600_000)  # in the zone of the machine
    found = await reader.poll(START_MS + 3_615_000)
    assert EventType.ACCEPTED in {event.type for event in found}
    bench.create(2, START_MS + 7_200_000)  # in UTC
    found = await reader.poll(START_MS + 7_215_000)
    assert {event.order_id for event in found} == {bench.order_id(2, START_MS + 7_200_000)}
    assert await reader.poll(START_MS + 7_230_000) == []
    await reader.pull.close()


def test_columns_that_are_read_are_told_before_the_first_row() -> None:
    """`connect` and `doctor` look for these; each of them is in the shop's own tables."""
    for make, _engine in STALLS.values():
        for table, columns in make.kind.tables.items():
            script = make.script.replace("`", "").partition(f"CREATE TABLE {table} (")[2]
            written = {
                line.split()[0] for line in script.partition(");")[0].splitlines() if line.strip()
            }
            assert (make.name, table, set(columns) - written) == (make.name, table, set())
        assert make.kind.order_id in make.kind.tables[make.kind.orders]
        assert make.kind.created in make.kind.tables[make.kind.orders]
