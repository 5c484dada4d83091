"""One thread with one connection: jobs wait in line, run one after the other, and answer the loop.

A job is a function of the connection. Grouping many events into one commit happens before this
line: while one segment is being synced, the next one is gathered.

A disk that fails under a write is trusted once more: what the write left behind is overwritten, the
file is opened anew and checked. A second failure within a minute ends the process: after a failed
sync the kernel may call pages clean that are not on the disk (PostgreSQL stops for the same reason).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from monitor.adapters.reserve import Reserve
from monitor.adapters.storage.durations import Durations
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import overwrite_refused, statement, transaction
from monitor.adapters.thread import CallThread
from monitor.model.errors import DiskFailedError, StorageError

JOBS_MAX = 4_096
FAILURES_APART_S = 60.0

T = TypeVar("T")
Job = Callable[[apsw.Connection], T]
Connect = Callable[[Path], apsw.Connection]


class Worker:
    """Runs jobs on its own thread and connection; all methods are called from one event loop."""

    def __init__(
        self,
        name: str,
        path: Path,
        connect: Connect,
        reserve: Reserve | None = None,
        *,
        reconnect: Connect | None = None,
    ) -> None:
        self._path = path
        self._connect = connect
        self._reconnect = reconnect or connect  # after a failure
        self._reserve = reserve or Reserve(path.parent, 0)
        self._connection: apsw.Connection | None = None
        self._thread = CallThread(name)
        self._jobs = 0
        self._is_closed = False
        self._failed_s: float | None = None
        self._given_up: str | None = None
        self.commit_seconds = Durations()
        self.sync_seconds = Durations()

    async def read(self, job: Job[T]) -> T:
        """Run a job as it is; raises StorageError when the database does not answer."""
        return await self._queue(job)

    async def write(self, job: Job[T], *, is_statement: bool = False) -> T:
        """Run a job in one transaction and return after its commit is synced.

        `is_statement`: the job is a single statement, which SQLite commits by itself. That is one
        way through the interpreter's lock instead of three, each of which a busy loop holds up.

        Raises: StorageError, and whatever the job raises; then nothing of it is kept.
        DiskFailedError: nothing was acknowledged, and this process cannot know what is kept.
        """
        scope = statement if is_statement else transaction

        def committed(connection: apsw.Connection) -> T:
            started_s = time.perf_counter()
            changes = connection.total_changes()
            try:
                with scope(connection) as done:
                    result = job(connection)
            except apsw.FullError:
                self._reserve.give_up()
                raise
            except apsw.IOError as error:
                self._reserve.settle()
                if self._reserve.is_short:  # no room for the log's index looks like a broken disk
                    overwrite_refused(connection)
                    raise apsw.FullError(str(error)) from error
                self._start_over(connection, error)
                raise
            if connection.total_changes() != changes:
                self.commit_seconds.record(time.perf_counter() - started_s)
                self.sync_seconds.record(done.commit_s)
            return result

        return await self._queue(committed)

    async def disconnect(self) -> None:
        """Close the connection; the next job opens another one."""
        await self._hand_over(self._disconnect)

    async def close(self) -> None:
        """Finish the waiting jobs, then close the connection; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._hand_over(self._disconnect)
        finally:
            self._thread.stop()

    async def _queue(self, job: Job[T]) -> T:
        if self._is_closed:
            raise StorageError("the store is closed", hint="the service is stopping; try again")
        if self._jobs >= JOBS_MAX:
            raise StorageError(
                f"{JOBS_MAX} storage jobs are waiting",
                code="storage_busy",
                hint="the disk is slow; try again, and see commit_p99_ms in /readyz?verbose",
            )
        self._jobs += 1
        try:
            return await self._hand_over(lambda: self._work(job))
        finally:
            self._jobs -= 1

    async def _hand_over(self, call: Callable[[], T]) -> T:
        return await self._thread.call(call)

    def _work(self, job: Job[T]) -> T:
        if self._given_up is not None:
            raise DiskFailedError(self._given_up)
        with storage_errors(self._path):
            if self._connection is None:
                self._connection = self._connect(self._path)
            return job(self._connection)

    def _start_over(self, connection: apsw.Connection, error: apsw.IOError) -> None:
        """Overwrite what the failed write left, open the file anew and check it; else give up."""
        now_s = time.monotonic()
        is_again = self._failed_s is not None and now_s - self._failed_s < FAILURES_APART_S
        self._failed_s = now_s
        what = "again" if is_again else None
        if what is None and not overwrite_refused(connection):
            what = "also when the refused write had to be overwritten"
        if what is None:
            self._connection = None
            connection.close()
            try:
                self._connection = self._reconnect(self._path)
            except (StorageError, apsw.Error) as found:
                what = f"and could not be checked ({found})"
        if what is not None:
            self._given_up = f"the disk failed under {self._path} {what}: {error}"
            raise DiskFailedError(self._given_up) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with storage_errors(self._path):
                connection.close()
