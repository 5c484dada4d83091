"""One look at a shop's database says what is there, what is missing, and what is wrong."""

from pathlib import Path

import apsw
import msgspec
import pytest

from monitor.adapters.shops import PULLS
from monitor.adapters.shops.database import Database
from monitor.adapters.shops.probe import Probe, _probe, probe
from monitor.model.endpoints import DatabaseAccess, ShopSource
from monitor.model.errors import SourceError
from monitor.model.secret import Secret
from tests.databases import Servers, ShopDatabase
from tests.mariadb import PASSWORD, USER
from tests.shops import corner_shop
from tests.shops.stalls import BENCHES

NOW = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def source(kind: str, access: DatabaseAccess, zone: str = "Asia/Shanghai") -> ShopSource:
    """A shop as it is configured."""
    return ShopSource("main", kind, database=access, timezone=zone, currency="CNY")


def said(found: Probe) -> list[str]:
    """Problems apart from the clock: the test stands in January."""
    return [what for what, _advice in found.problems() if "clock" not in what]


@pytest.mark.parametrize("kind", sorted(BENCHES))
async def test_shop_that_is_all_there_has_no_problem(mariadb_server: Servers, kind: str) -> None:
    """Orders are counted, the newest is placed in the shop's zone, the version is told."""
    make = BENCHES[kind]
    bench = make(mariadb_server.database(make.script))
    bench.create(1, NOW - 120_000)
    bench.create(2, NOW - 60_000)
    found = await probe(bench.source(), NOW)
    assert (found.orders, found.newest_ms, said(found)) == (2, NOW - 60_000, [])
    assert "MariaDB" in found.version
    assert {one.fact for one in found.known} >= {"created", "paid", "delivered"}
    bench.database.shop.close()


async def test_empty_shop_has_no_newest_order(mariadb_server: Servers) -> None:
    """It is there, and has sold nothing yet."""
    database = mariadb_server.database(BENCHES["dujiaoka"].script)
    found = await probe(source("dujiaoka", database.access), NOW)
    assert (found.orders, found.newest_ms, said(found)) == (0, None, [])
    database.shop.close()


async def test_what_is_missing_is_named(mariadb_server: Servers) -> None:
    """Tables with their prefix, columns with their table; nothing else is looked at then."""
    database = mariadb_server.database(BENCHES["acg-faka"].script)
    database.write("ALTER TABLE acg_order DROP COLUMN pay_time")
    database.write("DROP TABLE acg_card")
    found = await probe(source("acg-faka", database.access), NOW)
    assert found.missing == ("column acg_order.pay_time", "table acg_card")
    assert found.orders is None
    other = msgspec.structs.replace(database.access, prefix="shop_")
    found = await probe(source("acg-faka", other), NOW)
    assert found.missing[0] == "table shop_order"
    assert "no table shop_order, no table shop_card" in said(found)[0]
    database.shop.close()


async def test_wrong_zone_is_seen_at_the_newest_order(mariadb_server: Servers) -> None:
    """An order of eight hours ahead was written in Shanghai and is read as UTC."""
    make = BENCHES["dujiaoka"]
    bench = make(mariadb_server.database(make.script))
    bench.create(1, NOW)
    found = await probe(source("dujiaoka", bench.database.access, "UTC"), NOW)
    assert found.newest_ms == NOW + 8 * 3_600_000
    assert said(found) == ["its newest order was made in the future"]
    bench.database.shop.close()


async def test_user_that_may_write_is_a_problem(
    mariadb_server: Servers, postgresql_database: ShopDatabase
) -> None:
    """The shop's own user works, and is more than is needed."""
    database = mariadb_server.database(BENCHES["dujiaoka"].script)
    mighty = DatabaseAccess(database.access.url.replace("reader", USER), Secret(PASSWORD))
    assert said(await probe(source("dujiaoka", mighty), NOW)) == ["its user may write"]
    postgresql_database.write("CREATE TABLE sales (id int, made timestamp)")
    url = postgresql_database.access.url.replace("reader", USER)
    found = await looked(DatabaseAccess(url, Secret(PASSWORD)))
    assert found.may_write
    assert not (await looked(postgresql_database.access)).may_write
    assert found.version.startswith("PostgreSQL")
    database.shop.close()


async def test_clock_of_the_database_is_compared_with_ours(mariadb_server: Servers) -> None:
    """The test's clock stands in January 2026; the server's does not."""
    database = mariadb_server.database(BENCHES["dujiaoka"].script)
    found = await probe(source("dujiaoka", database.access), NOW)
    assert any("its clock is +" in what for what, _advice in found.problems())
    database.shop.close()


async def test_columns_of_a_sqlite_file_are_compared_too(tmp_path: Path) -> None:
    """Nothing but its own words for tables is different there."""
    path = tmp_path / "shop.db"
    with apsw.Connection(str(path)) as shop:
        shop.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, number TEXT, made TEXT)")
    found = await looked(DatabaseAccess(f"sqlite://{path}"))
    assert found.missing == tuple(
        f"column sales.{name}" for name in ("buyer", "paid", "sent", "goods")
    )
    assert found.version.startswith("SQLite 3.")


async def looked(access: DatabaseAccess) -> Probe:
    """What is found of the shop that is only in these tests."""
    database = Database(access)
    try:
        return await _probe(source("corner-shop", access), corner_shop.KIND, database, NOW)
    finally:
        await database.close()


async def test_database_that_cannot_be_read_is_an_error() -> None:
    """There is nothing to say about it but why."""
    with pytest.raises(SourceError, match="cannot be reached"):
        await probe(source("dujiaoka", DatabaseAccess("mysql://r@127.0.0.1:1/x")), NOW)


@pytest.mark.parametrize("kind", sorted(PULLS))
def test_every_kind_says_what_it_reads_and_knows(kind: str) -> None:
    """Its tables hold the columns by which orders are counted; no fact is named twice."""
    found = PULLS[kind]
    assert {found.order_id, found.created} <= set(found.tables[found.orders])
    facts = [one.fact for one in found.known]
    assert len(facts) == len(set(facts))
    assert {"created", "paid", "delivered"} <= set(facts)
