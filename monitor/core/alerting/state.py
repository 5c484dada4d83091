"""Where an alert goes next: one literal table from (state, condition) to a move.

                 true                         true, `for` has passed
    INACTIVE ───────────► PENDING ────────────────────────────────► FIRING
        ▲                    │                                        │
        │◄───────────────────┘ false                                  │
        │◄────────────────────────────────────────────────────────────┘
              false, and `resolve_when` holds, and `keep_firing_for` has passed since it
              was last true; or, for a ratio, 20 good orders in a row

With `for: 0` the first true fires at once. Unknown (too few orders, no data) moves nothing: silence
is not recovery. `no_data: alert` takes missing data for true; `no_data: ok` takes it for false,
except while firing, which missing data never ends.

A firing alert remembers in `last_true_ms` since when the condition has not been true; None means
that it is true. So an alert changes, and costs a line of log, only when something turned, not at
every evaluation. Evidence is that of the latest change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from monitor.core.rules.findings import Finding
from monitor.model.alerts import Alert, AlertState
from monitor.model.rules import (
    RATIOS,
    Arithmetic,
    Comparison,
    Logical,
    Negation,
    Node,
    Number,
    Rule,
    Signal,
)

GOOD_STREAK = 20  # contract §4: so many good orders in a row end a ratio alert


class Condition(StrEnum):
    """What the evaluation means for the alert."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"
    RECOVERED = "recovered"  # a ratio with so many good orders in a row, whatever its window says


class Turn(msgspec.Struct, frozen=True):
    """All a move may look at."""

    rule: Rule
    finding: Finding
    resolve: Finding | None
    now_ms: int


def step(
    alert: Alert | None,
    finding: Finding,
    resolve: Finding | None,
    rule: Rule,
    labels: Mapping[str, str],
    now_ms: int,
    *,
    good_streak: int,
) -> Alert:
    """Move an alert on by one evaluation; the very same object comes back if nothing changed.

    `resolve` is the finding of `resolve_when`, None if the rule has none. `good_streak` counts the
    latest orders of the instance judged good without a bad one between. None as `alert` is an
    instance seen for the first time; it starts inactive.
    """
    if alert is None:
        pairs = tuple(sorted(labels.items()))
        alert = Alert(rule.alert, pairs, AlertState.INACTIVE.value, rule.severity)
    state = AlertState(alert.state)
    condition = _condition(state, finding, rule, good_streak)
    return TABLE[state, condition](alert, Turn(rule, finding, resolve, now_ms))


def next_move_ms(alert: Alert, rule: Rule) -> int | None:
    """When `for` or `keep_firing_for` ends, so that time alone can move the alert; else None."""
    if alert.state == AlertState.PENDING and alert.pending_ms is not None:
        return alert.pending_ms + rule.for_ms
    if alert.state == AlertState.FIRING and alert.last_true_ms is not None:
        return alert.last_true_ms + rule.keep_firing_for_ms
    return None


def rests_on_ratio(node: Node) -> bool:
    """Whether good orders in a row contradict the condition: it needs a ratio to be high."""
    match node:
        case Logical("and", left, right):
            return rests_on_ratio(left) or rests_on_ratio(right)
        case Logical(_, left, right):
            return rests_on_ratio(left) and rests_on_ratio(right)
        case Comparison(op, left, right):
            high, low = (left, right) if op in (">", ">=") else (right, left)
            return op in (">", ">=", "<", "<=") and _has_ratio(high) and not _has_ratio(low)
        case Negation() | Arithmetic() | Signal() | Number():
            return False


def _has_ratio(node: Node) -> bool:
    match node:
        case Signal(name):
            return name in RATIOS
        case Arithmetic(_, left, right):
            return _has_ratio(left) or _has_ratio(right)
        case _:
            return False


def _condition(state: AlertState, finding: Finding, rule: Rule, good_streak: int) -> Condition:
    if good_streak >= GOOD_STREAK and rests_on_ratio(rule.expr):
        return Condition.RECOVERED
    match finding.outcome, rule.no_data:
        case "true", _:
            return Condition.TRUE
        case "false", _:
            return Condition.FALSE
        case "no_data", "alert":
            return Condition.TRUE
        case "no_data", "ok" if state != AlertState.FIRING:
            return Condition.FALSE
        case _:
            return Condition.UNKNOWN


