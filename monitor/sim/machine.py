"""A machine in virtual time: the tasks, threads and connections that die together.

    inside(coroutine) ─► every task, timer and connection that follows belongs to the machine
    kill()            ─► jobs of threads are dropped, connections break, tasks are cancelled

Threads are jobs that take a little virtual time and then happen at once, first come, first served
per executor, as with one worker each. So the store and the vault run unchanged, and a crash can
fall before a job, or after it and before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, copy_context
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

JOB_S_MAX = 0.004
ROUNDS_MAX = 50  # of cancelling what is left of a machine

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Disk(Protocol):
    """What the jobs of a machine meet when they write."""

    def delay_s(self) -> float:
        """How long the next job takes."""
        ...

    def trouble(self) -> AbstractContextManager[None]:
        """What the next job runs in; may make its writes fail, or raise after it is done."""
        ...


class SoundDisk:
    """A disk without trouble."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def delay_s(self) -> float:
        """See Disk."""
        return self._chance.uniform(0.0, JOB_S_MAX)

    def trouble(self) -> AbstractContextManager[None]:
        """See Disk."""
        return nullcontext()


class Severable(Protocol):
    """Something that is cut off when its machine dies."""

    def sever(self) -> None:
        """End it without a word."""
        ...


class _Outcome:
    """Keeps the error of a job for whoever waits for its answer, as the future of a thread does."""

    error: BaseException | None = None

    def __enter__(self) -> None:
        """Begin the job."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        self.error = error
        return isinstance(error, Exception)


class Machine:
    """One process, from its start to its death; a restart is another machine."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.name = name
        self.is_dead = False
        self._disk = disk
        self._crash: Callable[[], None] | None = None
        self._steps_left = 0
        self._waits_for_traffic = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._jobs: dict[int, deque[_Job]] = {}
        self._held: dict[int, Severable] = {}

    # --- living -------------------------------------------------------------------------------------

    def inside(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run something on this machine."""
        context = copy_context()
        context.run(MACHINE.set, self)
        return asyncio.get_running_loop().create_task(work, name=name, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Make a task die with the machine."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def hold(self, one: Severable) -> None:
        """Make a listener or a connection die with the machine."""
        self._held[id(one)] = one

    def let_go(self, one: Severable) -> None:
        """It ended by itself."""
        self._held.pop(id(one), None)

    def run_job(self, executor: object, job: Callable[[], Any]) -> asyncio.Future[Any]:
        """Do a thread's job after a while; the answer comes a moment later."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.is_dead:
            answer.cancel()
            return answer
        waiting = self._jobs.setdefault(id(executor), deque())
        waiting.append((job, answer))
        if len(waiting) == 1:
            self._schedule(waiting)
        return answer

    def step(self, *, is_traffic: bool = False) -> bool:
        """Count that the outside is touched; False if the machine is dead, by now."""
        if self._crash is not None:
            self._waits_for_traffic = self._waits_for_traffic and not is_traffic
            self._steps_left -= not self._waits_for_traffic
            if self._steps_left <= 0:
                crash, self._crash = self._crash, None
                crash()
        return not self.is_dead

    # --- dying --------------------------------------------------------------------------------------

    def crash_after(self, steps: int, crash: Callable[[], None], *, busy: bool) -> None:
        """Call `crash` just before the outside is touched for the n-th time from now.

        `busy`: counted from when bytes come or go next; most of the time nothing is under way.
        """
        self._crash, self._steps_left, self._waits_for_traffic = crash, steps, busy

    def spare(self) -> None:
        """Call a crash off."""
        self._crash = None

    def kill(self) -> None:
        """`kill -9`: nothing is written or sent any more, whatever is still on its stack."""
        self.is_dead = True
        self._jobs.clear()
        for timer in asyncio.get_running_loop()._scheduled:  # type: ignore[attr-defined]  # noqa: SLF001 - else they would tick on
            if timer._context.get(MACHINE) is self:  # noqa: SLF001 - as above
                timer.cancel()
        for one in list(self._held.values()):
            one.sever()
        self._held.clear()
        for task in list(self._tasks):
            task.cancel()

    async def buried(self) -> None:
        """Return when nothing of the dead machine runs any more."""
        left: list[asyncio.Task[Any]] = []
        for _ in range(ROUNDS_MAX):
            left = [task for task in self._tasks if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        raise AssertionError(f"{self.name} does not die: {left}")

    # --- threads ------------------------------------------------------------------------------------

    def _schedule(self, waiting: deque[_Job]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._disk.delay_s(), self._do_job, waiting)

    def _do_job(self, waiting: deque[_Job]) -> None:
        if not self.step():
            return
        job, answer = waiting[0]
        result, outcome = None, _Outcome()
        with outcome, self._disk.trouble():
            result = job()
        if not self.step():
            return
        waiting.popleft()
        if waiting:
            self._schedule(waiting)
        if answer.cancelled():
            return
        if outcome.error is None:
            answer.set_result(result)
        else:
            answer.set_exception(outcome.error)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)


MACHINE: ContextVar[Machine | None] = ContextVar("machine", default=None)
