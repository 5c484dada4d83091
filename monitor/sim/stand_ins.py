"""What the product takes from the machine by itself, given by the virtual loop while one runs.

The storage has a thread of its own and counts seconds with the steady clock; neither is a port. In
a virtual world the calls of the thread are jobs of the machine they belong to, and the steady clock
is the loop's: else a slow computer would change the story.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from monitor.adapters.thread import CallThread


@contextmanager
def stand_ins(now_s: Callable[[], float]) -> Iterator[None]:
    """Let threads and seconds be virtual for a while; not for two worlds at once."""
    replaced: list[tuple[Any, str, object]] = [
        (CallThread, "call", _call),
        (CallThread, "stop", _stop),
        (time, "monotonic", now_s),
    ]
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in replaced]
    try:
        for owner, name, stand_in in replaced:
            setattr(owner, name, stand_in)
        yield
    finally:
        for owner, name, real in before:
            setattr(owner, name, real)


def _call(thread: CallThread, work: Callable[[], Any]) -> asyncio.Future[Any]:
    return asyncio.get_running_loop().run_in_executor(thread, work)  # type: ignore[arg-type]  # a name for the line of jobs


def _stop(_thread: CallThread) -> None:
    """Nothing is left to stop."""
