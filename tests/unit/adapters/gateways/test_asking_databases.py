"""Gateways that are asked where they keep their orders, in real databases with their real keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.gateways.asking import asker_of
from monitor.adapters.gateways.query_vpay_database import WINDOW_ROWS, VpayDatabaseAsker
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.database import Database
from monitor.model.endpoints import DatabaseAccess, GatewayAccess
from monitor.model.gateways import GatewayKeys, Inquiry, Meaning, Reported
from tests.databases import Servers, ShopDatabase

TABLES = {
    "epusdt": "CREATE TABLE orders (id BIGINT, trade_id VARCHAR(32), order_id VARCHAR(32), "
    "amount DECIMAL(19,4), status INT, UNIQUE (order_id), UNIQUE (trade_id))",
    "bepusdt": "CREATE TABLE bep_order (id BIGINT, trade_id VARCHAR(128), order_id VARCHAR(128), "
    "money VARCHAR(32), status INT)",
    "vpay": (
        "CREATE TABLE pay_order (id BIGINT(20) NOT NULL AUTO_INCREMENT, close_date BIGINT(20) NOT NULL, "
        "create_date BIGINT(20) NOT NULL, is_auto INT(11) NOT NULL, notify_url VARCHAR(255), "
        "order_id VARCHAR(255), param VARCHAR(255), pay_date BIGINT(20) NOT NULL, pay_id VARCHAR(255), "
        "pay_url VARCHAR(255), price DOUBLE NOT NULL, really_price DOUBLE NOT NULL, "
        "return_url VARCHAR(255), state INT(11) NOT NULL, type INT(11) NOT NULL, "
        "PRIMARY KEY (id)) ENGINE=MyISAM DEFAULT CHARSET=utf8"
    ),
}
ROWS = {
    "epusdt": "INSERT INTO orders VALUES (1,'T1','A1',88.8,2), (2,'T2','A2',9,1)",
    "bepusdt": "INSERT INTO bep_order VALUES (1,'T1','A1','88.80',2), (2,'T2','A2','9',1)",
    "vpay": "INSERT INTO pay_order (id, close_date, create_date, is_auto, pay_date, pay_id, price, "
    "really_price, state, type) VALUES (1,0,1795140000,1,1795140008,'A1',88.8,88.8,2,1), "
    "(2,0,1795140000,1,0,'A2',9,9,0,1), (3,0,1795140007,0,0,'无订单转账',88.81,88.81,1,1)",
}
FOUND: dict[str, tuple[Reported, ...]] = {
    kind: (
        Reported("A1", Meaning.PAID, trade[0], 8880, paid_ms),
        Reported("A2", Meaning.WAITING, trade[1], 900),
        Reported("A3", Meaning.UNKNOWN),
    )
    for kind, trade, paid_ms in (
        ("epusdt", ("T1", "T2"), None), ("bepusdt", ("T1", "T2"), None),
        ("vpay", ("A1", "A2"), 1_795_140_008_000),
    )
}  # fmt: skip
FOUND["vpay"] += (Reported("transfer-3", Meaning.PAID, "", 8881, 1_795_140_007_000, is_stray=True),)


@pytest.mark.parametrize("kind", sorted(TABLES))
async def test_gateways_own_database_answers_for_all_orders_at_once(
    kind: str, mariadb_server: Servers
) -> None:
    """Read as MariaDB has it: decimals, doubles and texts alike."""
    database = mariadb_server.database(f"{TABLES[kind]};\n{ROWS[kind]}")
    asker = asker_of(GatewayAccess("gate", kind, database=database.access), HttpClient(), Database)
    try:
        assert await asker.ask([Inquiry(one) for one in ("A1", "A2", "A3")]) == FOUND[kind]
    finally:
        await asker.close()


async def test_sqlite_of_epusdt_is_read_where_it_lies(tmp_path: Path) -> None:
    """The database that epusdt makes when it is given none."""
    with sqlite3.connect(tmp_path / "epusdt.db") as shop:
        shop.execute(TABLES["epusdt"])
        shop.execute(ROWS["epusdt"])
    place = DatabaseAccess(f"sqlite:///{tmp_path / 'epusdt.db'}")
    asker = asker_of(GatewayAccess("gate", "epusdt", database=place), HttpClient(), Database)
    try:
        assert await asker.ask([Inquiry(one) for one in ("A1", "A2", "A3")]) == FOUND["epusdt"]
    finally:
        await asker.close()


ORDER = (
    "INSERT INTO pay_order (close_date, create_date, is_auto, pay_date, pay_id, price, really_price, "
    "state, type) VALUES (0, 1795140000, 1, 0, %s, 9.9, 9.9, %s, 1)"
)


def vpay_with(servers: Servers, rows: int) -> ShopDatabase:
    """A table of V免签 with so many orders of earlier days."""
    made = servers.database(TABLES["vpay"])
    made.write(
        "INSERT INTO pay_order (close_date, create_date, is_auto, pay_date, pay_id, price, "
        "really_price, state, type) SELECT 1, 1795130000, 1, 0, CONCAT('old', seq), 9.9, 9.9, -1, 1 "
        f"FROM seq_1_to_{rows}"
    )
    return made


class Counted:
    """A database, and how many rows its server read for us."""

    def __init__(self, access: DatabaseAccess) -> None:
        self._database = Database(access)

    async def rows(self, sql: str, args: Sequence[object] = ()) -> Sequence[Mapping[str, Any]]:
        return await self._database.rows(sql, args)

    async def read(self) -> int:
        told = await self._database.rows("SHOW SESSION STATUS LIKE 'Handler_read%%'", ())
        return sum(int(row["Value"]) for row in told)

    async def close(self) -> None:
        await self._database.close()


async def test_rows_read_of_vpay_do_not_grow_with_its_table(mariadb_server: Servers) -> None:
    """The window once, then what is new and what is asked about, however long the table is."""
    figures = []
    for size in (10 * WINDOW_ROWS, 30 * WINDOW_ROWS):
        gate = vpay_with(mariadb_server, size)
        database = Counted(gate.access)
        asker = VpayDatabaseAsker(GatewayAccess("gate", "vpay"), database)
        inquiries = [Inquiry(f"A{one}") for one in range(50)]
        read = [await database.read()]
        for _ in range(3):
            gate.write(ORDER, f"A{len(read)}", 0)
            await asker.ask(inquiries)
            read.append(await database.read())
        figures.append([after - before for before, after in pairwise(read)])
        await asker.close()
    assert figures[0] == figures[1]
    first, *later = figures[0]
    assert first <= WINDOW_ROWS + 50
    assert max(later) <= 100


async def test_order_of_vpay_is_followed_by_its_own_number(mariadb_server: Servers) -> None:
    """It is found when it comes, paid when it is paid; one further up may exist: nothing is said of it."""
    gate = vpay_with(mariadb_server, WINDOW_ROWS + 10)
    asker = VpayDatabaseAsker(GatewayAccess("gate", "vpay"), Database(gate.access))
    asked = [Inquiry("A1"), Inquiry("old1"), Inquiry("made up")]
    assert await asker.ask(asked) == ()
    gate.write(ORDER, "A1", 0)
    assert await asker.ask(asked) == (Reported("A1", Meaning.WAITING, "A1", 990),)
    gate.write("UPDATE pay_order SET state = 1, pay_date = 1795140008 WHERE pay_id = %s", "A1")
    paid = Reported("A1", Meaning.PAID, "A1", 990, 1_795_140_008_000)
    assert await asker.ask(asked) == (paid,)
    gate.write("TRUNCATE pay_order")
    assert [one.meaning for one in await asker.ask(asked)] == [Meaning.UNKNOWN] * 3
    gate.write(ORDER, "A1", 1)
    gate.write(ORDER, "无订单转账", 1)
    found = await asker.ask(asked)
    assert [(one.order_id, one.meaning) for one in found] == [
        ("A1", Meaning.PAID), ("old1", Meaning.UNKNOWN), ("made up", Meaning.UNKNOWN),
        ("transfer-2", Meaning.PAID),
    ]  # fmt: skip
    await asker.close()


async def test_row_of_vpay_that_makes_no_sense_tells_no_time(mariadb_server: Servers) -> None:
    """A time that no calendar has, and a state nobody described: said as far as it is known."""
    gate = mariadb_server.database(TABLES["vpay"])
    gate.write(ORDER, "A1", 7)
    gate.write("UPDATE pay_order SET pay_date = -5")
    asker = VpayDatabaseAsker(GatewayAccess("gate", "vpay"), Database(gate.access))
    assert await asker.ask([Inquiry("A1")]) == (Reported("A1", Meaning.UNKNOWN, "A1", 990),)
    await asker.close()


async def test_order_that_stands_in_param_is_found_there(mariadb_server: Servers) -> None:
    """Dujiaoka makes up a `payId`; its own number is what orders are asked by."""
    gate = mariadb_server.database(TABLES["vpay"])
    gate.write(ORDER, "202611230500001", 1)
    gate.write("UPDATE pay_order SET param = 'SN00000000000001'")
    access = GatewayAccess("gate", "vpay", keys=GatewayKeys(order_in="param"))
    asker = VpayDatabaseAsker(access, Database(gate.access))
    (found,) = await asker.ask([Inquiry("SN00000000000001")])
    assert (found.order_id, found.meaning) == ("SN00000000000001", Meaning.PAID)
    await asker.close()
