"""Annotation templates: filled in, never failing, mistakes found when the file is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.alerting.template import VALUES, alert_values, format_value, mistakes, render
from monitor.model.alerts import Alert, Evidence


def test_contract_example_reads_as_a_sentence() -> None:
    """The summary of the shipped ratio rule, filled from an alert."""
    alert = Alert(
        "DelayedOver2Percent",
        (("channel", "auto"),),
        "firing",
        "warning",
        evidence=Evidence(0.3, 0.02, 3, 10, 0.0009, "delayed_ratio"),
    )
    template = "{{ count }} of {{ total }} orders on {{ channel }} are late ({{ value }})"
    assert render(template, alert_values(alert)) == "3 of 10 orders on auto are late (30%)"


def test_duration_signal_gives_an_age() -> None:
    """`age` is the value of a signal that is a time."""
    evidence = Evidence(5400.0, 1800.0, signal="oldest_age")
    values = alert_values(Alert("Old", (), "firing", "info", evidence=evidence))
    assert render("{{age}} over {{limit}}, {{ count }}", values) == "1h30m over 30m, <no count>"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ ratio | percent }}", "4.3%"),
        ("{{ratio|percent}}", "4.3%"),
        ("{{ seconds | duration }}", "1m30s"),
        ("{{ big | humanize }}", "1.235M"),
        ("{{ small | humanize }}", "12.35"),
        ("{{ ratio }}", "0.043"),
        ("{{ count }}", "3"),
        ("{{ name | percent }}", "auto"),
        ("{{ nothing }}", "<no nothing>"),
        ("{{ nothing | percent }}", "<no nothing>"),
        ("{{ count | shout }}", "<no shout>"),
        ("{{ infinite }} {{ infinite | percent }}", "– –"),
        ("{{ count", "{{ count"),
        ("{% if count %}", "{% if count %}"),
        ("{{ count.real }}", "{{ count.real }}"),
        ("{{ evil }}", "{{ count }}"),
    ],
)
def test_fields_and_filters(template: str, expected: str) -> None:
    """Every form, and everything that is none stays as it is; a value is never a template."""
    values: dict[str, str | float | int] = {
        "ratio": 0.043,
        "seconds": 90,
        "big": 1_234_567,
        "small": 12.3456,
        "count": 3,
        "name": "auto",
        "infinite": float("inf"),
        "evil": "{{ count }}",
    }
    assert render(template, values) == expected


def test_long_value_is_cut() -> None:
    """A label of a megabyte does not become a message of a megabyte."""
    for template in ("{{ channel }}", "{{ channel | percent }}"):
        assert len(render(template, {"channel": "x" * 10_000})) == 200


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.02, "ratio", "2%"),
        (0.0434, "ratio", "4.3%"),
        (1.0, "ratio", "100%"),
        (0.0, "ratio", "0%"),
        (0.00034, "ratio", "0.034%"),
        (185.0, "duration", "3m5s"),
        (0.25, "duration", "250ms"),
        (61.456, "score", "61.46"),
        (5.0, "count", "5"),
        (1234567.0, "count", "1234567"),
        (None, "duration", "–"),
    ],
)
def test_value_is_written_in_its_unit(value: float | None, unit: str, expected: str) -> None:
    """Percent, spoken durations, plain numbers, and a dash for nothing."""
    assert format_value(value, unit) == expected


def test_mistakes_are_found_with_columns() -> None:
    """Braces that are no field and unknown filters are named before the first alert."""
    assert mistakes("{{ value }} {{ value | percent }}", ()) == []
    assert mistakes("a {{ value | percnt }}", ()) == [
        (14, "unknown filter 'percnt'; did you mean 'percent'?")
    ]
    assert [column for column, _ in mistakes("{{ $value }} {{ a.b }}", ())] == [1, 14]
    assert mistakes("x" * 2001, ())[0][0] == 2001


def test_names_nothing_fills_in_are_found_with_columns() -> None:
    """Values and labels are known, everything else gets the nearest of them or the list."""
    assert mistakes("{{ channel }} {{ team }} {{ age }}", ("channel", "team")) == []
    assert mistakes("{{ count }} of {{cuont}}", ()) == [
        (18, "unknown name 'cuont'; did you mean 'count'?")
    ]
    assert mistakes("{{ chanel | percnt }}", ("channel",)) == [
        (4, "unknown name 'chanel'; did you mean 'channel'?"),
        (13, "unknown filter 'percnt'; did you mean 'percent'?"),
    ]
    ((_, message),) = mistakes("{{ zzz }}", ("channel",))
    assert message.startswith("unknown name 'zzz'; known are value, limit, count, total, age, ")
    assert message.endswith(", channel")


def test_every_value_of_an_alert_may_be_named() -> None:
    """What is filled in and what may be written are one list."""
    evidence = Evidence(5400.0, 1800.0, 3, 10, signal="oldest_age")
    assert set(alert_values(Alert("Old", (), "firing", "info", evidence=evidence))) == set(VALUES)


@given(
    st.text("{}| abpercentv%\n", max_size=60),
    st.dictionaries(st.sampled_from("abv"), st.floats() | st.integers() | st.text(max_size=5)),
)
def test_rendering_never_raises(template: str, values: dict[str, str | float | int]) -> None:
    """Any template over any values gives text."""
    assert isinstance(render(template, values), str)
