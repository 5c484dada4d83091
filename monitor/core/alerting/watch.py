"""Which alerts move at an instant: every rule over all its instances, one alert for each of them.

An evaluation looks at all instances at once; single alerts are touched only where something can
move: the condition holds, or the alert is pending or firing already. In a healthy shop that is
nowhere.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec
import numpy as np

from monitor.core.alerting.state import next_move_ms, rests_on_ratio, step
from monitor.core.rules.explain import Explainer
from monitor.core.rules.findings import Finding, Findings
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.parse import signals_in
from monitor.core.rules.vector import evaluate
from monitor.core.signals.arrays import BoolArray
from monitor.model.alerts import Alert, AlertState
from monitor.model.records import AlertMoved
from monitor.model.rules import SIDE_SIGNALS, Node, Rule, RuleSet, Signal

ALERTS_MAX = 2_000
"""Alert instances kept: the longest resolved make room for new ones, active ones never do."""

CHART_SIGNALS = ("cusum_ratio", "speed_ratio")
SOURCE_SILENT = "source_silent"


class Latest(msgspec.Struct, frozen=True, eq=False):
    """What a rule's latest evaluation found, by instance; `is_silenced`: no data, its source is silent."""

    domain: Domain
    findings: Findings
    is_silenced: BoolArray

    def at(self, index: int) -> Finding:
        """The finding of one instance."""
        finding = self.findings.at(index)
        if self.is_silenced[index]:
            return Finding("no_data", SOURCE_SILENT, finding.evidence)
        return finding


