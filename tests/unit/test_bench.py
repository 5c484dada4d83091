"""The benchmark runner: what it finds, when a figure misses its target, how it prints."""

import math

import pytest

from benchmarks.row import Row
from benchmarks.run import benchmark_names, figure, table


def test_unknown_benchmark_is_an_error_that_names_those_there_are() -> None:
    """A typing mistake must not look like a run in which everything was met."""
    with pytest.raises(ValueError, match=r"no benchmark nothing; there are .*histogram"):
        benchmark_names(["nothing"])
    assert benchmark_names(["histogram"]) == ["histogram"]


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("g", "w", 1.1, "%", 1.1, "lower"), True),
        (Row("g", "w", 1.2, "%", 1.1, "lower"), False),
        (Row("g", "w", 50.0, "×", 50.0, "higher"), True),
        (Row("g", "w", 49.9, "×", 50.0, "higher"), False),
        (Row("g", "w", math.nan, "×", 50.0, "higher"), False),
        (Row("g", "w", 1.2, "%", 1.1, "info"), None),
        (Row("g", "w", 1.2, "%", None, "lower"), None),
    ],
)
def test_figure_meets_its_target_on_the_right_side_of_it(row: Row, met: bool | None) -> None:
    """A bound is met when it is touched; NaN meets nothing; without a target nothing is missed."""
    assert row.met is met


def test_missed_target_is_said_in_its_line_of_the_table() -> None:
    """The group is written once, the target with its direction."""
    lines = table(
        [Row("speed", "a", 3.0, "s", 2.0, "lower"), Row("speed", "b", 1234567.0, "", None)]
    ).splitlines()
    assert lines[1].split() == ["speed", "a", "3", "s", "≤", "2", "s", "MISSED"]
    assert lines[2].split() == ["b", "1,234,567"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00085, "0.00085"),
        (1.083, "1.083"),
        (31.25e6, "31,250,000"),
        (3e-7, "3.00e-07"),
    ],
)
def test_figure_keeps_four_digits_that_mean_something(value: float, text: str) -> None:
    """Neither thirteen decimals nor an exponent in a number people compare."""
    assert figure(value) == text
