"""A shop's database is read and never touched; whatever it answers is one line without secrets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from monitor.adapters.shops.database import Database, places_for
from monitor.adapters.shops.database_url import Place, parse_url
from monitor.model.endpoints import DatabaseAccess
from monitor.model.errors import InputError, SourceError
from monitor.model.secret import Secret
from tests.databases import Servers, ShopDatabase

WRONG = "a-wrong-password-4711"
ROWS = [{"id": 1, "order": "A"}, {"id": 2, "order": "50%"}]


@asynccontextmanager
async def opened(access: DatabaseAccess) -> AsyncIterator[Database]:
    """A database that is closed afterwards."""
    database = Database(access)
    try:
        yield database
    finally:
        await database.close()


async def refusal(access: DatabaseAccess, sql: str) -> SourceError:
    """What asking comes to."""
    async with opened(access) as database:
        with pytest.raises(SourceError) as caught:
            await database.rows(sql)
    assert caught.value.__cause__ is None
    assert "\n" not in f"{caught.value}{caught.value.hint}"
    return caught.value


def fill(database: ShopDatabase) -> None:
    """Two rows in a table whose column is a word of the language."""
    name = "`order`" if database.place else '"order"'
    database.write(f"CREATE TABLE goods (id bigint PRIMARY KEY, {name} varchar(20))")
    for row in ROWS:
        database.write("INSERT INTO goods VALUES (%s, %s)", *row.values())


@pytest.fixture
def mysql(mariadb_server: Servers) -> ShopDatabase:
    """A MariaDB with two rows."""
    database = mariadb_server.database()
    fill(database)
    return database


@pytest.fixture
def postgres(postgresql_database: ShopDatabase) -> ShopDatabase:
    """A PostgreSQL with the same."""
    fill(postgresql_database)
    return postgresql_database


@pytest.fixture
def sqlite(tmp_path: Path) -> DatabaseAccess:
    """A SQLite file with the same."""
    path = tmp_path / "shop.db"
    with apsw.Connection(str(path)) as shop:
        shop.execute('CREATE TABLE goods (id INTEGER PRIMARY KEY, "order" TEXT)')
        shop.executemany("INSERT INTO goods VALUES (?, ?)", [tuple(row.values()) for row in ROWS])
    return DatabaseAccess(f"sqlite://{path}")


@pytest.fixture(params=["mysql", "postgres", "sqlite"])
def access(request: pytest.FixtureRequest) -> DatabaseAccess:
    """The access to a database of each kind in turn."""
    made = request.getfixturevalue(request.param)
    return made.access if isinstance(made, ShopDatabase) else made


async def test_one_statement_reads_each_kind_of_database(access: DatabaseAccess) -> None:
    """Values, a percent sign and a name that is a word of the language are written one way."""
    sql = f"""SELECT id, "order" FROM goods
              WHERE id IN ({places_for(ROWS)}) AND "order" NOT LIKE '%%x' ORDER BY id"""
    async with opened(access) as database:
        assert await database.rows(sql, [1, 2]) == ROWS
        assert await database.rows("SELECT id FROM goods WHERE id > %s", [2]) == []


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO goods VALUES (9, 'x')", "UPDATE goods SET id = 9", "DELETE FROM goods",
     "CREATE TABLE mine (id int)", "DROP TABLE goods"],
)  # fmt: skip
async def test_write_is_refused_even_to_who_may_write(
    mysql: ShopDatabase, postgres: ShopDatabase, sqlite: DatabaseAccess, sql: str
) -> None:
    """The session itself cannot: it does not take a careful user to keep the shop safe."""
    from tests.mariadb import PASSWORD, USER

    for database in (mysql, postgres):
        mighty = DatabaseAccess(database.access.url.replace("reader", USER), Secret(PASSWORD))
        await refusal(mighty, sql)
    await refusal(sqlite, sql)
    assert mysql.write("SELECT count(*) FROM goods").fetchone() == (2,)
    assert postgres.write("SELECT count(*) FROM goods").fetchone() == [2]


async def test_locked_rows_are_read_without_waiting(mysql: ShopDatabase) -> None:
    """A shop that holds its rows in a transaction is not waited for, and nothing of it is seen."""
    mysql.write("BEGIN")
    mysql.write("UPDATE goods SET id = id + 10")
    async with opened(mysql.access) as database:
        assert await database.rows("SELECT id FROM goods ORDER BY id") == [{"id": 1}, {"id": 2}]
    mysql.write("ROLLBACK")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM cards", "has no table cards"),
        ("SELECT paid_at FROM goods", "has no column paid_at"),
    ],
)
async def test_other_tables_are_named(access: DatabaseAccess, sql: str, said: str) -> None:
    """A shop of another kind or release is told by what is missing."""
    assert said in str(await refusal(access, sql))


async def test_wrong_password_is_one_line_without_it(
    mysql: ShopDatabase, postgres: ShopDatabase
) -> None:
    """Place and user are named, the password is not."""
    for database in (mysql, postgres):
        error = await refusal(DatabaseAccess(database.access.url, Secret(WRONG)), "SELECT 1")
        assert "refuses the user reader" in str(error)
        assert WRONG not in f"{error!r}{error.hint}"


async def test_wrong_database_or_no_right_is_said(
    mysql: ShopDatabase, postgres: ShopDatabase
) -> None:
    """MariaDB tells a user without rights nothing of what exists; PostgreSQL does."""
    for database, said in ((mysql, "does not let the user reader read"), (postgres, "there is no")):
        url = database.access.url.rpartition("/")[0] + "/elsewhere"
        assert said in str(await refusal(DatabaseAccess(url, database.access.password), "SELECT 1"))


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    """A port without a server and a path without a file, which is not made."""
    for url in ("mysql://r@127.0.0.1:1/x", "postgresql://r@127.0.0.1:1/x"):
        assert "cannot be reached" in str(await refusal(DatabaseAccess(url), "SELECT 1"))
    path = tmp_path / "none.db"
    assert "cannot be reached" in str(await refusal(DatabaseAccess(f"sqlite://{path}"), "SELECT 1"))
    assert not path.exists()


async def test_connection_that_was_ended_is_made_again(
    mysql: ShopDatabase, postgres: ShopDatabase
) -> None:
    """What the server ended while it was idle is no outage."""
    for shop, who, kill in (
        (mysql, "SELECT CONNECTION_ID() AS id", "KILL %s"),
        (postgres, "SELECT pg_backend_pid() AS id", "SELECT pg_terminate_backend(%s)"),
    ):
        async with opened(shop.access) as database:
            before = (await database.rows(who))[0]["id"]
            shop.write(kill, before)
            assert (await database.rows(who))[0]["id"] != before


async def test_error_quotes_nothing_of_a_row(mysql: ShopDatabase, postgres: ShopDatabase) -> None:
    """Drivers quote values in some of their errors."""
    mysql.write("INSERT INTO goods VALUES (3, 'CARD-4711')")
    postgres.write("INSERT INTO goods VALUES (3, 'CARD-4711')")
    error = await refusal(postgres.access, 'SELECT CAST("order" AS int) FROM goods WHERE id = 3')
    assert "CARD-4711" not in f"{error!r}{error.hint}"
    error = await refusal(mysql.access, "SELECT EXTRACTVALUE('<a/>', concat('/', 'CARD-4711!!'))")
    assert "CARD-4711" not in f"{error!r}{error.hint}"


async def test_questions_at_once_are_asked_one_after_the_other(mysql: ShopDatabase) -> None:
    """A shop sees one connection, however many ask."""
    async with opened(mysql.access) as database:
        asked = [database.rows("SELECT CONNECTION_ID() AS id") for _ in range(5)]
        ids = {rows[0]["id"] for rows in await asyncio.gather(*asked)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mysql://r@db/shop", Place("mysql", "shop", "r", "db", 3306)),
        ("mariadb://r@127.0.0.1:3307/s", Place("mysql", "s", "r", "127.0.0.1", 3307)),
        ("mysql://r@localhost/s?socket=/run/m.sock",
         Place("mysql", "s", "r", "localhost", 3306, "/run/m.sock")),
        ("postgres://a%40b@db:6543/shop", Place("postgresql", "shop", "a@b", "db", 6543)),
        ("sqlite:///var/lib/shop.db", Place("sqlite", "/var/lib/shop.db")),
    ],
)  # fmt: skip
def test_address_is_read(url: str, place: Place) -> None:
    """The port is the usual one unless it is named."""
    assert parse_url(url) == place


@pytest.mark.parametrize(
    "url",
    ["", "shop", "oracle://r@db/shop", "mysql://db/shop", "mysql://r@db", "mysql://r@db/a/b",
     "mysql://r:pw4711@db/shop", "mysql://r@db:port/shop", "mysql://r@db/shop?ssl=1",
     "sqlite://shop.db", "sqlite:///"],
)  # fmt: skip
def test_bad_address_is_refused_without_quoting_it(url: str) -> None:
    """Each says what to write instead; one with a password does not repeat it."""
    with pytest.raises(InputError) as caught:
        parse_url(url)
    assert caught.value.hint
    assert "4711" not in f"{caught.value}{caught.value.hint}"
