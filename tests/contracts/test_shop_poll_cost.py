"""A look at a shop costs what happened since, however many orders there are: counted by the server."""

from monitor.adapters.shops.walk import LOOKS_MAX, PAGE
from tests.contracts.shop_contract import POLL_MS, START_MS, Reader
from tests.databases import READER, Servers, ShopDatabase
from tests.shops.many_orders import fill
from tests.shops.stalls import DujiaokaBench

FEW, MANY, EVERY_S = 4_000, 24_000, 200  # more than a week and more than a month


def rows_read(database: ShopDatabase) -> int:
    """How many rows the server has read for the reader's user so far."""
    found = database.write(
        "SELECT rows_read FROM information_schema.user_statistics WHERE user = %s", READER
    ).fetchone()
    return 0 if found is None else int(found[0])


async def costs(servers: Servers, orders: int) -> tuple[int, int, int]:
    """Rows read by a quiet look, by one after five new orders, and orders told by the first one."""
    bench = DujiaokaBench(servers.database(DujiaokaBench.script))
    fill(bench.database.shop, orders, START_MS, every_s=EVERY_S)
    reader = Reader(bench)
    await reader.poll(START_MS)
    told = len(reader.orders())
    marks = [rows_read(bench.database)]
    await reader.poll(START_MS + POLL_MS)
    marks.append(rows_read(bench.database))
    for number in range(orders + 1, orders + 6):
        bench.create(number, START_MS)
    await reader.poll(START_MS + 2 * POLL_MS)
    marks.append(rows_read(bench.database))
    await reader.pull.close()
    bench.database.shop.close()
    return marks[1] - marks[0], marks[2] - marks[1], told


async def test_rows_read_do_not_grow_with_the_table(mariadb_server: Servers) -> None:
    """Six times the orders, and the same rows for a look, quiet or busy, and for the first one."""
    root = mariadb_server.database().shop
    with root.cursor() as cursor:
        cursor.execute("SET GLOBAL userstat = 1")
    few, many = await costs(mariadb_server, FEW), await costs(mariadb_server, MANY)
    assert few[2] == many[2] > 0
    assert 0 < max(*few[:2], *many[:2]) <= 2 * (LOOKS_MAX + PAGE)  # each with its way of payment
    assert abs(many[0] - few[0]) <= 10
    assert abs(many[1] - few[1]) <= 10
    root.close()
