"""The clock is the machine's, ids and tokens are random and of the promised size."""

import re
import time

import pytest

from monitor.adapters.clock import SteadyClock, SystemClock
from monitor.adapters.ids import RandomIds
from monitor.model.times import DAY_MS, UnixMs


def test_clock_tells_the_machines_time() -> None:
    """Between two readings of the machine, in milliseconds."""
    before = int(time.time() * 1000)
    told = SystemClock().now_ms()
    assert before - 1 <= told <= time.time() * 1000 + 1


def test_ids_and_tokens_are_never_equal() -> None:
    """A thousand of each, all different; forms as documented."""
    ids = RandomIds()
    assert len({ids.new_id("tk") for _ in range(1_000)}) == 1_000
    assert len({ids.new_token() for _ in range(1_000)}) == 1_000
    assert re.fullmatch(r"tk_[0-9a-f]{20}", ids.new_id("tk"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ids.new_token())
    assert len(ids.new_bytes(7)) == 7


class Machine:
    """A wall clock that is set, and time that passes evenly."""

    def __init__(self) -> None:
        self.passed_ms = 0
        self.set_ms = 1_750_000_000_000

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.set_ms + self.passed_ms, lambda: 77 + self.passed_ms)


@pytest.mark.parametrize("step_ms", [DAY_MS, -DAY_MS, 1_001, -1_001])
def test_clock_goes_on_evenly_when_the_machines_is_set(step_ms: int) -> None:
    """However far it was set: ten seconds later it is ten seconds later."""
    machine = Machine()
    clock = machine.clock()
    before_ms = clock.now_ms()
    machine.set_ms += step_ms
    machine.passed_ms += 10_000
    assert clock.now_ms() == before_ms + 10_000
    assert clock.step_ms == step_ms


def test_small_steps_are_followed() -> None:
    """That is how a clock is kept right."""
    machine = Machine()
    clock = machine.clock()
    for _ in range(100):
        machine.set_ms += 900
        assert clock.now_ms() == machine.set_ms
    assert clock.step_ms == 0


@pytest.mark.parametrize(
    ("told_after_ms", "is_true"), [(DAY_MS, True), (DAY_MS // 2 + 1, True), (DAY_MS // 2, False), (0, False)]
)  # fmt: skip
def test_step_is_taken_over_when_somebody_else_tells_that_time(
    told_after_ms: int, is_true: bool
) -> None:
    """Nearer to the new time than to the old one; else the old one goes on."""
    machine = Machine()
    clock = machine.clock()
    before_ms = clock.now_ms()
    machine.set_ms += DAY_MS
    assert clock.now_ms() == before_ms
    assert clock.is_step_true(UnixMs(before_ms + told_after_ms)) == is_true
    assert clock.now_ms() == before_ms + (DAY_MS if is_true else 0)
    assert bool(clock.step_ms) != is_true


def test_clock_that_is_set_back_right_is_no_step() -> None:
    """Nothing is asked of anybody then."""
    machine = Machine()
    clock = machine.clock()
    machine.set_ms += DAY_MS
    clock.now_ms()
    machine.set_ms -= DAY_MS
    assert clock.now_ms() == machine.set_ms
    assert not clock.is_step_true(UnixMs(machine.set_ms + DAY_MS))
