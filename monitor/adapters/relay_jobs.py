"""One thread that writes `relay.db`: whatever waits while a commit is synced forms the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from monitor.adapters.relay_schema import connect
from monitor.adapters.reserve import Reserve
from monitor.adapters.storage.sqlite_errors import full, storage_errors
from monitor.adapters.thread import CallThread
from monitor.model.errors import StorageError

JOBS_MAX = 20_000
GATHERED_S = 0.02  # a process that dies within it asks a shop again that had said yes
RETRY_S = 1.0

T = TypeVar("T")
Job = Callable[[apsw.Connection], T]


class Jobs(Protocol):
    """Runs jobs of a database one after the other."""

    @property
    def trouble(self) -> str | None:
        """Why the latest commit was refused."""
        ...

    async def run(self, job: Job[T], *, writes_once: bool = False, is_stranger: bool = False) -> T:
        """Run a job in a transaction; durable when this returns."""
        ...

    def add(self, job: Job[None]) -> None:
        """Let a job be done without anybody waiting for it."""
        ...

    async def close(self) -> None:
        """Finish what waits."""
        ...


class _Waiting:
    """A job in line; `answer` None: nobody waits for it, and it is tried again until it succeeds."""

    __slots__ = ("answer", "is_stranger", "job", "writes_once")

    def __init__(
        self,
        job: Job[Any],
        answer: asyncio.Future[Any] | None,
        *,
        writes_once: bool = False,
        is_stranger: bool = False,
    ) -> None:
        self.job, self.answer = job, answer
        self.writes_once, self.is_stranger = writes_once, is_stranger


class RelayJobs:
    """Group commit; all methods are called from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._thread = CallThread("relay")
        self._waiting: list[_Waiting] = []
        self._under_way: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.Future[None] | None = None
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the latest commit was refused."""
        return self._trouble

    async def run(self, job: Job[T], *, writes_once: bool = False, is_stranger: bool = False) -> T:
        """Run a job in a transaction; durable when this returns.

        `is_stranger`: what anybody may send; on a full disk it does not get the reserve.
        `writes_once`: it has one statement that writes, which SQLite commits by itself. That is one
        way through the interpreter's lock instead of three, each held up by a busy loop.
        Raises: StorageError; then nothing of it is kept.
        """
        if len(self._waiting) >= JOBS_MAX:
            raise StorageError(f"{JOBS_MAX} callbacks wait for the disk", code="storage_busy")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(
            _Waiting(job, answer, writes_once=writes_once, is_stranger=is_stranger)
        )
        self._flush()
        return await answer

    def add(self, job: Job[None]) -> None:
        """Let a job be done with the next commit; one that is refused is tried with later ones.

        A callback that comes meanwhile takes it along instead of waiting behind a commit of its own.
        """
        self._waiting.append(_Waiting(job, None))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHERED_S, self._flush)

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        if self._under_way or self._waiting:
            self._idle = asyncio.get_running_loop().create_future()
            self._flush()
            await asyncio.wait([self._idle], timeout=5.0)
        await self._thread.call(self._disconnect)
        self._thread.stop()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way or not self._waiting:
            return
        self._under_way, self._waiting = self._waiting, []
        done = self._thread.call(lambda: self._commit(self._under_way))
        done.add_done_callback(self._flushed)

    def _flushed(self, done: asyncio.Future[list[Any]]) -> None:
        batch, self._under_way = self._under_way, []
        error = done.exception()
        self._trouble = None if error is None else str(error)
        for index, one in enumerate(batch):
            if one.answer is None or one.answer.done():
                continue
            result = done.result()[index] if error is None else error
            if isinstance(result, BaseException):
                one.answer.set_exception(result)
            else:
                one.answer.set_result(result)
        if error is not None:  # the others come with the next request: not at once, for ever
            self._waiting = [*(one for one in batch if one.answer is None), *self._waiting]
        if any(one.answer is not None for one in self._waiting) or self._idle is not None:
            self._flush()
        elif self._waiting and self._timer is None:
            delay_s = GATHERED_S if error is None else RETRY_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._flush)
        if self._idle is not None and not self._under_way and not self._idle.done():
            self._idle.set_result(None)

    def _commit(self, batch: list[_Waiting]) -> list[Any]:
        """On the thread: all jobs of a batch in one synced transaction."""
        with storage_errors(self._path):
            try:
                return self._transacted(batch)
            except apsw.FullError as error:
                return self._squeezed(batch, error)
            except apsw.IOError:
                self._disconnect()  # after a failed sync nothing in memory is trusted
                raise

    def _squeezed(self, batch: list[_Waiting], error: apsw.FullError) -> list[Any]:
        """On a full disk: strangers are refused, and if that is not enough the reserve is given up."""
        ours = [one for one in batch if not one.is_stranger]
        if not ours:
            raise error
        try:
            if len(ours) == len(batch):
                raise error
            results = self._transacted(ours)
        except apsw.FullError:
            Reserve(self._path.parent).give_up()  # a callback is money: it may have the reserve
            results = self._transacted(ours)
        kept = iter(results)
        refused = full(self._path, f"no space left for {self._path}: {error}")
        return [refused if one.is_stranger else next(kept) for one in batch]

    def _transacted(self, batch: list[_Waiting]) -> list[Any]:
        if self._connection is None:
            self._connection = connect(self._path)
        connection = self._connection
        if len(batch) == 1 and batch[0].writes_once:
            return [batch[0].job(connection)]
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [one.job(connection) for one in batch]
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
