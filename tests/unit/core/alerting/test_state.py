"""The life of an alert: every state under every finding, and the timers between."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from monitor.core.alerting.state import TABLE, Condition, next_move_ms, rests_on_ratio, step
from monitor.core.rules.findings import Finding
from monitor.core.rules.parse import parse
from monitor.model.alerts import Alert, AlertState, Evidence
from monitor.model.rules import Rule

TRUE = Finding("true", "evidence", Evidence(0.3, 0.02, 3, 10, 0.0009, "delayed_ratio"))
FALSE = Finding("false", "below", Evidence(0.01, 0.02, 1, 100, None, "delayed_ratio"))
THIN = Finding("insufficient", "insufficient_evidence")
NOTHING = Finding("no_data", "no_data")
FINDINGS = {"true": TRUE, "false": FALSE, "insufficient": THIN, "no_data": NOTHING}
T0 = 1_000_000
MINUTE = 60_000
LABELS = {"channel": "auto"}


def rule(
    expr: str = "delayed_ratio > 2%",
    *,
    for_ms: int = MINUTE,
    keep_firing_for_ms: int = 0,
    resolve_when: str | None = None,
    no_data: str = "keep",
) -> Rule:
    return Rule(
        "Late",
        expr,
        parse(expr).node,
        "delivery",
        15_000,
        for_ms=for_ms,
        keep_firing_for_ms=keep_firing_for_ms,
        resolve_when=parse(resolve_when).node if resolve_when else None,
        no_data=no_data,
    )


def alert_in(state: str) -> Alert:
    """An alert that entered the state at T0."""
    alert = Alert("Late", (("channel", "auto"),), state, "warning")
    match state:
        case "pending":
            return msgspec.structs.replace(alert, pending_ms=T0)
        case "firing":
            return msgspec.structs.replace(alert, pending_ms=T0 - MINUTE, firing_ms=T0)
        case _:
            return alert


def move(
    alert: Alert | None,
    finding: Finding,
    now_ms: int,
    with_rule: Rule | None = None,
    resolve: Finding | None = None,
    good_streak: int = 0,
) -> Alert:
    return step(
        alert, finding, resolve, with_rule or rule(), LABELS, now_ms, good_streak=good_streak
    )


def test_table_covers_every_state_and_condition() -> None:
    """No pair can be forgotten."""
    assert set(TABLE) == set(itertools.product(AlertState, Condition))


# (state, finding) -> state before `for` has passed, state after it, by hand.
EXPECTED = {
    ("inactive", "true"): ("pending", "pending"),
    ("inactive", "false"): ("inactive", "inactive"),
    ("inactive", "insufficient"): ("inactive", "inactive"),
    ("inactive", "no_data"): ("inactive", "inactive"),
    ("pending", "true"): ("pending", "firing"),
    ("pending", "false"): ("inactive", "inactive"),
    ("pending", "insufficient"): ("pending", "pending"),
    ("pending", "no_data"): ("pending", "pending"),
    ("firing", "true"): ("firing", "firing"),
    ("firing", "false"): ("inactive", "inactive"),
    ("firing", "insufficient"): ("firing", "firing"),
    ("firing", "no_data"): ("firing", "firing"),
}


@pytest.mark.parametrize(("state", "outcome"), list(EXPECTED))
def test_each_state_under_each_finding(state: str, outcome: str) -> None:
    """The whole table, before and after `for`; the same object whenever the state stays."""
    before = alert_in(state)
    for now_ms, expected in zip((T0 + 1, T0 + MINUTE), EXPECTED[state, outcome], strict=True):
        after = move(before, FINDINGS[outcome], now_ms)
        assert after.state == expected
        assert (after is before) == (state == expected)


# What `no_data` as a policy makes of missing data: (state, policy) -> state with `for` passed.
NO_DATA = {
    ("inactive", "keep"): "inactive",
    ("inactive", "ok"): "inactive",
    ("inactive", "alert"): "pending",
    ("pending", "keep"): "pending",
    ("pending", "ok"): "inactive",
    ("pending", "alert"): "firing",
    ("firing", "keep"): "firing",
    ("firing", "ok"): "firing",
    ("firing", "alert"): "firing",
}


@pytest.mark.parametrize(("state", "policy"), list(NO_DATA))
def test_missing_data_follows_the_policy_and_never_resolves(state: str, policy: str) -> None:
    """Keep holds, alert counts as true, ok drops what is pending; firing stays in all three."""
    after = move(alert_in(state), NOTHING, T0 + MINUTE, rule(no_data=policy))
    assert after.state == NO_DATA[state, policy]


@pytest.mark.parametrize("policy", ["keep", "ok", "alert"])
@pytest.mark.parametrize("state", ["inactive", "pending", "firing"])
def test_too_few_orders_move_nothing(state: str, policy: str) -> None:
    """`insufficient` is not missing data: no policy applies to it."""
    before = alert_in(state)
    assert move(before, THIN, T0 + MINUTE, rule(no_data=policy)) is before


@pytest.mark.parametrize("outcome", list(FINDINGS))
@pytest.mark.parametrize(
    ("state", "expected"),
    [("inactive", "inactive"), ("pending", "inactive"), ("firing", "inactive")],
)
def test_twenty_good_orders_end_a_ratio_alert(state: str, expected: str, outcome: str) -> None:
    """Whatever the window still says, and without waiting for keep_firing_for."""
    with_rule = rule(keep_firing_for_ms=MINUTE, resolve_when="delayed_ratio < 1%")
    finding = FINDINGS[outcome]
    after = move(alert_in(state), finding, T0 + MINUTE, with_rule, FALSE, good_streak=20)
    assert after.state == expected
    if state == "firing":
        assert (after.reason, after.resolved_ms) == ("good_streak", T0 + MINUTE)


def test_nineteen_good_orders_do_not() -> None:
    """One fewer and the window decides."""
    assert move(alert_in("firing"), TRUE, T0 + 1, good_streak=19).state == "firing"


def test_good_orders_do_not_end_an_alert_about_something_else() -> None:
    """A mean or an age is not contradicted by a streak."""
    old = rule("oldest_age > 30m")
    assert move(alert_in("firing"), TRUE, T0 + 1, old, good_streak=99).state == "firing"


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("delayed_ratio > 2%", True),
        ("2% < bad_ratio", True),
        ("delayed_ratio * 2 >= 2%", True),
        ("delayed_ratio > 2% and orders > 5", True),
        ("delayed_ratio > 2% or failed_ratio > 1%", True),
        ("delayed_ratio > 2% or oldest_age > 30m", False),
        ("delayed_ratio < 2%", False),
        ("delayed_ratio == 2%", False),
        ("delayed_ratio > failed_ratio", False),
        ("not delayed_ratio > 2%", False),
        ("mean_delay > 3m", False),
    ],
)
def test_ratio_rules_are_recognised(expr: str, *, expected: bool) -> None:
    """A ratio rule needs a ratio to be high in every way to be true."""
    assert rests_on_ratio(parse(expr).node) is expected


def test_first_sight_starts_inactive_with_sorted_labels() -> None:
    """An instance without history gets an alert with its identity."""
    labels = {"source": "s", "channel": "c"}
    alert = step(None, FALSE, None, rule(), labels, T0, good_streak=0)
    assert alert.key == "Late{channel=c,source=s}"
    assert alert.state == "inactive"


def test_without_for_the_first_true_fires() -> None:
    """`for: 0` skips pending but notes both times."""
    alert = move(None, TRUE, T0, rule(for_ms=0))
    assert (alert.state, alert.pending_ms, alert.firing_ms) == ("firing", T0, T0)
    assert (alert.reason, alert.evidence.k) == ("evidence", 3)


def test_story_from_quiet_to_resolved() -> None:
    """Pending at once, firing after `for`, kept while unclear, resolved below the lower limit."""
    with_rule = rule(keep_firing_for_ms=5 * MINUTE, resolve_when="delayed_ratio < 1%")
    alert = move(None, TRUE, T0, with_rule, FALSE)
    assert (alert.state, alert.pending_ms) == ("pending", T0)
    alert = move(alert, TRUE, T0 + MINUTE, with_rule, FALSE)
    assert (alert.state, alert.firing_ms) == ("firing", T0 + MINUTE)
    alert = move(alert, FALSE, T0 + 2 * MINUTE, with_rule, TRUE)  # keep_firing_for starts
    assert (alert.state, alert.last_true_ms) == ("firing", T0 + 2 * MINUTE)
    alert = move(alert, FALSE, T0 + 7 * MINUTE - 1, with_rule, TRUE)
    assert alert.state == "firing"
    alert = move(alert, FALSE, T0 + 7 * MINUTE, with_rule, FALSE)  # not yet below 1 %
    assert alert.state == "firing"
    alert = move(alert, FALSE, T0 + 8 * MINUTE, with_rule, THIN)  # too few to say so
    assert alert.state == "firing"
    alert = move(alert, FALSE, T0 + 9 * MINUTE, with_rule, TRUE)
    assert (alert.state, alert.reason) == ("inactive", "resolve_when")
    assert (alert.firing_ms, alert.resolved_ms) == (T0 + MINUTE, T0 + 9 * MINUTE)


def test_true_again_restarts_keep_firing_for() -> None:
    """The five minutes count from the last time it was true."""
    with_rule = rule(keep_firing_for_ms=5 * MINUTE)
    alert = move(alert_in("firing"), FALSE, T0, with_rule)
    alert = move(alert, TRUE, T0 + 4 * MINUTE, with_rule)
    assert alert.last_true_ms is None
    alert = move(alert, FALSE, T0 + 5 * MINUTE, with_rule)
    assert move(alert, FALSE, T0 + 10 * MINUTE - 1, with_rule).state == "firing"
    assert move(alert, FALSE, T0 + 10 * MINUTE, with_rule).state == "inactive"


def test_true_beats_resolve_when() -> None:
    """While the condition holds nothing resolves, even with overlapping limits."""
    with_rule = rule(resolve_when="delayed_ratio < 50%")
    assert move(alert_in("firing"), TRUE, T0 + 1, with_rule, TRUE).state == "firing"


def test_waiting_changes_nothing_worth_logging() -> None:
    """Repeated evaluations return the very same object in every waiting position."""
    with_rule = rule(keep_firing_for_ms=5 * MINUTE)
    pending = move(None, TRUE, T0)
    assert move(pending, TRUE, T0 + 1) is pending
    firing = alert_in("firing")
    assert move(firing, TRUE, T0 + 1, with_rule) is firing
    clearing = move(firing, FALSE, T0 + 2, with_rule)
    assert move(clearing, FALSE, T0 + 3, with_rule) is clearing
    assert move(clearing, NOTHING, T0 + 99 * MINUTE, with_rule) is clearing


def test_next_episode_forgets_the_last_one() -> None:
    """A new pending has neither the old times nor the old notification."""
    old = msgspec.structs.replace(
        alert_in("inactive"), firing_ms=1, resolved_ms=2, last_true_ms=3, notified_ms=4
    )
    alert = move(old, TRUE, T0)
    assert (alert.firing_ms, alert.resolved_ms, alert.last_true_ms) == (None, None, None)
    assert alert.notified_ms is None


def test_resolving_keeps_the_notification_that_obliges_a_second_one() -> None:
    """Whoever heard `firing` must hear `resolved`."""
    firing = msgspec.structs.replace(alert_in("firing"), notified_ms=T0)
    assert move(firing, FALSE, T0 + 1).notified_ms == T0


def test_timers_name_their_moment() -> None:
    """`for` and `keep_firing_for` end at known times; other states wait for news."""
    with_rule = rule(keep_firing_for_ms=5 * MINUTE)
    assert next_move_ms(alert_in("inactive"), with_rule) is None
    assert next_move_ms(alert_in("pending"), with_rule) == T0 + MINUTE
    assert next_move_ms(alert_in("firing"), with_rule) is None
    clearing = move(alert_in("firing"), FALSE, T0 + 1, with_rule)
    assert next_move_ms(clearing, with_rule) == T0 + 1 + 5 * MINUTE
