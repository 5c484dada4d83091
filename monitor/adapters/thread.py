"""One thread that runs calls one after the other and answers the event loop that asked.

An executor of one does the same; per call it makes a second future, a condition and five lock
operations. Every group commit passes here, so it is a queue and a future of the loop instead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class CallThread:
    """Starts with the first call; `stop` lets it end behind the last one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run something on the thread; whatever it raises comes out of the future."""
        if self._thread is None:
            # A daemon: an interpreter that ends does not wait for a disk that hangs.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(work, answer, loop))
        return answer

    def stop(self) -> None:
        """End the thread when everything before is done."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # what it answered is not held until the next one comes


class _Call:
    """One call under way: an error of the work, of any kind, is an answer too."""

    __slots__ = ("_answer", "_loop", "_work")

    def __init__(
        self,
        work: Callable[[], Any],
        answer: asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._work, self._answer, self._loop = work, answer, loop

    def run(self) -> None:
        with self:
            result = self._work()
            self._tell(self._set_result, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._tell(self._set_exception, error)
        return True

    def _tell(self, setter: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            self._loop.call_soon_threadsafe(setter, value)

    def _set_result(self, result: object) -> None:
        if not self._answer.done():  # who asked may have been cancelled
            self._answer.set_result(result)

    def _set_exception(self, error: BaseException) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
