"""Durations as people write them."""

import pytest

from monitor.model.times import parse_duration


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("500ms", 500), ("60s", 60_000), ("1h30m", 5_400_000), ("1.5d", 129_600_000), ("0s", 0)],
)
def test_duration_is_read_as_milliseconds(text: str, duration_ms: int) -> None:
    """One or more numbers, each with its unit."""
    assert parse_duration(text) == duration_ms


@pytest.mark.parametrize("text", ["", "3", "m", "3 m", "1m;2s", "-3m", "9" * 400 + "d"])
def test_what_is_no_duration_is_a_value_error(text: str) -> None:
    """Also a number that is longer than any float."""
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
