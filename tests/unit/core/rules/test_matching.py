"""Matchers over labels."""

from __future__ import annotations

from fnmatch import fnmatchcase
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.rules.matching import matches, matches_globs
from monitor.model.rules import Matcher


@pytest.mark.parametrize(
    ("op", "value", "label", "expected"),
    [
        ("=", "auto", "auto", True),
        ("=", "auto", "auto2", False),
        ("!=", "auto", "pool", True),
        ("=~", "auto|pool*", "pool-eu", True),
        ("=~", "auto|pool*", "auto-eu", False),
        ("=~", "a.c", "abc", False),
        ("=~", "*", "", True),
        ("!~", "auto|pool*", "staff", True),
        ("!~", "auto|pool*", "auto", False),
        ("=", "", None, True),
        ("!=", "auto", None, True),
    ],
)
def test_matcher_compares_one_label(
    op: str, value: str, label: str | None, *, expected: bool
) -> None:
    """Equality, its opposite, glob lists, and an absent label as empty text."""
    labels = {} if label is None else {"channel": label}
    assert matches([Matcher("channel", op, value)], labels) is expected


def test_all_matchers_must_hold() -> None:
    """Two matchers are joined by and; none at all always hold."""
    both = (Matcher("channel", "=~", "a*"), Matcher("channel", "!=", "ab"))
    assert matches(both, {"channel": "ac"})
    assert not matches(both, {"channel": "ab"})
    assert matches((), {})


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_glob_agrees_with_fnmatch(glob: str, value: str) -> None:
    """An independent implementation gives the same answer."""
    assert matches_globs(glob, value) == fnmatchcase(value, glob)


def test_many_stars_take_linear_time() -> None:
    """A glob made to make a backtracking matcher hang is answered at once."""
    start = perf_counter()
    assert not matches_globs("a*" * 500 + "b", "a" * 2_000)
    assert perf_counter() - start < 1
