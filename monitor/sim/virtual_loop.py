"""An event loop whose time is virtual: a wait costs nothing, and the same program runs the same way.

When nothing is ready, time jumps to the next timer instead of passing. There are no threads and no
sockets on this loop, so nothing but the program itself decides what happens next.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, TypeVar

from monitor.model.errors import InvariantError
from monitor.model.times import DAY_MS, SECOND_MS, UnixMs

T = TypeVar("T")

START_MS = UnixMs(1_767_578_400_000)  # 2026-01-05T02:00:00Z, a Monday morning in Shanghai
RUN_MAX_S = DAY_MS / SECOND_MS
STEPS_WITHOUT_TIME_MAX = 1_000_000  # a program that is busy for ever at one instant


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: where a real one would sleep, this one moves the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._steps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the time by `timeout` seconds.

        Raises: InvariantError if nothing will ever happen, or if time stands still for ever.
        """
        if timeout is None:
            raise InvariantError("everybody waits for somebody: no timer is set and nothing is due")
        if timeout > 0:
            self.now_s += timeout
            self._steps = 0
        self._steps += 1
        if self._steps > STEPS_WITHOUT_TIME_MAX:
            raise InvariantError(f"the program spins at {self.now_s:.3f} s")
        return []


class _Timer(asyncio.TimerHandle):
    """Of two timers for one instant the one that was set first is first.

    asyncio leaves that to the layout of its heap, which differs between versions of Python.
    """

    __slots__ = ("_number",)

    def __init__(self, number: int, *options: Any) -> None:
        super().__init__(*options)
        self._number = number

    def __lt__(self, other: Any) -> bool:
        """See TimerHandle."""
        return (self.when(), self._number) < (other.when(), other._number)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for programs without sockets and threads; `time()` starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._timers = 0
        super().__init__(self._jumping)

    def call_at(  # type: ignore[override]  # its types are those of asyncio, written shorter
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's, but for timers of one instant: they come in the order in which they were set."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        self._timers += 1
        timer = _Timer(self._timers, when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]  # the heap of BaseEventLoop
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 - as BaseEventLoop does
        return timer

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._jumping.now_s

    def run_in_executor(self, *_work: Any) -> NoReturn:  # type: ignore[override]  # always refuses
        """Refuse: a thread would finish at a time that nobody can repeat."""
        raise InvariantError("there are no threads in virtual time")


class VirtualClock:
    """The wall clock of a virtual loop: `start_ms` when the loop starts; keeps `ports.Clock`."""

    def __init__(self, start_ms: UnixMs = START_MS) -> None:
        self.start_ms = start_ms
        self._loop: asyncio.AbstractEventLoop | None = None

    def now_ms(self) -> UnixMs:
        """UTC milliseconds; only inside a running loop."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
        return UnixMs(self.start_ms + round(self._loop.time() * SECOND_MS))


def run_virtual(main: Coroutine[Any, Any, T], *, max_s: float = RUN_MAX_S) -> T:
    """Run a coroutine to its end in virtual time, like `asyncio.run`, and return its result.

    Raises: TimeoutError after `max_s` virtual seconds, InvariantError when time stands still.
    """

    async def bounded() -> T:
        async with asyncio.timeout(max_s):
            return await main

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())
