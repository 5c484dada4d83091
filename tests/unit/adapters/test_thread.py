"""Calls on a thread of their own: in order, with their errors, whoever still waits."""

import asyncio
import threading

import pytest

from monitor.adapters.thread import CallThread


async def test_calls_run_one_after_the_other_on_one_thread() -> None:
    """The order is that of asking, and nothing runs on the loop's thread."""
    calls = CallThread("calls")
    ran: list[tuple[int, str]] = []

    def note(number: int) -> int:
        ran.append((number, threading.current_thread().name))
        return number * 2

    answers = [calls.call(lambda number=number: note(number)) for number in range(5)]  # type: ignore[misc]  # bound
    assert await asyncio.gather(*answers) == [0, 2, 4, 6, 8]
    assert ran == [(number, "calls") for number in range(5)]
    calls.stop()


async def test_error_of_a_call_comes_out_where_it_was_asked_for() -> None:
    """Whatever is raised is the answer of that call; the next one runs."""
    calls = CallThread("calls")

    def fail() -> None:
        raise KeyboardInterrupt("even this")

    with pytest.raises(KeyboardInterrupt, match="even this"):
        await calls.call(fail)
    assert await calls.call(lambda: "on") == "on"
    calls.stop()


async def test_call_of_somebody_who_left_is_done_and_not_answered() -> None:
    """A cancelled wait stops neither the call nor those behind it."""
    calls = CallThread("calls")
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        begun.set()
        go_on.wait(10)
        done.append("slow")

    left = calls.call(slow)
    begun.wait(10)
    left.cancel()
    go_on.set()
    await calls.call(lambda: done.append("next"))
    assert done == ["slow", "next"]
    assert left.cancelled()
    calls.stop()


async def test_stopped_thread_ends_behind_its_last_call() -> None:
    """What was asked for before the stop is still answered."""
    calls = CallThread("ending")
    last = calls.call(lambda: 7)
    calls.stop()
    assert await last == 7
    for thread in threading.enumerate():
        if thread.name == "ending":
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
