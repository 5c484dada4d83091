"""The control half of the engine: everything that concerns many orders.

It sees orders only through merged observations, evaluates the rules that are due, moves alerts and
decides switches. Like the shard it changes state only through `apply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from monitor.core.alerting.state import rests_on_ratio, step
from monitor.core.failover.breaker import (
    ChannelSpeed,
    channel_speed,
    slow_threshold_ms,
)
from monitor.core.failover.controller import Controller, RouteState
from monitor.core.rules.evaluate import Finding, evaluate
from monitor.core.rules.parse import signals_in
from monitor.core.rules.reader import SignalReader, SourceView
from monitor.core.signals.observation import Ints, Observation
from monitor.model.alerts import Alert, AlertState
from monitor.model.baselines import Baseline
from monitor.model.records import AlertMoved, BaselineLearned, SwitchDecided
from monitor.model.rules import RATIOS, SOURCE_SIGNALS, Rule, RuleSet
from monitor.model.settings import Settings

ALERTS_MAX = 2_000  # alert instances kept; a resolved one makes room for a new one


class ControlSnapshot(msgspec.Struct, frozen=True):
    """Everything `restore` needs, as plain data."""

    alerts: list[Alert]
    route: RouteState
    baselines: list[Baseline] = []


class View(msgspec.Struct, frozen=True, eq=False):
    """What control sees of the shards at one instant.

    `horizon_ms` int64[sources] by code: until when a source is believed (`core/orders/sources.py`).
    """

    rows: Observation
    channels: Sequence[str]
    sources: Sequence[SourceView]
    p95_ms: Mapping[str, int | None]
    horizon_ms: Ints
    now_ms: int


class Control:
    """Rules, alerts and routing."""

    def __init__(self, settings: Settings, rules: RuleSet) -> None:
        self.settings = settings
        self.rules = rules
        self.alerts: dict[str, Alert] = {}
        self.baselines: dict[str, Baseline] = {}
        self.findings: dict[str, Finding] = {}
        self.controller = Controller(settings)
        self._next_evaluation_ms: dict[str, int] = {}
        self._next_breaker_ms = 0

    def configure(self, settings: Settings, rules: RuleSet) -> None:
        """Take over new settings and rules; alerts no rule produces now end at the next look."""
        self.settings = settings
        self.controller.settings = settings
        self.rules = rules
        self.findings.clear()
        self._next_evaluation_ms.clear()

    def next_ms(self) -> int:
        """When something is due for evaluation next."""
        planned = [self._next_evaluation_ms.get(rule.alert, 0) for rule in self.rules.rules]
        return min([self._next_breaker_ms, *planned])

    def is_due(self, now_ms: int) -> bool:
        """Whether `evaluate` would do anything now."""
        return self.next_ms() <= now_ms

    def evaluate(self, view: View) -> Iterable[AlertMoved | SwitchDecided]:
        """Evaluate what is due; each yielded decision is applied before the next is made."""
        reader = SignalReader(
            view.rows, view.channels, view.sources, view.now_ms, self.settings.health_anchors
        )
        for rule in self.rules.rules:
            if self._next_evaluation_ms.get(rule.alert, 0) > view.now_ms:
                continue
            every_ms = max(rule.interval_ms, self.settings.evaluation_floor_ms)
            self._next_evaluation_ms[rule.alert] = _next_multiple(view.now_ms, every_ms)
            for labels in self._instances(rule, view):
                moved = self._evaluate_rule(rule, labels, reader)
                if moved is not None:
                    self.apply(moved)
                    yield moved
        for moved in self._end_orphans(view.now_ms):
            self.apply(moved)
            yield moved
        if self._next_breaker_ms <= view.now_ms:
            every_ms = max(self.settings.breaker_every_ms, self.settings.evaluation_floor_ms)
            self._next_breaker_ms = _next_multiple(view.now_ms, every_ms)
            decided = self._decide_switch(view)
            if decided is not None:
                self.apply(decided)
                yield decided

    def apply(self, decision: AlertMoved | SwitchDecided | BaselineLearned) -> None:
        """Make a decision true; live and in recovery alike."""
        if isinstance(decision, SwitchDecided):
            self.controller.apply(decision)
            return
        if isinstance(decision, BaselineLearned):
            self.baselines[decision.baseline.channel] = decision.baseline
            return
        self.alerts[decision.alert.key] = decision.alert
        if len(self.alerts) > ALERTS_MAX:
            self._forget_resolved()

    def speeds(self, view: View) -> dict[str, ChannelSpeed]:
        """Breaker evidence of every channel that orders or the route know."""
        names = dict.fromkeys([*view.channels, *self.controller.route.weights])
        return {name: self.speed(name, view) for name in names}

    def speed(self, name: str, view: View) -> ChannelSpeed:
        """Breaker evidence of one channel."""
        index = list(view.channels).index(name) if name in view.channels else -1
        threshold_ms = slow_threshold_ms(self.settings, view.p95_ms.get(name))
        mask = np.asarray(view.rows.channel == index)
        return channel_speed(view.rows, mask, name, threshold_ms, view.now_ms, view.horizon_ms)

    def needs_review(self) -> bool:
        """Whether a firing rule asks for people to check new orders."""
        asking = {rule.alert for rule in self.rules.rules if _asks(rule, "manual_review")}
        return any(
            alert.rule in asking and alert.state == AlertState.FIRING
            for alert in self.alerts.values()
        )

    def rule(self, name: str) -> Rule | None:
        """A rule by its alert name."""
        return next((rule for rule in self.rules.rules if rule.alert == name), None)

    def snapshot(self) -> ControlSnapshot:
        """The whole state as plain data in a fixed order."""
        return ControlSnapshot(
            alerts=[self.alerts[key] for key in sorted(self.alerts)],
            route=self.controller.route,
            baselines=[self.baselines[name] for name in sorted(self.baselines)],
        )

    def restore(self, snapshot: ControlSnapshot) -> None:
        """Take over a snapshot."""
        self.alerts = {alert.key: alert for alert in snapshot.alerts}
        self.controller.route = snapshot.route
        self.baselines = {baseline.channel: baseline for baseline in snapshot.baselines}

    def _evaluate_rule(
        self, rule: Rule, labels: dict[str, str], reader: SignalReader
    ) -> AlertMoved | None:
        confidence, min_count = rule.confidence, rule.min_count
        finding = evaluate(rule.expr, reader, labels, confidence=confidence, min_count=min_count)
        if _rests_on_silence(finding, reader, labels):
            finding = Finding("no_data", "source_silent", finding.evidence)
        resolve = None
        if rule.resolve_when is not None:
            resolve = evaluate(
                rule.resolve_when, reader, labels, confidence=confidence, min_count=min_count
            )
        all_labels = tuple(sorted({**labels, **dict(rule.labels)}.items()))
        key = Alert(rule.alert, all_labels, AlertState.INACTIVE, rule.severity).key
        known = self.alerts.get(key)
        self.findings[key] = finding
        moved = step(
            known, finding, resolve, rule, dict(all_labels), reader.now_ms,
            good_streak=_good_streak(rule, reader, labels) if rests_on_ratio(rule.expr) else 0,
        )  # fmt: skip
        previous = AlertState.INACTIVE if known is None else known.state
        if moved is known or (moved.state == previous == AlertState.INACTIVE):
            return None
        return AlertMoved(self._mark_notified(moved, rule, previous), previous, reader.now_ms)

    def _end_orphans(self, now_ms: int) -> list[AlertMoved]:
        """Alerts that no rule produces any more: they end and say why instead of firing for ever."""
        rules = {rule.alert: rule for rule in self.rules.rules}
        ended: list[AlertMoved] = []
        for alert in self.alerts.values():
            rule = rules.get(alert.rule)
            if alert.state == AlertState.INACTIVE or (rule and _is_instance(alert, rule)):
                continue
            reason = "rule_deleted" if rule is None else "rule_changed"
            resolved = msgspec.structs.replace(
                alert, state=AlertState.INACTIVE, reason=reason, resolved_ms=now_ms
            )
            ended.append(AlertMoved(resolved, alert.state, now_ms))
        return ended

    def _mark_notified(self, alert: Alert, rule: Rule, previous: str) -> Alert:
        """A firing message will be queued with this very decision; it obliges a resolved one."""
        starts = alert.state == AlertState.FIRING and previous != AlertState.FIRING
        if not starts or rule.mode == "shadow":
            return alert
        return msgspec.structs.replace(alert, notified_ms=alert.firing_ms)

    def _instances(self, rule: Rule, view: View) -> list[dict[str, str]]:
        """The label sets a rule is evaluated for: everything seen, and everything still active."""
        if not rule.by:
            return [{}]
        label = rule.by[0]
        if label == "source":
            names = [source.name for source in view.sources]
        else:
            names = [view.channels[index] for index in np.unique(view.rows.channel).tolist()]
        active = [
            value
            for alert in self.alerts.values()
            if alert.rule == rule.alert and alert.state != AlertState.INACTIVE
            for name, value in alert.labels
            if name == label
        ]
        return [{label: name} for name in dict.fromkeys([*names, *active])]

    def _decide_switch(self, view: View) -> SwitchDecided | None:
        asked_by = {
            dict(alert.labels).get("channel", ""): alert.rule
            for alert in self.alerts.values()
            if alert.state == AlertState.FIRING
            and (rule := self.rule(alert.rule)) is not None
            and _asks(rule, "failover")
        }
        return self.controller.decide(self.speeds(view), view.now_ms, asked_by=asked_by)

    def _forget_resolved(self) -> None:
        for key, alert in list(self.alerts.items()):
            if alert.state == AlertState.INACTIVE:
                del self.alerts[key]
                return


def _asks(rule: Rule, action: str) -> bool:
    return any(one.type == action for one in rule.actions)


def _is_instance(alert: Alert, rule: Rule) -> bool:
    """Whether the rule, as it is now, would evaluate an alert under these very labels."""
    labels, fixed = dict(alert.labels), dict(rule.labels)
    return labels.keys() == {*rule.by[:1], *fixed} and fixed.items() <= labels.items()


def _good_streak(rule: Rule, reader: SignalReader, labels: dict[str, str]) -> int:
    """The shortest streak of good orders over the scopes of the rule's ratios."""
    ratios = [signal for signal in signals_in(rule.expr) if signal.name in RATIOS]
    return min((reader.good_streak(labels, ratio.matchers) for ratio in ratios), default=0)


def _rests_on_silence(finding: Finding, reader: SignalReader, labels: dict[str, str]) -> bool:
    """Whether a condition is only false because a silent source's late orders are left out."""
    is_about_orders = finding.evidence.signal not in SOURCE_SIGNALS
    return finding.outcome == "false" and is_about_orders and reader.is_unconfirmed(labels)


def _next_multiple(now_ms: int, every_ms: int) -> int:
    """The next evaluation instant: fixed points in time, so a replay evaluates at the same ones."""
    return (now_ms // every_ms + 1) * every_ms