# --- moves --------------------------------------------------------------------------------------


def _stay(alert: Alert, turn: Turn) -> Alert:  # noqa: ARG001 - all moves look alike
    return alert


def _rise(alert: Alert, turn: Turn) -> Alert:
    """A new episode; what the last one left behind is forgotten."""
    fresh = msgspec.structs.replace(
        alert,
        state=AlertState.PENDING.value,
        severity=turn.rule.severity,
        reason=turn.finding.reason,
        evidence=turn.finding.evidence,
        pending_ms=turn.now_ms,
        firing_ms=None,
        resolved_ms=None,
        last_true_ms=None,
        notified_ms=None,
    )
    return _ripen(fresh, turn)


def _ripen(alert: Alert, turn: Turn) -> Alert:
    assert alert.pending_ms is not None
    if turn.now_ms - alert.pending_ms < turn.rule.for_ms:
        return alert
    return msgspec.structs.replace(
        alert,
        state=AlertState.FIRING.value,
        severity=turn.rule.severity,
        reason=turn.finding.reason,
        evidence=turn.finding.evidence,
        firing_ms=turn.now_ms,
    )


def _drop(alert: Alert, turn: Turn) -> Alert:
    return msgspec.structs.replace(
        alert,
        state=AlertState.INACTIVE.value,
        reason=turn.finding.reason,
        evidence=turn.finding.evidence,
        pending_ms=None,
    )


def _keep(alert: Alert, turn: Turn) -> Alert:  # noqa: ARG001 - all moves look alike
    """True again: `keep_firing_for` starts anew at the next evaluation that is not."""
    if alert.last_true_ms is None:
        return alert
    return msgspec.structs.replace(alert, last_true_ms=None)


def _clear(alert: Alert, turn: Turn) -> Alert:
    since_ms = turn.now_ms if alert.last_true_ms is None else alert.last_true_ms
    has_passed = turn.now_ms - since_ms >= turn.rule.keep_firing_for_ms
    if has_passed and (turn.resolve is None or turn.resolve.outcome == "true"):
        return _resolve(alert, turn)
    if alert.last_true_ms is not None:
        return alert
    return msgspec.structs.replace(alert, last_true_ms=since_ms)


def _resolve(alert: Alert, turn: Turn) -> Alert:
    finding = turn.resolve or turn.finding
    return msgspec.structs.replace(
        alert,
        state=AlertState.INACTIVE.value,
        reason="resolve_when" if turn.resolve else finding.reason,
        evidence=finding.evidence,
        resolved_ms=turn.now_ms,
    )


def _recover(alert: Alert, turn: Turn) -> Alert:
    return msgspec.structs.replace(
        alert,
        state=AlertState.INACTIVE.value,
        reason="good_streak",
        evidence=turn.finding.evidence,
        resolved_ms=turn.now_ms,
    )


Move = Callable[[Alert, Turn], Alert]

TABLE: Mapping[tuple[AlertState, Condition], Move] = {
    (AlertState.INACTIVE, Condition.TRUE): _rise,
    (AlertState.INACTIVE, Condition.FALSE): _stay,
    (AlertState.INACTIVE, Condition.UNKNOWN): _stay,
    (AlertState.INACTIVE, Condition.RECOVERED): _stay,
    (AlertState.PENDING, Condition.TRUE): _ripen,
    (AlertState.PENDING, Condition.FALSE): _drop,
    (AlertState.PENDING, Condition.UNKNOWN): _stay,
    (AlertState.PENDING, Condition.RECOVERED): _drop,
    (AlertState.FIRING, Condition.TRUE): _keep,
    (AlertState.FIRING, Condition.FALSE): _clear,
    (AlertState.FIRING, Condition.UNKNOWN): _stay,
    (AlertState.FIRING, Condition.RECOVERED): _recover,
}
