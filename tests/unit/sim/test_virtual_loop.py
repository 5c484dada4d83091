"""Virtual time: waits cost nothing, time-outs and clocks agree, and a hang is named."""

import asyncio
import time

import pytest

from monitor.model.errors import InvariantError
from monitor.sim.virtual_loop import START_MS, VirtualClock, run_virtual


def test_days_pass_in_an_instant_and_the_clock_follows() -> None:
    """A week of sleep in less than a second of real time."""

    async def story() -> int:
        await asyncio.sleep(6 * 86_400)
        return VirtualClock().now_ms()

    began = time.monotonic()
    assert run_virtual(story(), max_s=7 * 86_400) == START_MS + 6 * 86_400_000
    assert time.monotonic() - began < 5


def test_timeouts_and_sleeps_happen_in_the_order_of_their_times() -> None:
    """The same program runs the same way, whatever the machine does meanwhile."""

    async def story() -> list[str]:
        seen: list[str] = []

        async def after(seconds: float, name: str) -> None:
            await asyncio.sleep(seconds)
            seen.append(name)

        async def bounded() -> None:
            try:
                async with asyncio.timeout(2):
                    await asyncio.sleep(60)
            except TimeoutError:
                seen.append("timeout")

        await asyncio.gather(after(3, "three"), after(1, "one"), bounded(), after(2.5, "two"))
        return seen

    assert run_virtual(story()) == run_virtual(story()) == ["one", "timeout", "two", "three"]


def test_timers_of_one_instant_come_in_the_order_in_which_they_were_set() -> None:
    """Whatever lies in the heap around them, and whatever was cancelled before."""

    async def story() -> list[int]:
        loop, seen = asyncio.get_running_loop(), list[int]()
        for number in range(200):
            loop.call_at(7.0, seen.append, number)
            loop.call_at(number % 5, int).cancel()
        await asyncio.sleep(8.0)
        return seen

    assert run_virtual(story()) == list(range(200))


def test_program_in_which_everybody_waits_is_ended_with_a_reason() -> None:
    """The bound on virtual time, or the discovery that no timer is left, never a real hang."""

    async def story() -> None:
        await asyncio.Event().wait()

    with pytest.raises((TimeoutError, InvariantError)):
        run_virtual(story(), max_s=60)


def test_threads_are_refused() -> None:
    """They would finish at a time nobody can repeat."""

    async def story() -> None:
        await asyncio.to_thread(time.monotonic)

    with pytest.raises(InvariantError):
        run_virtual(story())