class Watch:
    """All rules with their alerts; alerts change only through `apply`.

    `refused`: how often an alert was not opened because ALERTS_MAX others were active.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.alerts: dict[str, Alert] = {}
        self.latest: dict[str, Latest] = {}
        self.moved_ms = 0  # when an alert moved last
        self.refused = 0
        self._active: dict[str, dict[str, Alert]] = {}
        self._resolved: list[tuple[int, str]] = []  # when, and the key; longest ago first
        self._read = {rule.alert: _Reads(rule) for rule in rules.rules}

    @property
    def charted(self) -> tuple[str, ...]:
        """Rules that read charts: they are looked at whenever charts moved."""
        return tuple(name for name, reads in self._read.items() if reads.is_charted)

    def configure(self, rules: RuleSet) -> None:
        """Take over new rules; alerts no rule produces now end at the next look."""
        self.rules = rules
        self._read = {rule.alert: _Reads(rule) for rule in rules.rules}
        self.latest.clear()

    def prepare(self, due: Iterable[str], panel: Panel) -> None:
        """Let a panel find the windows of all these rules at once, before they are evaluated."""
        asked: dict[Domain, list[Signal]] = {}
        for name in due:
            reads = self._read.get(name)
            if reads is not None and any(one.window is not None for one in reads.signals):
                domain = panel.domain(reads.rule.by, self._instances(reads.rule), reads.signals)
                asked.setdefault(domain, []).extend(reads.signals)
        for domain, signals in asked.items():
            panel.prepare(domain, signals)

    def evaluate(self, rule: Rule, panel: Panel) -> Iterator[AlertMoved]:
        """Evaluate one rule; each yielded move is applied before the next is made."""
        reads = self._read[rule.alert]
        active = self._instances(rule)
        domain = panel.domain(rule.by, active, reads.signals)
        judge = partial(
            evaluate, panel=panel, domain=domain,
            confidence=rule.confidence, min_count=rule.min_count,
        )  # fmt: skip
        findings = judge(rule.expr)
        latest = Latest(domain, findings, _silenced(findings, panel, domain, reads))
        self.latest[rule.alert] = latest
        places = (domain.place(one) for one in active)
        touched = _touched(latest, rule, [place for place in places if place is not None])
        if not touched:
            return
        resolve = None
        if rule.resolve_when is not None:
            resolve = judge(rule.resolve_when)
        streaks = panel.good_streaks(domain, reads.signals) if reads.is_ratio else None
        explainer = Explainer(panel, domain, confidence=rule.confidence, min_count=rule.min_count)
        for index in touched:
            moved = self._step(
                rule, domain.labels(index), latest.at(index),
                None if resolve is None else resolve.at(index),
                0 if streaks is None else int(streaks[index]), panel.now_ms,
            )  # fmt: skip
            if moved is not None and self._has_room(moved):
                yield _recorded(moved, rule, explainer, index, latest.at(index))

    def end_orphans(self, now_ms: int) -> Iterator[AlertMoved]:
        """Alerts that no rule produces any more: they end and say why instead of firing for ever."""
        rules = {rule.alert: rule for rule in self.rules.rules}
        active = [alert for alerts in self._active.values() for alert in alerts.values()]
        for alert in sorted(active, key=lambda one: one.key):
            rule = rules.get(alert.rule)
            if rule is not None and _is_instance(alert, rule):
                continue
            reason = "rule_deleted" if rule is None else "rule_changed"
            resolved = msgspec.structs.replace(
                alert, state=AlertState.INACTIVE, reason=reason, resolved_ms=now_ms
            )
            yield AlertMoved(resolved, alert.state, now_ms)

    def apply(self, moved: AlertMoved) -> None:
        """Make a move true; live and in recovery alike."""
        self._keep(moved.alert)
        self.moved_ms = max(self.moved_ms, moved.at_ms)
        self._forget_resolved()

    def restore(self, alerts: list[Alert]) -> None:
        """Take over the alerts of a snapshot."""
        self.alerts.clear()
        self._active.clear()
        self._resolved.clear()
        for alert in alerts:
            self._keep(alert)
        self._forget_resolved()

    def deadline_ms(self, rule: Rule) -> int | None:
        """When time alone moves an alert of a rule next."""
        moments = [next_move_ms(alert, rule) for alert in self._active.get(rule.alert, {}).values()]
        return min((at_ms for at_ms in moments if at_ms is not None), default=None)

    def finding(self, alert: Alert) -> Finding | None:
        """The latest finding of an alert's instance; None if it was not looked at."""
        latest, rule = self.latest.get(alert.rule), self.rule(alert.rule)
        if latest is None or rule is None:
            return None
        labels = dict(alert.labels)
        instance = tuple(labels.get(label, "") for label in rule.by)
        place = latest.domain.place(instance)
        return None if place is None else latest.at(place)

    def findings(self, rule: Rule) -> Iterator[tuple[str, Finding]]:
        """The latest findings of a rule by alert key."""
        latest = self.latest.get(rule.alert)
        for index in range(len(latest.domain) if latest else 0):
            assert latest is not None
            yield _blank(rule, latest.domain.labels(index)).key, latest.at(index)

    def rule(self, name: str) -> Rule | None:
        """A rule by its alert name."""
        reads = self._read.get(name)
        return None if reads is None else reads.rule

    def firing(self) -> Iterator[tuple[Alert, Rule]]:
        """Firing alerts with their rules."""
        for name, alerts in self._active.items():
            rule = self.rule(name)
            for alert in alerts.values() if rule else ():
                if alert.state == AlertState.FIRING and rule is not None:
                    yield alert, rule

    def _step(
        self,
        rule: Rule,
        labels: dict[str, str],
        finding: Finding,
        resolve: Finding | None,
        good_streak: int,
        now_ms: int,
    ) -> AlertMoved | None:
        blank = _blank(rule, labels)
        known = self.alerts.get(blank.key)
        moved = step(
            known, finding, resolve, rule, dict(blank.labels), now_ms, good_streak=good_streak
        )
        previous = AlertState.INACTIVE if known is None else known.state
        if moved is known or (moved.state == previous == AlertState.INACTIVE):
            return None
        return AlertMoved(_mark_notified(moved, rule, previous), previous, now_ms)

    def _instances(self, rule: Rule) -> list[tuple[str, ...]]:
        """Instances with a pending or firing alert: looked at even if nothing is seen of them."""
        active = self._active.get(rule.alert)
        if not active:
            return []
        labels = [dict(alert.labels) for alert in active.values() if _is_instance(alert, rule)]
        return [tuple(one[label] for label in rule.by) for one in labels]

    def _has_room(self, moved: AlertMoved) -> bool:
        """Whether a move may be made: an alert is opened only while fewer than the limit are."""
        if moved.previous != AlertState.INACTIVE:
            return True
        has_room = len(self.alerts) - len(self._resolved) < ALERTS_MAX
        self.refused += not has_room
        return has_room

    def _keep(self, alert: Alert) -> None:
        key = alert.key
        known = self.alerts.get(key)
        if known is not None and known.state == AlertState.INACTIVE:
            del self._resolved[bisect_left(self._resolved, _since(known))]
        self.alerts[key] = alert
        active = self._active.setdefault(alert.rule, {})
        if alert.state == AlertState.INACTIVE:
            active.pop(key, None)
            insort(self._resolved, _since(alert))
        else:
            active[key] = alert

    def _forget_resolved(self) -> None:
        n = min(max(0, len(self.alerts) - ALERTS_MAX), len(self._resolved))
        for _, key in self._resolved[:n]:
            del self.alerts[key]
        del self._resolved[:n]


