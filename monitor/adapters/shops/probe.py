"""Looks once at a shop's database: are its tables there, and what would be read from them.

For `connect` and `doctor`; unlike a look of every 15 s it may count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import msgspec

from monitor.adapters.shops import PULLS
from monitor.adapters.shops.database import Database, places_for
from monitor.adapters.shops.database_url import MYSQL, POSTGRESQL
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.sessions import Row
from monitor.model.endpoints import ShopSource
from monitor.model.errors import InputError, SourceError
from monitor.model.event_time import AHEAD_MAX_MS
from monitor.model.shops import Known
from monitor.model.times import from_datetime

CLOCK_MAX_MS = 30_000  # by which its clock may differ from ours
_NOBODY = Naming(lambda text: "", lambda text: "")
_WRITES = re.compile(r"\b(ALL PRIVILEGES|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER)\b")

_ABOUT = {
    MYSQL: "SELECT VERSION() AS version, UTC_TIMESTAMP(3) AS utc",
    POSTGRESQL: "SELECT version() AS version, now() AT TIME ZONE 'UTC' AS utc",
}
_COLUMNS = {
    MYSQL: "SELECT table_name AS t, column_name AS c FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN ({places})",
    POSTGRESQL: "SELECT table_name AS t, column_name AS c FROM information_schema.columns"
    " WHERE table_schema = ANY (current_schemas(false)) AND table_name IN ({places})",
}


class Probe(msgspec.Struct, frozen=True):
    """What was found. `missing`: tables and columns in words; then the rest was not looked at.

    `orders`: how many there are, None if counting takes too long. `newest_ms`: when the newest one
    was made, in the zone of the source; `is_newest_ahead`: that is in the future, so the zone is
    wrong. `clock_ahead_ms`: of the database's clock. `may_write`: its user could do more than read.
    """

    place: str
    version: str
    known: tuple[Known, ...]
    missing: tuple[str, ...] = ()
    orders: int | None = None
    newest_ms: int | None = None
    is_newest_ahead: bool = False
    clock_ahead_ms: int = 0
    may_write: bool = False

    def problems(self) -> list[tuple[str, str]]:
        """What is wrong, and what to do about it."""
        found = []
        if self.missing:
            found.append((
                f"{self.place} has no {', no '.join(self.missing)}",
                "check database.url, database.prefix and kind; the user needs SELECT on each table",
            ))  # fmt: skip
        if self.is_newest_ahead:
            found.append((
                "its newest order was made in the future",
                "set timezone of the source to the zone in which the shop writes its times",
            ))  # fmt: skip
        if abs(self.clock_ahead_ms) > CLOCK_MAX_MS:
            seconds = round(self.clock_ahead_ms / 1_000)
            found.append((f"its clock is {seconds:+} s from ours", "let both follow NTP"))
        if self.may_write:
            found.append((
                "its user may write",
                "give the monitor a user of its own that has nothing but SELECT",
            ))  # fmt: skip
        return found


async def probe(source: ShopSource, now_ms: int) -> Probe:
    """Look at the database of a source whose kind is in `PULLS`.

    Raises: SourceError if it cannot be read at all.
    """
    if source.database is None:
        raise SourceError(f"{source.name} has no database", hint="name it as database.url")
    database = Database(source.database)
    try:
        return await _probe(source, PULLS[source.kind], database, now_ms)
    finally:
        await database.close()


async def _probe(source: ShopSource, kind: PullKind, database: Database, now_ms: int) -> Probe:
    assert source.database is not None, "seen by the caller"
    prefix = kind.prefix or ""
    if source.database.prefix is not None:
        prefix = source.database.prefix
    version, clock_ms = await _about(database)
    found = Probe(
        str(database.place), version, kind.known,
        clock_ahead_ms=0 if clock_ms is None else clock_ms - now_ms,
        missing=tuple(await _missing(database, kind.tables, prefix)),
        may_write=await _may_write(database),
    )  # fmt: skip
    if found.missing:
        return found
    table = f'"{prefix}{kind.orders}"'
    newest = await _newest(source, kind, database, table, now_ms)
    return msgspec.structs.replace(
        found,
        orders=await _count(database, table),
        newest_ms=newest,
        is_newest_ahead=newest is not None and newest > now_ms + AHEAD_MAX_MS,
    )


async def _about(database: Database) -> tuple[str, int | None]:
    """The version, and what its clock says; a file has none of its own."""
    sql = _ABOUT.get(database.place.engine)
    if sql is None:
        return "SQLite " + str((await _one(database, "SELECT sqlite_version() AS v"))["v"]), None
    row = await _one(database, sql)
    return str(row["version"]), from_datetime(row["utc"].replace(tzinfo=UTC))


async def _missing(
    database: Database, tables: Mapping[str, tuple[str, ...]], prefix: str
) -> list[str]:
    """Tables and columns that are not there, or not for this user."""
    there: dict[str, set[str]] = {f"{prefix}{table}": set() for table in tables}
    sql = _COLUMNS.get(database.place.engine)
    if sql is None:
        for table, seen in there.items():
            rows = await database.rows("SELECT name AS c FROM pragma_table_info(%s)", [table])
            seen.update(row["c"] for row in rows)
    else:
        names = list(there)
        for row in await database.rows(sql.format(places=places_for(names)), names):
            there[row["t"]].add(row["c"])
    missing = []
    for table, columns in tables.items():
        found = there[f"{prefix}{table}"]
        if not found:
            missing.append(f"table {prefix}{table}")
        else:
            lacking = [column for column in columns if column not in found]
            missing += [f"column {prefix}{table}.{column}" for column in lacking]
    return missing


async def _may_write(database: Database) -> bool:
    if database.place.engine == MYSQL:
        grants = await database.rows("SHOW GRANTS")
        return any(_WRITES.search(str(text)) for row in grants for text in row.values())
    if database.place.engine == POSTGRESQL:
        sql = (
            "SELECT count(*) AS n FROM information_schema.table_privileges"
            " WHERE grantee = current_user AND privilege_type <> 'SELECT'"
        )
        return bool((await _one(database, sql))["n"])
    return False


async def _count(database: Database, table: str) -> int | None:
    try:
        sql = f"SELECT COUNT(*) AS n FROM {table}"  # noqa: S608 - a name of the adapter's
        return int((await _one(database, sql))["n"])
    except SourceError:
        return None


async def _newest(
    source: ShopSource, kind: PullKind, database: Database, table: str, now_ms: int
) -> int | None:
    """When the newest order was made; also if that is in the future, which no fact may be."""
    rows = await database.rows(
        f"SELECT {kind.created} AS made FROM {table} ORDER BY {kind.order_id} DESC LIMIT 1"  # noqa: S608
    )
    facts = Facts(source.name, _NOBODY, timezone=source.timezone, currency=None)
    try:
        return _placed(facts, rows[0]["made"], now_ms) if rows else None
    except InputError:
        return None


def _placed(facts: Facts, written: Any, now_ms: int) -> int | None:
    # A year ahead nothing is ahead any more: the time is read as it stands.
    when = facts.when(written, now_ms + 366 * 86_400_000)
    return None if when is None else when.time_ms


async def _one(database: Database, sql: str) -> Row:
    return (await database.rows(sql))[0]
