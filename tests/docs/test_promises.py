"""The page of promises is what was measured, and every promise leads to what tries to break it."""

from benchmarks.promise_table import PROMISES
from benchmarks.promises import PAGE, ROOT, Measured, measured, outcome, page


def test_page_says_what_was_measured() -> None:
    """`python -m benchmarks.promises` writes it; nobody else does."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_promise_is_shown_by_a_test_that_is_there() -> None:
    """Numbers rise and mean one promise each."""
    assert [one.key for one in PROMISES if not (ROOT / one.shown_by).is_file()] == []
    numbers = [int(one.key[1:]) for one in PROMISES]
    assert numbers == sorted(set(numbers))


def test_nothing_measured_is_broken() -> None:
    """What was measured last is committed: a broken promise does not land."""
    assert {key: one.violations for key, one in measured().items() if one.violations} == {}


def test_figure_of_a_small_run_says_how_small_it_was() -> None:
    """Half a proof is not shown as a whole one, and a violation is shouted."""
    promise = PROMISES[0]
    half = Measured(promise.full / 2, 0, "", "2026-01-05")
    assert f" of {promise.full:,} {promise.unit}" in outcome(promise, half)
    assert outcome(promise, Measured(promise.full, 2, "", "2026-01-05")).startswith("**2 violation")
    assert outcome(promise, None) == "unproven"
