"""Matchers over labels."""

from __future__ import annotations

from fnmatch import fnmatchcase
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.rules.matching import as_globs, matches, matches_globs, regex_in, regex_like
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


@pytest.mark.parametrize(
    ("globs", "part", "meant"),
    [
        ("auto|^pool", "^pool", "auto|pool"),
        ("^(auto|pool.*)$", "^(auto", "auto|pool*"),
        ("auto.+", "auto.+", "auto*"),
        ("pool[0-9]", "pool[0-9]", ""),
        (r"pool\d", r"pool\d", ""),
        ("(?i)auto", "(?i)auto", ""),
    ],
)
def test_regular_expression_is_told_from_a_list_of_globs(globs: str, part: str, meant: str) -> None:
    """The part that no name looks like, and what to write where that can be said."""
    assert regex_in(globs) == part
    assert as_globs(globs) == meant


@pytest.mark.parametrize("globs", ["auto|pool*", "a.b|c*", "*", "", "卡密(自动)", "Steam [EU-US]"])
def test_names_and_globs_are_no_regular_expressions(globs: str) -> None:
    """Dots, brackets and dashes belong to names."""
    assert regex_in(globs) is None
    assert regex_like(globs) is None


@pytest.mark.parametrize(
    ("globs", "part", "meant"),
    [("a|eu.*", "eu.*", "a|eu*"), ("card-5$", "card-5$", "card-5"), ("pool?", "pool?", "")],
)
def test_what_may_be_a_name_or_a_regular_expression_is_told_apart(
    globs: str, part: str, meant: str
) -> None:
    """Not refused, for a name may have such a sign; lint asks."""
    assert regex_in(globs) is None
    assert regex_like(globs) == part
    assert as_globs(globs) == meant
