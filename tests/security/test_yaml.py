"""Files that are meant to hurt: each is read or refused as soon as a plain one, with a place.

A file of as many values as there may be takes some 80 ms of an idle core.
"""

from __future__ import annotations

import time

import pytest
import yaml

from monitor.config.yaml_lines import load_with_positions
from monitor.model.errors import ConfigError, Problem
from tests.security.files import HURTING, LAUGHS, WORDS

PLAIN = "".join(f"key{number}: value\n" for number in range(6_000))  # half of what there may be
TIMES_MAX = 6


def problems_of(text: str) -> list[Problem]:
    try:
        load_with_positions(text, "f.yaml")
    except ConfigError as error:
        return list(error.problems)
    return []


def cpu_s(text: str) -> float:
    """CPU time of reading a file, the best of three."""
    times_s = []
    for _ in range(3):
        started_s = time.process_time()
        problems_of(text)
        times_s.append(time.process_time() - started_s)
    return min(times_s)


@pytest.mark.parametrize("name", HURTING)
def test_hurting_file_is_read_or_refused_quickly(name: str) -> None:
    """Against half a plain file in the same run; nothing but problems that name line and column."""
    hurting_s, plain_s = cpu_s(HURTING[name]), cpu_s(PLAIN)
    assert hurting_s < TIMES_MAX * plain_s
    assert all(one.line >= 1 and one.column >= 1 for one in problems_of(HURTING[name]))


@pytest.mark.parametrize("name", [one for one in HURTING if "bomb" in one or "laughs" in one])
def test_bomb_is_refused_and_not_only_survived(name: str) -> None:
    """What expands beyond the limit is a problem, not a value."""
    with pytest.raises(ConfigError, match="larger than"):
        load_with_positions(HURTING[name], "f.yaml")


def test_plain_library_would_not_have_refused() -> None:
    """The comparison: the library's own safe loader builds the bomb and takes cycles."""
    small = "\n".join(LAUGHS.splitlines()[:6])
    assert len(str(yaml.safe_load(small))) > 100_000
    cycle = yaml.safe_load("a: &a [*a]")["a"]
    assert cycle[0] is cycle


@pytest.mark.parametrize(("elsewhere", "text", "expected"), WORDS)
def test_word_means_what_it_says(elsewhere: str, text: str, expected: object) -> None:
    """`no` is a word, `012` and `1:30` are not numbers in disguise; `elsewhere` is YAML 1.1."""
    value, _ = load_with_positions(f"key: {text}", "f.yaml")
    assert isinstance(value, dict)
    assert (value, type(value["key"])) == ({"key": expected}, type(expected)), elsewhere
