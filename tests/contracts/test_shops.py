"""Every shop whose tables are read keeps the promises of `ShopPull`, on a real database."""

from collections.abc import Iterator

import pytest

from tests.contracts.shop_contract import MySqlShopContract
from tests.databases import Servers
from tests.shops.bench import ShopBench
from tests.shops.stalls import BENCHES


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, mariadb_server: Servers) -> Iterator[ShopBench]:
    """Each make in turn, with empty tables of its own."""
    make = BENCHES[request.param]
    database = mariadb_server.database(make.script)
    yield make(database)
    database.shop.close()


class TestShops(MySqlShopContract):
    """The suite."""
