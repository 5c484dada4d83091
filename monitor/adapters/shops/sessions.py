"""Sessions of three kinds of databases that can only read, and their errors in our own words.

Drivers are imported when they are needed: the command line starts without them. What a driver says
is never passed on, because it may quote a value; names of tables and columns are.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, NoReturn, Protocol

from monitor.adapters.shops.database_url import MYSQL, POSTGRESQL, Place
from monitor.model.errors import SourceError
from monitor.model.secret import Secret

CONNECT_S = 5
STATEMENT_S = 5
SILENT_S = 10  # the server may be gone without a word
SQLITE_BUSY_MS = 1_000
SQLITE_STEPS = 10_000  # of its machine between two looks at the time

Row = dict[str, Any]


class ConnectionLostError(SourceError):
    """The server hung up; the statement can be asked again on a new connection."""


class Session(Protocol):
    """An open connection; called from one thread."""

    def rows(self, sql: str, args: Sequence[object]) -> list[Row]:
        """The rows of a SELECT; raises SourceError."""
        ...

    def close(self) -> None:
        """Hang up; never raises."""
        ...


def open_session(place: Place, password: Secret | None) -> Session:
    """Connect; raises SourceError."""
    shown = password.reveal() if password is not None else ""
    if place.engine == MYSQL:
        return MySqlSession(place, shown)
    if place.engine == POSTGRESQL:
        return PostgreSqlSession(place, shown)
    return SqliteSession(place)


class ServerSession(ABC):
    """What the drivers of servers have in common (PEP 249): `_errors` are what they raise."""

    _connection: Any
    _errors: tuple[type[Exception], ...]

    def rows(self, sql: str, args: Sequence[object]) -> list[Row]:
        """See Session."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, tuple(args))
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
        except self._errors as error:
            self._fail(error)

    def close(self) -> None:
        """See Session."""
        with suppress(*self._errors):
            self._connection.close()

    @abstractmethod
    def _fail(self, error: Exception) -> NoReturn:
        """Say it in our own words. Raises: SourceError."""


