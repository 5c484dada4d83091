"""`goods.db`: the one file that holds goods, always sealed, with its own connection and thread.

Apart from the monitor's database on purpose: the log, its backups and its readers never see a
key (design D21). A job is a function of connection and sealer; jobs run one after the other.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from monitor.adapters.goods_key import OWNER_ONLY, Sealer, load_key, make_key
from monitor.adapters.goods_schema import prepare
from monitor.adapters.ids import RandomIds
from monitor.adapters.reserve import Reserve
from monitor.model.errors import GoodsKeyError, StorageError

DATABASE_NAME = "goods.db"
KEY_NAME = "goods.key"
BUSY_MS = 5_000

T = TypeVar("T")
Job = Callable[[apsw.Connection, Sealer], T]


class GoodsFile:
    """Opens on first use; all methods are called from one event loop."""

    def __init__(self, data_dir: Path, ids: RandomIds | None = None) -> None:
        self._path = data_dir / DATABASE_NAME
        self._key_path = data_dir / KEY_NAME
        self._ids = ids or RandomIds()
        self._opened: tuple[apsw.Connection, Sealer] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="goods")

    @property
    def exists(self) -> bool:
        """Whether there is a file already: looking for what is in it must not make one."""
        return self._path.exists()

    async def open(self) -> None:
        """Open database and key, making both on first use; raises StorageError saying what is wrong."""
        await self._hand_over(self._open)

    async def run(self, job: Job[T]) -> T:
        """Run a job in one transaction, durable when this returns.

        Raises: StorageError, and whatever the job raises; then nothing of it is kept.
        """
        return await self._hand_over(lambda: self._work(job))

    async def close(self) -> None:
        """Finish the jobs that wait and let go of the file; not used afterwards."""
        await self._hand_over(self._close)
        self._thread.shutdown(wait=False)

    async def _hand_over(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _work(self, job: Job[T]) -> T:
        connection, sealer = self._open()
        try:
            return _transacted(connection, sealer, job)
        except apsw.FullError:
            # What was bought must be kept: the space held back is for this, too.
            Reserve(self._path.parent).give_up()
        except apsw.IOError as error:
            # After a failed sync nothing in memory is trusted: the next job opens the file anew.
            self._close()
            raise _refused(self._path, error) from error
        except apsw.Error as error:
            raise _refused(self._path, error) from error
        try:
            return _transacted(connection, sealer, job)
        except apsw.Error as error:
            raise _refused(self._path, error) from error

    def _open(self) -> tuple[apsw.Connection, Sealer]:
        if self._opened is None:
            try:
                self._opened = self._connected()
            except (apsw.Error, OSError) as error:
                raise _refused(self._path, error) from error
        return self._opened

    def _connected(self) -> tuple[apsw.Connection, Sealer]:
        """Match database and key before anything is written to either."""
        known = self._known_key_check()
        if known is not None and not self._key_path.exists():
            raise GoodsKeyError(
                f"{self._path} holds sealed goods and {self._key_path} is missing",
                hint="restore goods.key from a backup; a new key cannot open them",
            )
        is_new = not self._key_path.exists()
        key = make_key(self._key_path, self._ids) if is_new else load_key(self._key_path)
        sealer = Sealer(key, self._ids)
        if known is not None and not hmac.compare_digest(known, sealer.check_value()):
            raise GoodsKeyError(
                f"{self._key_path} is not the key of {self._path}",
                hint="restore goods.db and goods.key together from one backup",
            )
        connection = _connect(self._path)
        if prepare(connection, str(self._path)) in (1, 2):
            _remember_given(connection, sealer)
        connection.execute("INSERT OR IGNORE INTO meta VALUES (1, ?)", (sealer.check_value(),))
        return connection, sealer

    def _known_key_check(self) -> bytes | None:
        """The check value of a database that exists, read without changing it."""
        if not self._path.exists():
            return None
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(BUSY_MS)
            tables = "SELECT 1 FROM sqlite_schema WHERE name = 'meta'"
            if connection.execute(tables).get is None:
                return None
            found: bytes | None = connection.execute("SELECT key_check FROM meta").get
            return found
        finally:
            connection.close()

    def _close(self) -> None:
        if self._opened is not None:
            connection, self._opened = self._opened[0], None
            connection.close()


def _transacted(connection: apsw.Connection, sealer: Sealer, job: Job[T]) -> T:
    """Run a job in one transaction; nothing of it is kept when anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = job(connection, sealer)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def _remember_given(connection: apsw.Connection, sealer: Sealer) -> None:
    """Enter what an older release obtained; what went to two attempts belongs to the first."""
    connection.execute("BEGIN IMMEDIATE")
    for attempt_ref, sealed in connection.execute("SELECT attempt_ref, sealed FROM goods"):
        connection.executemany(
            "INSERT OR IGNORE INTO given VALUES (?, ?)",
            [(sealer.digest([unit]), attempt_ref) for unit in sealer.open(attempt_ref, sealed)],
        )
    connection.execute("COMMIT")


def _connect(path: Path) -> apsw.Connection:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    os.close(handle)
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MS)
    # EXTRA while a new file becomes a WAL one: see `connect_writer` of the monitor's own database.
    connection.execute("PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _refused(path: Path, error: Exception) -> StorageError:
    """Say which file and which kind of error; SQLite's own text could quote a value."""
    if isinstance(error, apsw.FullError):
        hint = f"free disk space in {path.parent}; writing goes on by itself afterwards"
        return StorageError(f"no space left for {path}", code="storage_full", hint=hint)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        hint = "restore goods.db and goods.key together from one backup"
        return StorageError(f"{path} is damaged", code="storage_corrupt", hint=hint)
    return StorageError(f"{path} refused: {type(error).__name__}")
