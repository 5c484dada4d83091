"""Every planted bug is found by the books, in words that name the damage.

A mutant that survives says that a promise of the product is not tested: either the books look away,
or nothing in the trial brings the bug to light.
"""

import pytest

from monitor.core.takeover import desk, limits
from monitor.sim.trials import tried
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.planting import Change, planted

SEEDS_MAX = 6  # a change of the product moves the dice: then another seed may show it
MUTANTS_MIN = 30


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one.name.replace(" ", "-") for one in MUTANTS])
def test_planted_bug_is_found(mutant: Mutant) -> None:
    """By the seed that showed it when it was written, or by one of the next few."""
    seeds = dict.fromkeys((mutant.seed, *range(1, SEEDS_MAX + 1)))
    found: list[str] = []
    for seed in seeds:
        with planted(*mutant.changes):
            found += tried(mutant.plan(seed)).wrong
        if any(mutant.words in one for one in found):
            return
    pytest.fail(f"nobody noticed that the service {mutant.name}; the books say {found}")


def test_there_are_enough_of_them() -> None:
    """At least thirty different ones."""
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= MUTANTS_MIN


def test_without_a_bug_the_same_trials_find_nothing() -> None:
    """The plan that kills most mutants is a quiet one when nothing is planted."""
    plans = {one.kinds: one.plan(one.seed) for one in MUTANTS}
    for kinds in (("crash", "channel"), ("channel", "purchase")):
        assert tried(plans[kinds]).wrong == ()


def test_bug_is_gone_after_the_trial() -> None:
    """What was planted is taken out again, wherever the function is known."""
    change = Change(
        "monitor.core.takeover.limits:may_open", "recent >= ", "recent < 0 or recent >= "
    )
    before = limits.may_open
    with planted(change):
        assert limits.may_open is not before
        assert vars(desk)["may_open"] is limits.may_open
    assert limits.may_open is vars(desk)["may_open"] is before


def test_passage_that_is_not_there_is_refused() -> None:
    """A product that has moved on makes the table wrong, not silently harmless."""
    with (
        pytest.raises(AssertionError, match="0 ×"),
        planted(Change("monitor.core.takeover.limits:may_open", "no such passage", "")),
    ):
        pass
