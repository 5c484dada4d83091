"""The only place where tasks are born, and the only one that looks at every exception.

A task that ends with an error nobody expected stops the whole service: a half-dead monitor is
worse than a restarted one. The reason is kept for the exit code and the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from monitor.model.errors import MonitorError

log = logging.getLogger("monitor.supervisor")


class Spawner(Protocol):
    """Whoever runs work in the background."""

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background until it ends, fails or is stopped."""
        ...


class Supervisor:
    """Owns background tasks; `failed` is set when one of them died."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background until it ends, fails or is stopped."""
        task = asyncio.get_running_loop().create_task(self._guard(name, work), name=name)
        # The set is the strong reference that asyncio itself does not keep.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is stopped before its first step never touches its work.
        task.add_done_callback(lambda _task: work.close())
        return task

    async def stop(self) -> None:
        """Cancel everything and wait until it is gone."""
        await _stop(self._tasks)

    async def _guard(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failure = error
            self.failed.set()
            is_ours = isinstance(error, MonitorError)
            log.critical("task_failed", extra={"fields": {"task": name, "error": str(error)}},
                         exc_info=None if is_ours else error)  # fmt: skip


class Group:
    """Some tasks of a supervisor, to be stopped while its others go on."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background; its failure is the supervisor's."""
        task = self._supervisor.spawn(name, work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel the tasks of this group and wait until they are gone."""
        await _stop(self._tasks)


async def _stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    chosen = sorted(tasks, key=lambda task: task.get_name())
    for task in chosen:
        task.cancel()
    await asyncio.gather(*chosen, return_exceptions=True)
