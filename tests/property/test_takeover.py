"""One order never gets two keys, whatever answers are lost, late, doubled or out of order."""

import importlib
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.core.takeover import machine
from monitor.model.takeovers import AttemptState, CaseState
from tests.property.takeover_game import World, play

PACKAGE = Path(machine.__file__).parent
GAMES_TO_KILL = 3_000

# Mistakes that have cost second keys elsewhere: (name, file, what stands there, what it becomes).
MUTANTS = [
    (
        "retry_elsewhere_on_unknown",
        "learning.py",
        "        state=AttemptState.UNKNOWN,\n        settle",
        "        state=AttemptState.DISPROVED,\n        settle",
    ),
    ("not_found_counted_once", "learning.py", "NOT_FOUND_NEEDED = 2", "NOT_FOUND_NEEDED = 1"),
    (
        "settle_ignored",
        "learning.py",
        "    return max(channel.settle_ms, SETTLE_MIN_MS)",
        "    return 0",
    ),
    (
        "rejected_replay_believed",
        "learning.py",
        "    return answer.is_query and answer.code",
        "    return answer.code",
    ),
    (
        "duplicate_not_found_counted",
        "learning.py",
        "attempt.queries + 1)\n    if not (is_first",
        "max(attempt.queries, 1))\n    if not (is_first",
    ),
    (
        "opaque_channel_asked_to_the_next",
        "by_channel.py",
        'Step(escalated(case, "unknown_outcome", now_ms))',
        "wake_for_retry(msgspec.structs.replace(case, attempts=()), settings, now_ms)",
    ),
    (
        "late_goods_handed_over",
        "by_channel.py",
        "        effects = (quarantine_effect(case, after),)",
        "        return start_hand_over(case, after, now_ms)",
    ),
    (
        "submit_given_up_is_disproved",
        "by_channel.py",
        'Step(escalated(case, "unresolved", now_ms), cancels=cancels)',
        "wake_for_retry(msgspec.structs.replace(case, attempts=()), settings, now_ms)",
    ),
    (
        "closed_case_closed_again",
        "machine.py",
        "attempt_too_late,   None,               None,                        wake_after_void",
        "attempt_too_late,   None,               finished_while_open,         wake_after_void",
    ),
]


def play_seed(which: ModuleType, seed: int) -> World:
    return play(which, random.Random(seed).randrange)


def is_broken(which: ModuleType, seed: int) -> bool:
    """Whether the game breaks a promise, or the machine's own assertions notice first."""
    try:
        return bool(play_seed(which, seed).violations)
    except AssertionError:
        return True


def mutant(folder: Path, name: str, file: str, old: str, new: str) -> ModuleType:
    """Copy the machine's package, plant one mistake, and import the copy under its own name."""
    package = f"takeover_{name}"
    shutil.copytree(PACKAGE, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / package).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == file:
            assert text.count(old) == 1, f"{file} no longer holds what {name} replaces"
            text = text.replace(old, new)
        path.write_text(text.replace("monitor.core.takeover", package), encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(f"{package}.machine")
    finally:
        sys.path.remove(str(folder))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_sequence_of_answers_buys_once_and_hands_over_once(data: st.DataObject) -> None:
    """Hypothesis plays the world and finds no second purchase, hand-over or resolution."""
    world = play(machine, lambda n: data.draw(st.integers(0, n - 1)), moves=40)
    assert world.violations == []


def test_thousands_of_seeded_worlds_stay_clean_and_reach_every_state() -> None:
    """No seed breaks a promise, goods are never left loose, and the games are not trivial."""
    seen: Counter[str] = Counter()
    for seed in range(GAMES_TO_KILL):
        world = play_seed(machine, seed)
        assert world.violations == [], seed
        seen[world.case.state] += 1
        for attempt in world.case.attempts:
            if attempt.goods_digest is not None:
                is_given = attempt.ref in world.handed_over or attempt.ref in world.locked
                assert is_given or world.case.state == CaseState.ESCALATED, seed
            if attempt.ref in world.locked:
                assert attempt.state == AttemptState.QUARANTINED, seed
    for state in (CaseState.DELIVERED, CaseState.VOIDED, CaseState.ESCALATED):
        assert seen[state] > GAMES_TO_KILL // 50, seen


@pytest.mark.parametrize(
    ("name", "file", "old", "new"), MUTANTS, ids=[planted[0] for planted in MUTANTS]
)
def test_planted_mistake_is_found(tmp_path: Path, name: str, file: str, old: str, new: str) -> None:
    """The same worlds break every promise that a known mistake breaks."""
    wrong = mutant(tmp_path, name, file, old, new)
    assert any(is_broken(wrong, seed) for seed in range(GAMES_TO_KILL))
