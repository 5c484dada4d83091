"""Why a rule fires or does not, instance by instance: condition, state, and why nobody was told.

The same object answers `rules explain --events`, which plays a recording up to a time, and
`GET /v1/rules/{rule}/explanation` of a running service: of now from its state, of the past from the
evaluations in its log.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from monitor.core.engine import Engine
from monitor.core.rules.explain import Explainer
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.parse import signals_in
from monitor.model.alerts import Alert, AlertState
from monitor.model.errors import NotFoundError
from monitor.model.evaluations import Step
from monitor.model.records import AlertMoved
from monitor.model.rules import RATIOS, SIDE_SIGNALS, SIGNALS, Rule, Signal
from monitor.model.spelling import did_you_mean
from monitor.model.times import SECOND_MS, format_rfc3339

INSTANCES_MAX = 200

_OUTCOMES = {
    **dict.fromkeys(("threshold", "evidence"), "true"),
    **dict.fromkeys(("insufficient_evidence", "trimmed_mean", "trimmed_health", "below"), "false"),
    **dict.fromkeys(("resolve_when", "good_streak"), "false"),
}  # of the reason an alert carries


class Waiting(msgspec.Struct, frozen=True):
    """How far `for` or `keep_firing_for` has come."""

    field: str
    passed_s: float
    of_s: float
    ends_at: str


class Why(msgspec.Struct, frozen=True):
    """One reason why nobody was told; `code` is stable, `text` is for people."""

    code: str
    text: str


class Instance(msgspec.Struct, frozen=True):
    """One instance of a rule.

    `state`: inactive, pending, firing, `since` when; `reason` is that of its latest change. Until
    `is_unconfirmed` ends, late orders of a silent source are left out, so false proves nothing.
    `good_streak`: orders judged good in a row, 20 of them end a ratio alert. `recorded_at`: the
    condition was judged then, and the alert has not moved since; None: at the time asked for.
    """

    labels: dict[str, str]
    state: str
    since: str | None
    reason: str
    condition: Step
    resolve_when: Step | None
    is_unconfirmed: bool
    good_streak: int | None
    waiting: Waiting | None
    told_at: str | None
    untold: list[Why]
    recorded_at: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """A rule at a time. `left_out`: so many more instances than are listed."""

    rule: str
    at: str
    expr: str
    severity: str
    mode: str
    confidence: float
    min_count: int
    interval_s: float
    for_s: float
    keep_firing_for_s: float
    no_data: str
    actions: list[str]
    instances: list[Instance]
    left_out: int = 0


def explain_rule(
    engine: Engine, name: str, now_ms: int, labels: dict[str, str] | None = None
) -> Explanation:
    """Judge a rule for all its instances, or those with these labels, and say why.

    Raises: NotFoundError if no rule has the name.
    """
    rule = engine.control.rule(name)
    if rule is None:
        known = [one.alert for one in engine.control.rules.rules]
        hint = did_you_mean(name, known) or f"known are {', '.join(known) or 'none'}"
        raise NotFoundError(f"no rule is called '{name[:100]}'", hint=hint)
    panel = engine.control.panel(engine.view(now_ms))
    alerts = {alert.labels: alert for alert in engine.control.alerts.values() if alert.rule == name}
    domain = panel.domain(rule.by, _active(rule, alerts.values()), _signals(rule))
    wanted = (labels or {}).items()
    places = [
        index
        for index in range(len(domain))
        if wanted <= {**domain.labels(index), **dict(rule.labels)}.items()
    ]
    looker = _Looker(engine, rule, panel, domain, now_ms)
    return _explanation(
        rule, now_ms, [looker.instance(index, alerts) for index in places[:INSTANCES_MAX]],
        left_out=max(0, len(places) - INSTANCES_MAX),
    )  # fmt: skip


def explain_recorded(
    rule: Rule,
    moves: Iterable[AlertMoved],
    at_ms: int,
    labels: dict[str, str] | None = None,
    *,
    has_receiver: bool = True,
) -> Explanation:
    """Say from the log alone how a rule's alerts stood at a time in the past, and why.

    `moves` are logged ones of any rule in the order of the log. The latest of each alert at or
    before the time is the answer, with the evaluation it was made with; an instance whose alert had
    not moved by then is not listed, for nothing was written about it.
    """
    wanted = (labels or {}).items()
    latest: dict[str, AlertMoved] = {}
    for moved in moves:
        alert = moved.alert
        if (
            alert.rule == rule.alert
            and moved.at_ms <= at_ms
            and wanted <= dict(alert.labels).items()
        ):
            latest[alert.key] = moved
    chosen = [latest[key] for key in sorted(latest)]
    return _explanation(
        rule, at_ms,
        [_recorded(one, rule, at_ms, has_receiver=has_receiver) for one in chosen[:INSTANCES_MAX]],
        left_out=max(0, len(chosen) - INSTANCES_MAX),
    )  # fmt: skip


def _recorded(moved: AlertMoved, rule: Rule, at_ms: int, *, has_receiver: bool) -> Instance:
    alert = moved.alert
    resolve_when = moved.evaluation if alert.reason == "resolve_when" else None
    condition = moved.evaluation
    if condition is None or resolve_when is not None:
        condition = _without_record(alert, rule)
    is_silent = condition.reason == "source_silent"
    has_ended = alert.state == AlertState.INACTIVE and alert.resolved_ms is not None
    untold = _untold(rule, alert, condition, is_unconfirmed=is_silent, has_receiver=has_receiver)
    return Instance(
        labels=dict(alert.labels),
        state=alert.state,
        since=_time(_since_ms(alert)),
        reason=alert.reason,
        condition=condition,
        resolve_when=resolve_when,
        is_unconfirmed=is_silent,
        good_streak=None,
        waiting=_waiting(alert, rule, at_ms),
        told_at=_told_at(alert) if has_receiver else None,
        untold=[] if has_ended else untold,
        recorded_at=_time(moved.at_ms),
    )


def _without_record(alert: Alert, rule: Rule) -> Step:
    """What an alert itself says, for moves that no evaluation of `expr` made, and in older logs."""
    outcome = _OUTCOMES.get(alert.reason, "no_data")
    if alert.reason == "resolve_when":  # its evidence is that of the other condition
        return Step(rule.expr_text, outcome, alert.reason)
    found = alert.evidence
    return Step(
        text=rule.expr_text,
        outcome=outcome,
        reason=alert.reason,
        signal=found.signal,
        unit=SIGNALS.get(found.signal, ""),
        value=found.value,
        limit=found.limit,
        k=found.k,
        n=found.n,
        p=found.p,
    )


def _explanation(
    rule: Rule, now_ms: int, instances: list[Instance], *, left_out: int
) -> Explanation:
    return Explanation(
        rule=rule.alert,
        at=format_rfc3339(now_ms),
        expr=rule.expr_text,
        severity=rule.severity,
        mode=rule.mode,
        confidence=rule.confidence,
        min_count=rule.min_count,
        interval_s=rule.interval_ms / SECOND_MS,
        for_s=rule.for_ms / SECOND_MS,
        keep_firing_for_s=rule.keep_firing_for_ms / SECOND_MS,
        no_data=rule.no_data,
        actions=[action.type for action in rule.actions],
        instances=instances,
        left_out=left_out,
    )


class _Looker:
    """Everything one explanation needs, read once."""

    def __init__(
        self, engine: Engine, rule: Rule, panel: Panel, domain: Domain, now_ms: int
    ) -> None:
        self._rule = rule
        self._domain = domain
        self._now_ms = now_ms
        signals = _signals(rule)
        is_about_orders = any(one.name not in SIDE_SIGNALS for one in signals)
        self._unconfirmed = (
            panel.is_unconfirmed(domain) if is_about_orders else np.zeros(len(domain), np.bool_)
        )
        self._streaks = panel.good_streaks(domain, signals)
        self._explainer = Explainer(
            panel, domain, confidence=rule.confidence, min_count=rule.min_count
        )
        self._has_ratio = any(one.name in RATIOS for one in signals)
        settings = engine.settings
        self._has_receiver = bool(settings.receivers) and settings.default_receiver is not None

    def instance(self, index: int, alerts: dict[tuple[tuple[str, str], ...], Alert]) -> Instance:
        rule = self._rule
        labels = {**self._domain.labels(index), **dict(rule.labels)}
        alert = alerts.get(tuple(sorted(labels.items())))
        condition = self._explainer.step(rule.expr, index)
        is_unconfirmed = bool(self._unconfirmed[index])
        state = AlertState.INACTIVE.value if alert is None else alert.state
        return Instance(
            labels=labels,
            state=state,
            since=_time(_since_ms(alert)),
            reason="" if alert is None else alert.reason,
            condition=condition,
            resolve_when=None
            if rule.resolve_when is None
            else self._explainer.step(rule.resolve_when, index),
            is_unconfirmed=is_unconfirmed,
            good_streak=int(self._streaks[index]) if self._has_ratio else None,
            waiting=_waiting(alert, rule, self._now_ms),
            told_at=_told_at(alert) if self._has_receiver else None,
            untold=_untold(
                rule,
                alert,
                condition,
                is_unconfirmed=is_unconfirmed,
                has_receiver=self._has_receiver,
            ),
        )


def _signals(rule: Rule) -> list[Signal]:
    nodes = [rule.expr] if rule.resolve_when is None else [rule.expr, rule.resolve_when]
    return [signal for node in nodes for signal in signals_in(node)]


def _active(rule: Rule, alerts: Iterable[Alert]) -> list[tuple[str, ...]]:
    """Instances that may not be seen in the data any more, but whose alert still stands."""
    found = []
    for alert in alerts:
        labels = dict(alert.labels)
        if alert.state != AlertState.INACTIVE and all(one in labels for one in rule.by):
            found.append(tuple(labels[one] for one in rule.by))
    return found


def _since_ms(alert: Alert | None) -> int | None:
    if alert is None:
        return None
    match alert.state:
        case AlertState.FIRING:
            return alert.firing_ms
        case AlertState.PENDING:
            return alert.pending_ms
        case _:
            return alert.resolved_ms


def _waiting(alert: Alert | None, rule: Rule, now_ms: int) -> Waiting | None:
    if alert is None:
        return None
    if alert.state == AlertState.PENDING and alert.pending_ms is not None:
        return _progress("for", alert.pending_ms, rule.for_ms, now_ms)
    if alert.state == AlertState.FIRING and alert.last_true_ms is not None:
        return _progress("keep_firing_for", alert.last_true_ms, rule.keep_firing_for_ms, now_ms)
    return None


def _progress(field: str, from_ms: int, of_ms: int, now_ms: int) -> Waiting:
    passed_ms = min(max(0, now_ms - from_ms), of_ms)
    return Waiting(field, passed_ms / SECOND_MS, of_ms / SECOND_MS, format_rfc3339(from_ms + of_ms))


def _told_at(alert: Alert | None) -> str | None:
    is_firing = alert is not None and alert.state == AlertState.FIRING
    return _time(alert.notified_ms) if alert is not None and is_firing else None


_NOT_TRUE = {
    "insufficient_evidence": "the evidence is not sufficient: chance alone may explain it",
    "trimmed_mean": "without its worst 5 % the mean is within the limit: a tier, not an incident",
    "trimmed_health": "without its worst 5 % health is not low: a tier, not an incident",
    "below": "the condition does not hold",
    "no_data": "there is no data, and missing data neither fires nor resolves",
}


def _untold(
    rule: Rule, alert: Alert | None, condition: Step, *, is_unconfirmed: bool, has_receiver: bool
) -> list[Why]:
    """Why nobody was told, or nobody was woken; every reason that holds now."""
    found = []
    state = AlertState.INACTIVE.value if alert is None else alert.state
    if state == AlertState.PENDING:
        found.append(Why("for", "the condition has not held for long enough yet"))
    elif state == AlertState.INACTIVE:
        if is_unconfirmed and condition.outcome == "false":
            found.append(Why("source_silent", "its source is silent: late orders are unconfirmed"))
        elif condition.outcome != "true":
            found.append(Why(condition.reason, _NOT_TRUE.get(condition.reason, condition.reason)))
        else:
            found.append(Why("not_yet", "it holds now, the next look at the rule will say so"))
    if rule.mode == "shadow":
        found.append(Why("shadow", "mode: shadow records everything and tells nobody"))
    if not has_receiver:
        found.append(Why("no_receiver", "no receiver is configured"))
    if rule.severity != "critical":
        found.append(Why("severity", f"{rule.severity} is a message; only critical pages"))
    return found


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
