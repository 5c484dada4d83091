"""Every code of lint has a rule that it finds and a neighbour that it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.rules.lint import CODES, Surroundings, lint
from monitor.core.rules.lint_text import Lint
from monitor.core.rules.parse import parse
from monitor.model.rules import Action, Rule

NOTHING = Surroundings()


def rule(expr: str, resolve_when: str | None = None, **fields: Any) -> Rule:
    """A warning without anything else."""
    resolve = None if resolve_when is None else parse(resolve_when).node
    parsed = parse(expr)
    return Rule("A", expr, parsed.node, "g", 15_000, resolve_when=resolve, **fields)


def codes(one: Rule, known: Surroundings = NOTHING) -> list[str]:
    """Codes of what is found."""
    return [found.code for found in lint(one, known)]


def only(one: Rule, known: Surroundings = NOTHING) -> Lint:
    """The one finding."""
    (found,) = lint(one, known)
    return found


NEVER = [
    ("oldest_age > 5m and oldest_age < 3m", "'oldest_age > 5m' and 'oldest_age < 3m' contradict"),
    ("open_orders > 3 and open_orders < 4", "contradict"),  # no whole number lies between
    ("not (oldest_age <= 5m or oldest_age > 5m)", "contradict"),
    ("open_orders == 3 and not open_orders == 3", "contradict"),
    ("health_index > 100", "'health_index > 100' can never hold"),
    ("delayed_ratio < 0%", "can never hold"),
    ("open_orders + orders[1h] < 0", "a comparison can never hold"),
    ("delayed_ratio / 2 > 60%", "a comparison can never hold"),
    ("orders[1h] * 2 < 0", "a comparison can never hold"),
    (
        'delayed_ratio{channel="a",channel="b"} > 2%',
        'no channel matches {channel="a", channel="b"}',
    ),
]


@pytest.mark.parametrize(("expr", "message"), NEVER)
def test_condition_that_no_values_fulfil_can_never_fire(expr: str, message: str) -> None:
    """Outside of what the signal can be, or two parts that exclude each other."""
    found = only(rule(expr))
    assert found.code == "never-can-fire"
    assert message in found.message
    assert found.field == "expr"


@pytest.mark.parametrize(
    "expr",
    [
        "oldest_age > 3m and oldest_age < 5m",
        "open_orders > 3 and open_orders < 5",
        "health_index > 99",
        "delayed_ratio[10m] > 5% and delayed_ratio[1h] < 3%",  # two windows are two values
        "orders[1h] - open_orders < 0",
        "oldest_age > 5m and oldest_age < 3m or open_orders > 2",  # one of two ways is open
        "budget_remaining(slo) < -1",
        "orders[1h] / open_orders > 5",
        'delayed_ratio{channel=~"a*",channel!="ab"} > 2%',
    ],
)
def test_condition_that_some_values_fulfil_is_left_alone(expr: str) -> None:
    """The neighbours of the impossible ones."""
    assert codes(rule(expr)) == []


def test_window_too_short_for_evidence_can_never_fire() -> None:
    """Two of two at 5 % happen once in 400: enough for 0.99, never for 0.9999."""
    found = only(rule("p95_delay[last 2] > 3m", confidence=0.9999))
    assert found.code == "never-can-fire"
    assert found.message == (
        "even 2 of 2 orders are no evidence for 'p95_delay > 3m' at a confidence of 0.9999"
    )
    assert codes(rule("p95_delay[last 2] > 3m", confidence=0.99)) == []
    ratio = rule("delayed_ratio[last 2] > 50%", confidence=0.9)
    assert codes(ratio) == ["never-can-fire"]  # 0.5² = 0.25
    assert codes(rule("delayed_ratio[last 4] > 50%", confidence=0.9)) == []  # 0.0625
    assert codes(rule("delayed_ratio[10m] > 50%", confidence=0.9999)) == []


def test_window_smaller_than_min_count_can_never_fire() -> None:
    """It would be insufficient for ever."""
    assert codes(rule("p90_delay[last 5] > 3m", min_count=6)) == ["never-can-fire"]
    assert codes(rule("p90_delay[last 5] > 3m", min_count=5)) == []


def test_mean_of_one_order_can_never_fire() -> None:
    """The worst order is always left out of a mean."""
    assert codes(rule("mean_delay[last 1] > 3m", min_count=1)) == ["never-can-fire"]
    assert codes(rule("mean_delay[last 2] > 3m")) == []


def test_channel_that_is_not_configured_can_never_fire() -> None:
    """Only where the channels are known."""
    known = Surroundings(channels=("auto", "pool"))
    found = only(rule('delayed_ratio{channel="autp"} > 2%'), known)
    assert found.message == 'no channel of the configuration matches {channel="autp"}'
    assert found.hint == "did you mean 'auto'?"
    assert codes(rule('delayed_ratio{channel=~"x*|y"} > 2%'), known) == ["never-can-fire"]
    assert codes(rule('delayed_ratio{channel=~"p*"} > 2%'), known) == []
    assert codes(rule('delayed_ratio{channel="autp"} > 2%')) == []


def test_condition_that_always_holds_is_found() -> None:
    """A count is never below zero; it may well be zero."""
    assert codes(rule("orders[1h] >= 0")) == ["always-true"]
    assert codes(rule("oldest_age > 3m or oldest_age <= 5m")) == ["always-true"]
    assert codes(rule("orders[1h] >= 1")) == []
    assert codes(rule("mean_delay[last 1] <= 3m")) == []


def test_critical_rule_needs_owner_and_runbook() -> None:
    """A warning wakes nobody."""
    assert codes(rule("oldest_age > 1h", severity="critical")) == ["no-owner", "no-runbook"]
    owned = rule("oldest_age > 1h", severity="critical", owner="ops", runbook_url="https://x/r")
    assert codes(owned) == []
    assert codes(rule("oldest_age > 1h", severity="warning")) == []


def test_for_shorter_than_the_interval_is_found() -> None:
    """Ten seconds are over before the next look in fifteen."""
    found = only(rule("oldest_age > 1h", for_ms=10_000))
    assert (found.code, found.field) == ("for-shorter-than-interval", "for")
    assert found.message == "'for' of 10s is shorter than the interval of 15s"
    assert codes(rule("oldest_age > 1h", for_ms=15_000)) == []


@pytest.mark.parametrize(
    ("expr", "resolve_when", "is_found"),
    [
        ("delayed_ratio > 2%", "delayed_ratio < 3%", True),
        ("delayed_ratio > 2%", "delayed_ratio < 2%", True),  # no gap
        ("delayed_ratio > 2%", "delayed_ratio < 1%", False),
        ("delayed_ratio[10m:20:6h] > 2%", "delayed_ratio[1h] < 3%", True),
        ("health_index < 70", "health_index > 60", True),
        ("health_index < 70", "health_index > 85", False),
        ("cusum_ratio > 1", "cusum_ratio < 0.5", False),
        ("open_orders > 5 and oldest_age > 3m", "open_orders < 2", False),
        ("open_orders > 5 or oldest_age > 3m", "open_orders < 2", True),  # while oldest_age holds
        ("open_orders > 5", "oldest_age < 3m", False),  # another signal: nothing is known
        ("source_silent > 0", "source_silent == 0", False),
        ("delayed_ratio > 2%", None, False),
    ],
)
def test_resolve_when_leaves_a_gap(expr: str, resolve_when: str | None, is_found: bool) -> None:
    """Both true at once, or one beginning where the other ends, is no hysteresis."""
    expected = ["resolve-above-fire"] if is_found else []
    assert codes(rule(expr, resolve_when)) == expected


@pytest.mark.parametrize(
    ("expr", "for_ms", "is_found"),
    [
        ("open_orders > 20", 0, True),
        ("mean_delay > 3m", 0, True),
        ("delayed_ratio < 2%", 0, True),  # `<` asks for no evidence
        ("delayed_ratio > 20% or open_orders > 20", 0, True),  # one way has none
        ("open_orders > 20", 60_000, False),
        ("delayed_ratio > 20%", 0, False),
        ("cusum_ratio > 1", 0, False),
        ("not (p90_delay <= 5m)", 0, False),
        ("delayed_ratio > 20% and open_orders > 20", 0, False),
    ],
)
def test_failover_needs_evidence_or_for(expr: str, for_ms: int, is_found: bool) -> None:
    """A review by a person needs neither."""
    switching = rule(expr, for_ms=for_ms, actions=(Action("failover"),))
    assert codes(switching) == (["action-without-guard"] if is_found else [])
    assert codes(rule(expr, for_ms=for_ms, actions=(Action("manual_review"),))) == []


def test_limit_below_one_order_of_the_window_is_noise() -> None:
    """Of twenty orders one is 5 %; P(X >= 3 | 20, 2 %) = 0.0071 is the first below 1 %."""
    found = only(rule("delayed_ratio[last 20] > 2%"))
    assert found.code == "threshold-inside-noise"
    assert found.message == (
        "'delayed_ratio > 2%': one of 20 orders is 5.0% already; evidence asks for 3"
    )
    assert found.hint == "take a window of 50 orders or more"
    assert codes(rule("delayed_ratio[last 50] > 2%")) == []
    assert codes(rule("delayed_ratio[10m:20:6h] > 2%")) == []


def test_rule_that_no_test_names_is_found() -> None:
    """Only when tests were looked for."""
    assert codes(rule("oldest_age > 1h"), Surroundings(tested=("B",))) == ["no-tests"]
    assert codes(rule("oldest_age > 1h"), Surroundings(tested=("A", "B"))) == []
    assert codes(rule("oldest_age > 1h")) == []


def test_condition_of_very_many_alternatives_claims_nothing() -> None:
    """Two to the tenth ways are not looked through."""
    ways = " and ".join(f"(open_orders > {n} or oldest_age > {n}m)" for n in range(1, 11))
    assert codes(rule(f"{ways} and open_orders < 0")) == []


def test_every_code_is_described() -> None:
    """`--codes` and the documentation read from this table."""
    assert all(text for text in CODES.values())
    assert len(CODES) == 12


def test_glob_that_looks_like_a_regular_expression_is_asked_about() -> None:
    """In either condition; a glob is left alone, and so is an exact name."""
    found = only(rule('delayed_ratio{channel=~"eu.*"} > 2%'))
    assert (found.code, found.field) == ("like-a-regular-expression", "expr")
    assert found.hint == "write 'eu*' unless the sign belongs to the name"
    resolve = only(rule("delayed_ratio > 2%", 'delayed_ratio{sku!~"5$"} < 1%'))
    assert (resolve.code, resolve.field) == ("like-a-regular-expression", "resolve_when")
    assert codes(rule('delayed_ratio{channel=~"eu*"} > 2%')) == []
    assert codes(rule('delayed_ratio{channel="eu.*"} > 2%')) == []


def test_text_naming_a_label_the_alert_does_not_have_is_found() -> None:
    """`by` or labels of its own fill it in; the finding says where in which text it stands."""
    text = (("help", "look"), ("summary", "{{ value }} on {{ channel }}"))
    found = only(rule("delayed_ratio > 2%", annotations=text))
    assert (found.code, found.field, found.part) == ("name-without-value", "annotations", "summary")
    assert found.column == 19
    assert found.hint == "split the rule by it, by: [channel]"
    assert codes(rule("delayed_ratio > 2%", annotations=text, by=("channel",))) == []
    assert codes(rule("delayed_ratio > 2%", annotations=text, labels=(("channel", "x"),))) == []
    assert only(rule("stock(a) < 2", annotations=text)).hint == ""  # it cannot be split
