"""Databases of shops for tests: one server of each kind per run, a database of its own per test.

Orders are written as the shop does, by a user who may do all; they are read by `READER`, who may
do nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import pytest
from pg8000 import dbapi

from monitor.model.endpoints import DatabaseAccess
from monitor.model.secret import Secret
from tests.mariadb import PASSWORD, USER, mariadb
from tests.postgresql import postgresql

READER = "reader"
READER_PASSWORD = "may-only-read"
TABLES = Path(__file__).with_name("receivers") / "tables"
_numbers = count(1)


class ShopDatabase(msgspec.Struct, frozen=True):
    """One database: how it is read, and a connection of the shop's own that commits by itself."""

    access: DatabaseAccess
    shop: Any
    place: dict[str, Any]

    def write(self, sql: str, *args: object) -> Any:
        """Change something as the shop; returns the cursor."""
        cursor = self.shop.cursor()
        cursor.execute(sql, args)
        return cursor

    def make(self, script: str) -> None:
        """Run a file of statements, such as the shop's tables."""
        for statement in script.split(";\n"):
            if statement.strip():
                self.write(statement.replace("%", "%%"))


class Servers(msgspec.Struct, frozen=True):
    """The MariaDB of this run."""

    place: dict[str, Any]

    def database(self, script: str = "", name: str = "") -> ShopDatabase:
        """Make an empty database, with tables if there is a script."""
        name = name or f"shop{next(_numbers)}"
        shop = pymysql.connect(**self.place, autocommit=True, charset="utf8mb4")
        with shop.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            cursor.execute(f"USE {name}")
            cursor.execute(f"GRANT SELECT ON {name}.* TO '{READER}'@'127.0.0.1'")
        url = f"mysql://{READER}@127.0.0.1:{self.place['port']}/{name}"
        made = ShopDatabase(
            DatabaseAccess(url, Secret(READER_PASSWORD)), shop, {**self.place, "database": name}
        )
        made.make(script)
        return made


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A MariaDB for all tests of this run."""
    with mariadb(tmp_path_factory.mktemp("mariadb")) as place:
        with pymysql.connect(**place) as root, root.cursor() as rows:
            rows.execute(f"CREATE USER '{READER}'@'127.0.0.1' IDENTIFIED BY '{READER_PASSWORD}'")
            rows.execute("SET GLOBAL log_output = 'TABLE', general_log = ON")
        yield Servers(place)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[int]:
    """The port of a PostgreSQL for all tests of this run."""
    with postgresql() as port:
        with _superuser(port, "postgres") as shop:
            shop.cursor().execute(f"CREATE USER {READER} PASSWORD '{READER_PASSWORD}'")
        yield port


@pytest.fixture
def postgresql_database(postgresql_server: int) -> Iterator[ShopDatabase]:
    """An empty database; tables that are made in it can be read by `READER`."""
    name = f"shop{next(_numbers)}"
    with _superuser(postgresql_server, "postgres") as shop:
        shop.cursor().execute(f"CREATE DATABASE {name}")
    with _superuser(postgresql_server, name) as shop:
        shop.cursor().execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER}"
        )
        url = f"postgresql://{READER}@127.0.0.1:{postgresql_server}/{name}"
        yield ShopDatabase(DatabaseAccess(url, Secret(READER_PASSWORD)), shop, {})


def _superuser(port: int, name: str) -> Any:
    connection = dbapi.connect(USER, host="127.0.0.1", port=port, database=name, password=PASSWORD)
    connection.autocommit = True
    return connection
