"""What a shop has left is counted by goods, as its orders name them; used up counts as none left."""

from monitor.adapters.shops.unsold import UnsoldCards
from monitor.model.endpoints import ShopSource
from tests.databases import Servers, ShopDatabase
from tests.shops.stalls import AcgFakaBench, DujiaokaBench


def cards(kind: str, database: ShopDatabase) -> UnsoldCards:
    return UnsoldCards(ShopSource("main", kind, database=database.access), database.access)


async def test_cards_of_dujiaoka_are_those_that_are_sold_once(mariadb_server: Servers) -> None:
    """Sold, deleted and reusable ones are not left; goods without any are known to be out."""
    database = mariadb_server.database(DujiaokaBench.script)
    for goods, status, is_loop, deleted in (
        (7, 1, 0, None), (7, 1, 0, None), (7, 2, 0, None), (7, 1, 0, "2026-01-01 00:00:00"),
        (8, 1, 1, None), (9, 1, 0, None),
    ):  # fmt: skip
        database.write(
            "INSERT INTO carmis (goods_id, status, is_loop, carmi, deleted_at)"
            " VALUES (%s, %s, %s, 'secret', %s)", goods, status, is_loop, deleted,
        )  # fmt: skip
    counted = cards("dujiaoka", database)
    assert await counted.count() == {"7": 2, "9": 1}
    database.write("UPDATE carmis SET status = 2 WHERE goods_id = 9")
    assert await counted.count() == {"7": 2, "9": 0}
    await counted.close()
    database.shop.close()


async def test_cards_of_acg_faka_count_until_they_are_sold(mariadb_server: Servers) -> None:
    """One that is locked for an order is still there."""
    database = mariadb_server.database(AcgFakaBench.script)
    for status in (0, 1, 2):
        database.write(
            "INSERT INTO acg_card (commodity_id, secret, create_time, status)"
            " VALUES (3, 'secret', '2026-01-01 00:00:00', %s)", status,
        )  # fmt: skip
    counted = cards("acg-faka", database)
    assert await counted.count() == {"3": 2}
    await counted.close()
    database.shop.close()
