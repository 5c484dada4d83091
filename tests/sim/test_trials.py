"""The whole service through hours of faults, in virtual time: nothing lost, nothing doubled.

What the books would notice is shown by the mutants in `test_mutants.py`.
"""

import sys

import msgspec
import pytest

from benchmarks.same_trace import HASH_SEEDS, Run, different, traced
from monitor.sim import trials
from monitor.sim.faults import KINDS, forecast
from monitor.sim.trial import Plan
from monitor.sim.trials import main, tried
from monitor.sim.world import CHANNELS


@pytest.mark.parametrize("seed", [1, 2])
def test_hours_of_faults_lose_nothing_and_double_nothing(seed: int) -> None:
    """Resets, stalls, garbage, crashes, full disks, wrong clocks, outages: the books agree."""
    result = tried(Plan(seed=seed, hours=2.0))
    assert result.wrong == (), result.repeat
    assert result.faults >= 120, "at least one a minute"
    assert result.lives > 3


def test_crowd_of_orders_in_an_outage_with_crashes_loses_nothing() -> None:
    """Two orders a second: what is under way when the service dies is many things at once."""
    plan = Plan(
        seed=3,
        hours=0.12,
        kinds=("crash", "channel"),
        faults_per_minute=4.0,
        orders_per_minute=120.0,
    )
    result = tried(plan)
    assert result.wrong == (), result.repeat
    assert result.orders > 700
    assert result.lives > 10


def test_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    """Every byte of the log and everything the world saw, in three processes."""
    runs = [traced(5, 1.0, sys.executable, hash_seed) for hash_seed in HASH_SEEDS]
    assert different(runs) == []
    assert len({one.hash_seed for one in runs}) == 3


def test_trace_that_depends_on_the_process_is_noticed() -> None:
    """Each is compared with the first of its seed; another seed is another story."""
    first, same = Run(1, "python", "0", "aa"), Run(1, "python", "1", "aa")
    other, strange = Run(2, "python", "0", "bb"), Run(1, "python3.13", "0", "bb")
    assert different([first, same, other, strange]) == [strange]


def test_failing_seed_prints_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed, hours and faults as they were, ready to be pasted."""
    broken = trials.Result(
        7, 2.5, "ab" * 32, ("orders lost: ['E00001']",), 1, 0, 0, 1, 0, {}, 1.0, ""
    )
    monkeypatch.setattr(
        trials,
        "tried",
        lambda plan: msgspec.structs.replace(broken, repeat=trials.command(plan)),
    )
    assert main(["--seed", "7", "--hours", "2.5", "--faults", "crash,disk"]) == 1
    said = capsys.readouterr().out
    assert "orders lost: ['E00001']" in said
    assert (
        "repeat: python -m monitor.sim.trials --seed 7 --hours 2.5 --hours-each 2.5 "
        "--faults crash,disk\n" in said
    )


def test_forecast_has_every_kind_at_the_rate_that_was_asked_for() -> None:
    """A thousand minutes of 1.5 faults are about 1,500, of all kinds."""
    found = forecast(3, 60_000.0, KINDS, 1.5, CHANNELS)
    assert 1_350 < len(found) < 1_650
    assert {one.kind for one in found} == set(KINDS)
    assert found == forecast(3, 60_000.0, KINDS, 1.5, CHANNELS)
    assert found != forecast(4, 60_000.0, KINDS, 1.5, CHANNELS)


def test_unknown_fault_is_refused() -> None:
    """With the list of those there are."""
    with pytest.raises(SystemExit, match="no such fault: rain"):
        main(["--faults", "rain"])
