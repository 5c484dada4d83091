"""What `fsck` and `restore` look at, each as a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.goods_file import DATABASE_NAME as GOODS_NAME
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.goods_key import Sealer
from monitor.adapters.storage import sqlite_outbox
from monitor.adapters.storage.directory import DATABASE_NAME
from monitor.adapters.storage.reader import MomentReader, positions
from monitor.adapters.storage.sqlite_errors import RESTORE_HINT
from monitor.adapters.storage.sqlite_schema import MIGRATIONS, connect_reader
from monitor.adapters.storage.sqlite_scrub import findings
from monitor.adapters.storage.tail import marked, unread_commits
from monitor.cli.directory import owner_of
from monitor.cli.finding import BAD, OK, WAITING, Finding
from monitor.cli.relay_checks import whole
from monitor.config.load import Loaded
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.effects import effect_decoder
from monitor.model.errors import MonitorError, StorageError
from monitor.runtime.books import compare

Check = Callable[[], Finding]


def examine(data_dir: Path, loaded: Loaded) -> list[Finding]:
    """Every check on one moment of a data directory, whether a service uses it or not."""
    path = data_dir / DATABASE_NAME
    is_empty = not path.exists() or path.stat().st_size == 0
    if is_empty and not any(marked(data_dir)):
        return [Finding("database", WAITING, "empty; the first start fills it"), *_beside(data_dir)]
    acknowledged = marked(data_dir)  # before the moment: it can only be at or behind it
    try:
        reader = MomentReader(path)
    except StorageError as error:
        return [Finding("database", BAD, str(error), error.hint), *_beside(data_dir)]
    with closing(reader):
        sql = reader.connection
        checks: list[tuple[str, Check]] = [
            ("end of the log", lambda: _end(sql, path, acknowledged)),
            ("pages and checksums", lambda: _content(sql)),
            ("log", lambda: _log(sql)),
            ("orders", lambda: _orders(reader, loaded)),
            ("outbox", lambda: _outbox(sql)),
        ]
        if (version := int(sql.pragma("user_version"))) != len(MIGRATIONS):
            found = f"schema {version}, this release writes {len(MIGRATIONS)}"
            return [Finding("database", BAD, found, "start the service once, then look again")]
        return [*(_tried(name, check) for name, check in checks), *_beside(data_dir)]


def _tried(name: str, check: Check) -> Finding:
    """A check that cannot be made is a finding, too."""
    try:
        return check()
    except MonitorError as error:
        return Finding(name, BAD, str(error), error.hint or RESTORE_HINT)
    except apsw.Error as error:
        return Finding(name, BAD, f"{type(error).__name__}: {error}", RESTORE_HINT)


def _end(sql: apsw.Connection, path: Path, acknowledged: tuple[int, int]) -> Finding:
    _, newest, _ = positions(sql)
    commits = int(sql.execute("SELECT commits FROM meta").get)
    if newest < acknowledged[0] or commits < acknowledged[1]:
        found = (
            f"ends at log position {newest} after {commits} commits; acknowledged were "
            f"{acknowledged[0]} and {acknowledged[1]}"
        )
        return Finding("end of the log", BAD, found, RESTORE_HINT)
    wal = path.with_name(path.name + "-wal")
    if owner_of(path.parent) is not None:
        return Finding("end of the log", OK, f"log position {newest}, {commits} commits")
    with closing(connect_reader(path)) as aside:  # inside a transaction it could not be asked
        hidden = unread_commits(aside, wal)
    if hidden:
        found = f"{hidden} commits behind damage in {wal.name} cannot be read"
        return Finding("end of the log", BAD, found, RESTORE_HINT)
    return Finding("end of the log", OK, f"log position {newest}, {commits} commits")


def _content(sql: apsw.Connection) -> Finding:
    found = findings(sql)
    if found:
        return Finding("pages and checksums", BAD, "; ".join(found[:5]), RESTORE_HINT)
    return Finding("pages and checksums", OK, "everything is as it was written")


def _log(sql: apsw.Connection) -> Finding:
    first, newest, count = positions(sql)
    if not count:
        return Finding("log", OK, "empty")
    gaps = newest - first + 1 - count
    if gaps:
        found = f"{gaps} positions between {first} and {newest} are missing"
        return Finding("log", BAD, found, RESTORE_HINT)
    return Finding("log", OK, f"{count} segments, {first} to {newest}, no gap")


def _orders(reader: MomentReader, loaded: Loaded) -> Finding:
    """Rows and snapshot against the log."""
    first, newest, count = positions(reader.connection)
    rules = load_shipped()
    engines = [Engine(settings_for(loaded.settings, rules), rules) for _ in range(2)]
    is_whole = first <= 1 and count == newest
    books = asyncio.run(compare(reader, *engines, is_whole=is_whole))
    found = (
        f"{books.orders} orders ({books.open_orders} in memory after a start), {books.entries} "
        f"events and answers, {books.decisions} decisions, state hash {books.state_hash}"
    )
    if books.log_hash is None:
        return Finding("orders", OK, f"{found}; the log is not whole: not compared with it")
    if books.log_hash != books.state_hash:
        advice = (
            "was the promise changed? Else: delivery-monitor fsck --repair makes them of the log"
        )
        return Finding("orders", BAD, f"{found}; the log says {books.log_hash}", advice)
    return Finding("orders", OK, f"{found}, the same as of the log up to {newest}")


def _outbox(sql: apsw.Connection) -> Finding:
    session = int(sql.execute("SELECT session FROM meta").get)
    states = {0: 0, 1: 0, 2: 0}
    wrong = []
    for key, body, state, of_session, wake_ms in sql.execute(
        "SELECT key, body, state, session, wake_ms FROM outbox ORDER BY sequence"
    ):
        states[state] = states.get(state, 0) + 1
        if (
            not _is_effect(body)
            or of_session > session
            or (state == sqlite_outbox.READY and wake_ms is None)
        ):
            wrong.append(key)
    if wrong or set(states) - {0, 1, 2}:
        found = f"{len(wrong)} effects would never be performed, the first is {wrong[:1]}"
        return Finding("outbox", BAD, found, RESTORE_HINT)
    return Finding("outbox", OK, f"{states[0]} effects wait, {states[1] + states[2]} under way")


def _is_effect(body: bytes) -> bool:
    try:
        effect_decoder.decode(body)
    except msgspec.DecodeError:
        return False
    return True


def _beside(data_dir: Path) -> list[Finding]:
    """The files beside the database."""
    return [_goods(data_dir), _tried("relay", lambda: whole(data_dir))]


def _goods(data_dir: Path) -> Finding:
    if not (data_dir / GOODS_NAME).exists():
        return Finding("goods", OK, "none")
    return _tried("goods", lambda: asyncio.run(_sealed(data_dir)))


async def _sealed(data_dir: Path) -> Finding:
    """Every sealed row opens with the key; what is in it is not looked at."""
    file = GoodsFile(data_dir)

    def look(sql: apsw.Connection, sealer: Sealer) -> Finding:
        found = [str(text) for (text,) in sql.execute("PRAGMA integrity_check(5)") if text != "ok"]
        count = 0
        for place, sealed in sql.execute("SELECT attempt_ref, sealed FROM goods"):
            sealer.open(place, sealed)
            count += 1
        units = int(sql.execute("SELECT count(*) FROM unit").get)
        if found:
            return Finding("goods", BAD, "; ".join(found), RESTORE_HINT)
        return Finding("goods", OK, f"{count} obtained, {units} keys in the pool")

    try:
        return await file.run(look)
    finally:
        await file.close()
