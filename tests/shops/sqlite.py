"""A SQLite file as a shop keeps it: WAL, written by a connection of the shop's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw

from monitor.model.endpoints import DatabaseAccess
from tests.databases import ShopDatabase


class Cursor:
    """Executes what the other databases' drivers do."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._cursor = connection.cursor()

    def execute(self, sql: str, args: Sequence[Any] = ()) -> None:
        """Run one statement with `%s` for values."""
        self._cursor.execute(sql.replace("%s", "?").replace("%%", "%"), tuple(args))

    def fetchall(self) -> list[Any]:
        """The rows of the last statement."""
        return self._cursor.fetchall()


class Connection:
    """The shop's own connection."""

    def __init__(self, path: Path) -> None:
        self.apsw = apsw.Connection(str(path))
        self.apsw.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")

    def cursor(self) -> Cursor:
        """As the other drivers have it."""
        return Cursor(self.apsw)

    def close(self) -> None:
        """Hang up."""
        self.apsw.close()


@contextmanager
def sqlite_database(path: Path, script: str) -> Iterator[ShopDatabase]:
    """A file with the tables of a shop; what only MySQL understands in the script is left out."""
    with closing(Connection(path)) as shop:
        database = ShopDatabase(DatabaseAccess(f"sqlite://{path}"), shop, {})
        script = script.replace("integer NOT NULL AUTO_INCREMENT", "INTEGER NOT NULL")
        script = re.sub(r"\) ENGINE=[^;]*;", ");", script)
        database.make(script)
        yield database