class _Reads:
    """What a rule's conditions read, found once."""

    def __init__(self, rule: Rule) -> None:
        nodes: list[Node] = [rule.expr]
        if rule.resolve_when is not None:
            nodes.append(rule.resolve_when)
        self.rule = rule
        self.signals = tuple(signal for node in nodes for signal in signals_in(node))
        self.is_ratio = rests_on_ratio(rule.expr)
        self.is_charted = any(one.name in CHART_SIGNALS for one in self.signals)
        self.is_about_orders = any(one.name not in SIDE_SIGNALS for one in self.signals)


def _silenced(findings: Findings, panel: Panel, domain: Domain, reads: _Reads) -> BoolArray:
    """Where a condition is only false because a silent source's late orders are left out."""
    if not reads.is_about_orders:
        return np.zeros(len(domain), np.bool_)
    return np.asarray(findings.is_false & panel.is_unconfirmed(domain))


def _touched(latest: Latest, rule: Rule, active: list[int]) -> list[int]:
    """Instances whose alert may move, in their order."""
    may_move = latest.findings.is_true.copy()
    if rule.no_data == "alert":
        may_move |= latest.findings.is_no_data | latest.is_silenced
    may_move[active] = True
    found: list[int] = np.flatnonzero(may_move).tolist()
    return found


def _recorded(
    moved: AlertMoved, rule: Rule, explainer: Explainer, index: int, finding: Finding
) -> AlertMoved:
    """The move with its evaluation: what was read, asked and found, for whoever asks later."""
    if moved.alert.reason == "resolve_when" and rule.resolve_when is not None:
        evaluation = explainer.step(rule.resolve_when, index)
    else:
        evaluation = msgspec.structs.replace(
            explainer.step(rule.expr, index), outcome=finding.outcome, reason=finding.reason
        )
    return msgspec.structs.replace(moved, evaluation=evaluation)


def _blank(rule: Rule, labels: dict[str, str]) -> Alert:
    pairs = tuple(sorted({**labels, **dict(rule.labels)}.items()))
    return Alert(rule.alert, pairs, AlertState.INACTIVE, rule.severity)


def _mark_notified(alert: Alert, rule: Rule, previous: str) -> Alert:
    """A firing message will be queued with this very decision; it obliges a resolved one."""
    starts = alert.state == AlertState.FIRING and previous != AlertState.FIRING
    if not starts or rule.mode == "shadow":
        return alert
    return msgspec.structs.replace(alert, notified_ms=alert.firing_ms)


def _since(resolved: Alert) -> tuple[int, str]:
    """Since when an alert has been resolved, and its key: the order in which they are forgotten."""
    return resolved.resolved_ms or 0, resolved.key


def _is_instance(alert: Alert, rule: Rule) -> bool:
    """Whether the rule, as it is now, would evaluate an alert under these very labels."""
    labels, fixed = dict(alert.labels), dict(rule.labels)
    return labels.keys() == {*rule.by, *fixed} and fixed.items() <= labels.items()
