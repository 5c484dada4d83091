"""Conditions over readings: evidence, trimmed means, percentiles, three-valued logic."""

from __future__ import annotations

import itertools

import pytest

from monitor.core.rules.evaluate import Finding, Reading, evaluate
from monitor.core.rules.parse import parse
from monitor.model.errors import InvariantError
from monitor.model.rules import Matcher, Number, Window


class Readings:
    """A reader that answers from a table and remembers what it was asked."""

    def __init__(self, **readings: Reading) -> None:
        self.readings = readings
        self.asked: list[tuple[object, ...]] = []

    def read(
        self,
        signal: str,
        window: Window | None,
        matchers: tuple[Matcher, ...],
        labels: dict[str, str],
        *,
        min_count: int,
        limit_s: float | None,
    ) -> Reading:
        self.asked.append((signal, window, matchers, labels, min_count, limit_s))
        return self.readings[signal]


def judge(text: str, **readings: Reading) -> Finding:
    return evaluate(parse(text).node, Readings(**readings), {}, confidence=0.99, min_count=2)


def ratio(k: int, n: int) -> Reading:
    return Reading(value=k / n, k=k, n=n)


@pytest.mark.parametrize(
    ("k", "n", "outcome", "reason"),
    [
        (1, 10, "false", "insufficient_evidence"),  # 1 - 0.98^10 = 0.18
        (2, 10, "false", "insufficient_evidence"),  # 0.0162
        (3, 10, "true", "evidence"),  # 0.00086
        (2, 100, "false", "below"),  # exactly 2 %
        (3, 100, "false", "insufficient_evidence"),
        (8, 100, "true", "evidence"),  # 0.00093 (scipy binom.sf)
        (1, 1, "insufficient", "insufficient_evidence"),  # below min_count
        (2, 2, "true", "evidence"),  # 0.02^2
    ],
)
def test_ratio_needs_evidence(k: int, n: int, outcome: str, reason: str) -> None:
    """Contract §4: of a limit of 2 %, one late of ten stays quiet and three of ten fire."""
    found = judge("delayed_ratio > 2%", delayed_ratio=ratio(k, n))
    assert (found.outcome, found.reason) == (outcome, reason)


def test_evidence_is_reported() -> None:
    """The finding carries what a message needs: value, limit, counts and the tail probability."""
    evidence = judge("2% < delayed_ratio", delayed_ratio=ratio(3, 10)).evidence
    assert (evidence.value, evidence.limit, evidence.k, evidence.n) == (0.3, 0.02, 3, 10)
    assert evidence.signal == "delayed_ratio"
    assert evidence.p == pytest.approx(0.00086390628, rel=1e-8)  # scipy binom.sf


def test_confidence_decides_how_much_evidence() -> None:
    """Two late of ten have p = 0.0162: enough for 0.98, not for 0.99."""
    node, readings = parse("delayed_ratio > 2%").node, Readings(delayed_ratio=ratio(2, 10))
    assert evaluate(node, readings, {}, confidence=0.98, min_count=2).outcome == "true"
    assert evaluate(node, readings, {}, confidence=0.99, min_count=2).outcome == "false"


def test_falling_below_needs_no_evidence() -> None:
    """A resolving condition compares plain values."""
    assert judge("delayed_ratio < 1%", delayed_ratio=ratio(0, 3)).outcome == "true"
    assert judge("delayed_ratio < 1%", delayed_ratio=ratio(1, 3)).outcome == "false"


def test_negation_is_no_way_around_evidence() -> None:
    """`not (x <= 2%)` says `x > 2%` and stays quiet at one of ten."""
    for text in ("not delayed_ratio <= 2%", "not (2% >= delayed_ratio)"):
        assert judge(text, delayed_ratio=ratio(1, 10)).reason == "insufficient_evidence"
        assert judge(text, delayed_ratio=ratio(3, 10)).outcome == "true"
    text = "not (delayed_ratio <= 2% or orders < 1)"
    assert judge(text, delayed_ratio=ratio(1, 10), orders=Reading(10)).outcome == "false"


@pytest.mark.parametrize(
    ("mean", "trimmed", "outcome", "reason"),
    [
        (185.0, 20.0, "false", "trimmed_mean"),  # one of ten stuck for half an hour
        (185.0, 181.0, "true", "threshold"),
        (185.0, 180.0, "false", "trimmed_mean"),
        (185.0, None, "false", "trimmed_mean"),
        (180.0, 170.0, "false", "below"),
    ],
)
def test_mean_needs_the_trimmed_mean(
    mean: float, trimmed: float | None, outcome: str, reason: str
) -> None:
    """One stuck order is a tier, not an incident (design D12a)."""
    found = judge("mean_delay > 3m", mean_delay=Reading(mean, n=10, trimmed=trimmed))
    assert (found.outcome, found.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("value", "k", "outcome", "reason"),
    [
        (400.0, 3, "false", "insufficient_evidence"),  # P(X >= 3 | 10, 0.05) = 0.0115
        (400.0, 4, "true", "evidence"),  # 0.00103
        (None, 4, "true", "evidence"),  # not reached: above every limit
        (200.0, 4, "false", "below"),
        (400.0, None, "true", "threshold"),
    ],
)
def test_percentile_needs_evidence(
    value: float | None, k: int | None, outcome: str, reason: str
) -> None:
    """More than 5 % of the orders above the limit, beyond chance, make p95 exceed it."""
    found = judge("p95_delay > 5m", p95_delay=Reading(value, k=k, n=10))
    assert (found.outcome, found.reason) == (outcome, reason)