class MySqlSession(ServerSession):
    """MySQL and MariaDB."""

    def __init__(self, place: Place, password: str) -> None:
        import pymysql  # noqa: PLC0415 - see the module

        self._place, self._errors = place, (pymysql.err.MySQLError, OSError)
        try:
            self._connection = pymysql.connect(
                user=place.user, password=password, database=place.name,
                host=place.host, port=place.port, unix_socket=place.socket,
                charset="utf8mb4", autocommit=True, local_infile=False,
                connect_timeout=CONNECT_S, read_timeout=SILENT_S, write_timeout=SILENT_S,
            )  # fmt: skip
            self._restrict()
        except self._errors as error:
            self._fail(error)

    def _restrict(self) -> None:
        """No write, no lock, no long statement; names in double quotes, as elsewhere.

        The time zone is left as it is: the shop reads and writes its TIMESTAMPs with it, too.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            is_mariadb = "MariaDB" in str(cursor.fetchone())
            limit = (
                f"max_statement_time = {STATEMENT_S}"
                if is_mariadb
                else f"max_execution_time = {STATEMENT_S * 1_000}"
            )
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY")
            cursor.execute(f"SET SESSION sql_mode = 'ANSI_QUOTES', {limit}")

    def _fail(self, error: Exception) -> NoReturn:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = str(error.args[1]) if len(error.args) > 1 else ""
        raise _told(self._place, _MYSQL.get(code, ""), f"error {code}", _named(said)) from None


class PostgreSqlSession(ServerSession):
    """PostgreSQL."""

    def __init__(self, place: Place, password: str) -> None:
        from pg8000 import dbapi  # noqa: PLC0415 - see the module

        self._place, self._errors = place, (dbapi.Error, OSError)
        try:
            self._connection = dbapi.connect(
                user=place.user, password=password, database=place.name,
                host=place.host, port=place.port, unix_sock=place.socket,
                timeout=SILENT_S, application_name="delivery-monitor",
                startup_params={
                    "default_transaction_read_only": "on",
                    "statement_timeout": str(STATEMENT_S * 1_000),
                    "lock_timeout": "1000",
                },
            )  # fmt: skip
        except self._errors as error:
            self._fail(error, is_opening=True)
        self._connection.autocommit = True

    def _fail(self, error: Exception, *, is_opening: bool = False) -> NoReturn:
        told = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
        code = str(told.get("C", ""))
        if not code:  # it is not the server that speaks
            kind = "unreachable" if is_opening else "lost"
        else:
            kind = _POSTGRESQL.get(code) or _POSTGRESQL.get(code[:2], "")
        raise _told(self._place, kind, f"error {code}", _named(str(told.get("M", "")))) from None


class SqliteSession:
    """SQLite: a file that is opened for reading only, and never made."""

    def __init__(self, place: Place) -> None:
        import apsw  # noqa: PLC0415 - see the module

        self._place, self._error = place, apsw.Error
        self._until_s = 0.0
        try:
            self._connection = apsw.Connection(place.name, flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(SQLITE_BUSY_MS)
            self._connection.execute("PRAGMA query_only = 1")
            self._connection.set_progress_handler(self._is_too_long, SQLITE_STEPS)
        except apsw.Error as error:
            self._fail(error)

    def rows(self, sql: str, args: Sequence[object]) -> list[Row]:
        """See Session."""
        self._until_s = time.monotonic() + STATEMENT_S
        try:
            return self._asked(sql.replace("%s", "?").replace("%%", "%"), tuple(args))
        except self._error as error:
            self._fail(error)

    def close(self) -> None:
        """See Session."""
        with suppress(self._error):
            self._connection.close()

    def _asked(self, sql: str, args: tuple[object, ...]) -> list[Row]:
        names: list[str] = []
        cursor = self._connection.cursor()

        def name(asking: Any, _sql: str, _args: object) -> bool:
            names.extend(column[0] for column in asking.get_description())
            return True

        cursor.exec_trace = name
        try:
            return [dict(zip(names, values, strict=True)) for values in cursor.execute(sql, args)]
        except UnicodeDecodeError:  # SQLite takes any bytes for a text
            return self._as_bytes(sql, args, names)

    def _as_bytes(self, sql: str, args: tuple[object, ...], names: Sequence[str]) -> list[Row]:
        """The same rows, with what is no UTF-8 in a text written as its escapes: no two become one."""
        columns = ", ".join(
            f'typeof("{name}"), CASE typeof("{name}") WHEN \'text\' '
            f'THEN CAST("{name}" AS BLOB) ELSE "{name}" END'
            for name in names
        )
        asked = f"SELECT {columns} FROM ({sql})"  # noqa: S608 - names of the adapter's
        return [
            {
                name: value.decode(errors="backslashreplace") if kind == "text" else value
                for name, kind, value in zip(names, values[::2], values[1::2], strict=True)
            }
            for values in self._connection.execute(asked, args)
        ]

    def _is_too_long(self) -> bool:
        return time.monotonic() > self._until_s

    def _fail(self, error: Exception) -> NoReturn:
        name = type(error).__name__
        said = str(error)
        kind = _SQLITE.get(name, "")
        for sign, meant in (("no such table: ", "table"), ("no such column: ", "column")):
            if sign in said:
                kind, said = meant, f"'{said.partition(sign)[2]}'"
        raise _told(self._place, kind, name, _named(said)) from None


_MYSQL = {
    1045: "refused", 1698: "refused", 1044: "denied", 1142: "denied", 1143: "denied",
    1227: "denied", 1049: "database", 1146: "table", 1054: "column", 1969: "slow", 3024: "slow",
    2002: "unreachable", 2003: "unreachable", 2005: "unreachable", 1130: "refused",
    2006: "lost", 2013: "lost", 2055: "lost", 1053: "lost", 1927: "lost", 4031: "lost", 0: "lost",
    1040: "full", 1203: "full", 1226: "full",
}  # fmt: skip
_POSTGRESQL = {
    "28": "refused", "3D": "database", "42P01": "table", "42703": "column", "42501": "denied",
    "57014": "slow", "55P03": "slow", "57P": "lost", "57P01": "lost", "57P02": "lost",
    "57P03": "unreachable", "08": "lost", "25P03": "lost", "53": "full",
}  # fmt: skip
_SQLITE = {
    "CantOpenError": "unreachable", "NotADBError": "no_database", "InterruptError": "slow",
    "BusyError": "slow", "LockedError": "slow", "PermissionsError": "denied", "IOError": "lost",
    "ReadOnlyError": "denied", "AuthError": "denied",
}  # fmt: skip

_GRANT = "let the user read, and nothing else: GRANT SELECT ON {name}.* TO '{user}'@'…'"
_SENTENCES = {
    "refused": ("{place} refuses the user {user}",
                "check the user in database.url and database.password_file"),
    "denied": ("{place} does not let the user {user} read", _GRANT),
    "database": ("there is no database {place}", "check the name in database.url"),
    "table": ("{place} has no table {named}",
              "check the name in database.url, database.prefix and the kind of the source"),
    "column": ("{place} has no column {named}",
               "this release of the shop has other tables; run `delivery-monitor doctor`"),
    "slow": ("{place} took too long to answer", "see what else keeps that database busy"),
    "unreachable": ("{place} cannot be reached", "check host, port and that the database runs"),
    "lost": ("{place} hung up", "it was started again, or ended the connection"),
    "full": ("{place} takes no more connections", "raise its limit, or close what is idle"),
    "no_database": ("{place} is no SQLite database", "check the path in database.url"),
}  # fmt: skip


def _told(place: Place, kind: str, code: str, named: str) -> SourceError:
    """The error in our words; of a driver's own text only a name of a table or column is in it."""
    what, hint = _SENTENCES.get(kind, ("{place} refuses: {code}", SourceError.hint))
    words = {"place": str(place), "user": place.user, "name": place.name,
             "named": named or "that is asked for", "code": code}  # fmt: skip
    made = ConnectionLostError if kind == "lost" else SourceError
    return made(what.format_map(words), hint=hint.format_map(words))


def _named(said: str) -> str:
    """The first name in quotes, without its database."""
    found = re.search(r"""['"`]([\w$.-]{1,128})['"`]|column ([\w.]{1,128}) does""", said)
    return (found[1] or found[2]).rpartition(".")[2] if found else ""
