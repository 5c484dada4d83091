"""The demo's story on a virtual-time loop, with the real runtime: nobody sleeps, nothing differs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.model.records import AlertMoved, CaseMoved, SwitchDecided
from tests.sim.books import fingerprint, played, records, script_of

ROOT = Path(__file__).resolve().parents[2]
PRINT = "from tests.sim.books import *; print(*fingerprint(played(script_of({seed}))[0]))"


def test_every_step_of_the_story_happens() -> None:
    """Outage, alert, switch, takeover, recovery; nothing lost, nothing twice."""
    ending, wrong = played(script_of(7))
    assert ending.outcome.missing() == []
    assert wrong == []
    first_words = list(dict.fromkeys(line.split()[0] for line in ending.lines))
    assert first_words[0] == "OUTAGE"
    assert {"ALERT", "SWITCH", "APPLIED", "TAKEOVER", "RESCUED", "RECOVERED"} <= {*first_words}


def test_story_is_long_enough_to_mean_something() -> None:
    """Orders, takeovers on every channel, lost answers, and every kind of decision in the log."""
    ending, _ = played(script_of(7, seconds=60.0))
    kinds = {type(one) for one in records(ending)}
    assert {AlertMoved, SwitchDecided, CaseMoved} <= kinds
    assert ending.outcome.orders > 400
    assert ending.supplier.lost_answers
    channels = {
        case.case.attempts[-1].channel
        for case in records(ending)
        if isinstance(case, CaseMoved) and case.case.attempts
    }
    assert channels == {"supplier", "pool", "staff"}


@pytest.mark.parametrize("crashes_s", [(), (4.0, 9.5, 9.6, 15.0)])
def test_same_seed_gives_the_same_log(crashes_s: tuple[float, ...]) -> None:
    """Byte for byte, with and without crashes; another seed gives another."""
    first = fingerprint(played(script_of(7, crashes_s=crashes_s))[0])
    assert fingerprint(played(script_of(7, crashes_s=crashes_s))[0]) == first
    other = fingerprint(played(script_of(8, crashes_s=crashes_s))[0])
    assert other[0] != first[0]
    assert other[1] != first[1]


def test_hash_seed_of_python_changes_nothing() -> None:
    """No set and no `hash()` decides anything: other processes write the same log."""
    here = " ".join(fingerprint(played(script_of(7))[0]))
    for seed in ("0", "1"):
        there = subprocess.run(
            [sys.executable, "-c", PRINT.format(seed=7)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert there.stdout.strip() == here