def test_percentile_not_reached_is_not_below() -> None:
    """`p99 < 5m` is false while too few orders are delivered to know p99."""
    assert judge("p99_delay < 5m", p99_delay=Reading(None, n=10)).outcome == "false"
    assert judge("p99_delay - p50_delay > 1m", p99_delay=Reading(None), p50_delay=Reading(9.0)) == (
        judge("p50_delay - p99_delay < 1m", p50_delay=Reading(9.0), p99_delay=Reading(None))
    )


def test_reader_is_asked_with_everything_it_needs() -> None:
    """Window, matchers, labels, min_count, and the limit only where orders above it count."""
    readings = Readings(p95_delay=Reading(1.0, k=0, n=9), oldest_age=Reading(1.0))
    node = parse('p95_delay{channel=~"a*"}[10m] > 5m or oldest_age > 2 * 30m').node
    evaluate(node, readings, {"channel": "auto"}, confidence=0.99, min_count=7)
    matcher = (Matcher("channel", "=~", "a*"),)
    labels = {"channel": "auto"}
    assert readings.asked == [
        ("p95_delay", Window(600_000), matcher, labels, 7, 300.0),
        ("oldest_age", None, (), labels, 7, None),
    ]


def test_constant_arithmetic_on_the_limit_keeps_the_test() -> None:
    """`> 2 * 1%` is a limit like any other."""
    found = judge("delayed_ratio > 2 * 1%", delayed_ratio=ratio(1, 10))
    assert found.reason == "insufficient_evidence"


@pytest.mark.parametrize(
    ("text", "left", "right", "outcome"),
    [
        ("orders / open_orders > 2", Reading(9.0), Reading(4.0), "true"),
        ("orders / open_orders > 2", Reading(9.0), Reading(0.0), "no_data"),
        ("orders - open_orders > 5", Reading(9.0), Reading(4.0), "false"),
        ("orders * open_orders == 36", Reading(9.0), Reading(4.0), "true"),
        ("orders + open_orders != 13", Reading(9.0), Reading(4.0), "false"),
        ("orders + open_orders > 1", Reading(state="no_data"), Reading(4.0), "no_data"),
        ("orders + open_orders > 1", Reading(9.0), Reading(state="insufficient"), "insufficient"),
        ("orders > open_orders", Reading(9.0), Reading(4.0), "true"),
        ("orders > open_orders", Reading(9.0), Reading(None), "no_data"),
        ("orders > 3", Reading(None), Reading(1.0), "no_data"),
    ],
)
def test_arithmetic(text: str, left: Reading, right: Reading, outcome: str) -> None:
    """Plain numbers; what cannot be calculated is no data."""
    assert judge(text, orders=left, open_orders=right).outcome == outcome


def test_window_without_orders_is_no_data() -> None:
    """0 of 0 is neither good nor bad."""
    assert judge("delayed_ratio > 2%", delayed_ratio=Reading(0.0, 0, 0)).outcome == "no_data"


# Kleene's tables, with U for both kinds of unknown.
AND = {"TT": "T", "TF": "F", "TU": "U", "FT": "F", "FF": "F", "FU": "F", "UT": "U", "UF": "F"}
OR = {"TT": "T", "TF": "T", "TU": "T", "FT": "T", "FF": "F", "FU": "U", "UT": "T", "UF": "U"}
LETTER = {"true": "T", "false": "F", "insufficient": "U", "no_data": "U"}
VALUES = {
    "true": Reading(9.0),
    "false": Reading(1.0),
    "insufficient": Reading(state="insufficient"),
    "no_data": Reading(state="no_data"),
}


@pytest.mark.parametrize(("left", "right"), list(itertools.product(VALUES, VALUES)))
def test_logic_is_three_valued(left: str, right: str) -> None:
    """All sixteen pairs for and, or, and both under not."""
    readings = {"orders": VALUES[left], "open_orders": VALUES[right]}
    pair = LETTER[left] + LETTER[right]
    expected_and, expected_or = AND.get(pair, "U"), OR.get(pair, "U")
    swap = {"T": "F", "F": "T", "U": "U"}
    for text, expected in (
        ("orders > 5 and open_orders > 5", expected_and),
        ("orders > 5 or open_orders > 5", expected_or),
        ("not (orders > 5 and open_orders > 5)", swap[expected_and]),
        ("not (orders > 5 or open_orders > 5)", swap[expected_or]),
        ("not not (orders > 5 or open_orders > 5)", expected_or),
    ):
        assert LETTER[judge(text, **readings).outcome] == expected, text


def test_the_more_telling_reason_survives() -> None:
    """Evidence that was short explains a quiet rule better than a value that was below."""
    found = judge(
        "orders > 5 or delayed_ratio > 2%", orders=Reading(1.0), delayed_ratio=ratio(1, 10)
    )
    assert (found.outcome, found.reason) == ("false", "insufficient_evidence")
    found = judge(
        "orders > 5 and delayed_ratio > 2%", orders=Reading(9.0), delayed_ratio=ratio(3, 10)
    )
    assert (found.reason, found.evidence.signal) == ("evidence", "delayed_ratio")


def test_value_as_condition_is_a_bug() -> None:
    """A tree that `parse` cannot have made is refused loudly."""
    with pytest.raises(InvariantError):
        evaluate(Number(1.0), Readings(), {}, confidence=0.99, min_count=2)
