"""Suggestions for misspelt words."""

from __future__ import annotations

from monitor.model.spelling import did_you_mean


def test_close_word_is_suggested_and_a_far_one_is_not() -> None:
    """One letter missing is a slip; another word altogether is not guessed at."""
    known = ("delayed_ratio", "failed_ratio")
    assert did_you_mean("delayd_ratio", known) == "did you mean 'delayed_ratio'?"
    assert did_you_mean("banana", known) == ""
    assert did_you_mean("x" * 1_000_000, known) == ""
