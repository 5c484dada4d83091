"""The control half of the engine: everything that concerns many orders.

    charts ─► side signals ─┐
    rows of all shards ─────────────────┴─► panel ─► rules that are due ─► alerts ─► switches
    tallies (every hour) ─► baselines

It sees orders only through merged observations and tallies. Like the shard it changes decided state
only through `apply`; charts and learned arrivals are measurements, kept in the snapshot and, behind
it, walked through again from the rows (`resume`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from monitor.core.alerting.watch import Watch
from monitor.core.failover.breaker import ChannelSpeed, Lane, channel_speeds, slow_threshold_ms
from monitor.core.failover.controller import Controller, RouteState
from monitor.core.failover.reviews import Reviews
from monitor.core.learning import Learning
from monitor.core.orders.absences import Absence
from monitor.core.orders.tallies import Tallies
from monitor.core.rules.panel import Panel
from monitor.core.rules.schedule import Schedule, next_multiple
from monitor.core.side_signals import SideSignals, SourceView
from monitor.core.signals.arrivals import ArrivalsSnapshot
from monitor.core.signals.callbacks import CallbacksSnapshot
from monitor.core.signals.charts import Charts, ChartsState
from monitor.core.signals.critical import CriticalCounts
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import Observation
from monitor.model.alerts import Alert
from monitor.model.baselines import Baseline
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import AlertMoved, BaselineLearned, SwitchDecided
from monitor.model.reviews import Review
from monitor.model.rules import Rule, RuleSet
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS

ACTION_P = 0.001  # contract §4: an action needs a confidence of 0.999
LEARNED_ORDERS = 200  # from so many on a channel's chart may switch it (design D11)

ControlDecision = AlertMoved | SwitchDecided | BaselineLearned


class ControlSnapshot(msgspec.Struct, frozen=True):
    """Everything that was decided, as plain data: the log leads to the same."""

    alerts: list[Alert]
    route: RouteState
    baselines: list[Baseline] = []
    reviews: list[Review] = []


class Measured(msgspec.Struct, frozen=True):
    """What control measures by its own clock, as plain data; the log has no ticks."""

    charts: ChartsState | None = None
    arrivals: ArrivalsSnapshot | None = None
    callbacks: CallbacksSnapshot | None = None


class View(msgspec.Struct, frozen=True, eq=False):
    """What control sees of the shards at one instant."""

    rows: Observation
    tallies: Tallies
    sources: Sequence[SourceView]
    p95_ms: Mapping[str, int | None]
    heard: Heard
    now_ms: int
    absences: Callable[[], Sequence[Absence]] = tuple

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels, by code."""
        return self.rows.names.channel


class Control:
    """Charts, rules, alerts and routing."""

    def __init__(self, settings: Settings, rules: RuleSet) -> None:
        self.settings = settings
        self.watch = Watch(rules)
        self.controller = Controller(settings)
        self.reviews = Reviews()
        self.charts = Charts(offsets=settings.utc_offsets)
        self.learning = Learning(settings.utc_offsets)
        self._schedule = Schedule()
        self._critical = CriticalCounts()
        self._next_step_ms = 0
        self._step_ms = 0
        self._evaluated_ms = 0
        self._plan()

    @property
    def rules(self) -> RuleSet:
        """The rules that are evaluated."""
        return self.watch.rules

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """All alerts by key, the resolved ones of late included."""
        return self.watch.alerts

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """What was learned, by channel."""
        return self.learning.baselines

    def configure(self, settings: Settings, rules: RuleSet) -> None:
        """Take over new settings and rules; alerts no rule produces now end at the next look."""
        self.settings = settings
        self.controller.settings = settings
        self.charts.offsets = settings.utc_offsets
        self.learning.configure(settings.utc_offsets)
        self.watch.configure(rules)
        self._next_step_ms = 0
        self._plan()

    def note_change(self, now_ms: int) -> None:
        """Orders changed: rules are looked at soon, not only at their intervals."""
        self._schedule.note_change(now_ms, self._evaluated_ms)
        self._next_step_ms = min(self._next_step_ms, next_multiple(now_ms - 1, self._step_ms))

    def next_ms(self) -> int:
        """When something is due for evaluation next."""
        planned = self._schedule.next_ms()
        return self._next_step_ms if planned is None else min(self._next_step_ms, planned)

    def is_due(self, now_ms: int) -> bool:
        """Whether `evaluate` would do anything now."""
        return self.next_ms() <= now_ms

    def evaluate(self, view: View) -> Iterable[ControlDecision]:
        """Evaluate what is due; each yielded decision is applied before the next is made."""
        for decision in self._decisions(view):
            self.apply(decision)
            yield decision

    def _decisions(self, view: View) -> Iterator[ControlDecision]:
        is_step = self._next_step_ms <= view.now_ms
        self.charts.advance(view.rows, self.baselines, view.now_ms, view.heard)
        if is_step:
            yield from self.learning.learn(view.tallies, self.charts, view.now_ms)
            # While nobody waits, nothing is owed: charts and channels stand still until something
            # changes, only learning goes on.
            is_idle = not view.rows.is_open.any() and not self.learning.is_behind
            every_ms = max(HOUR_MS, self._step_ms) if is_idle else self._step_ms
            self._next_step_ms = next_multiple(view.now_ms, every_ms)
        due = self._schedule.take_due(view.now_ms, self.watch.charted if is_step else ())
        if due:
            yield from self._alert(due, view)
        if is_step:
            yield from self.watch.end_orphans(view.now_ms)
            decided = self._decide_switch(view)
            if decided is not None:
                yield decided

    def _alert(self, due: Sequence[str], view: View) -> Iterator[AlertMoved]:
        self._evaluated_ms = view.now_ms
        panel = self.panel(view)
        self.watch.prepare(due, panel)
        for name in due:
            rule = self.watch.rule(name)
            if rule is not None:
                yield from self.watch.evaluate(rule, panel)
                deadline_ms = self.watch.deadline_ms(rule)
                is_ahead = deadline_ms is not None and deadline_ms > view.now_ms
                self._schedule.note_deadline(name, deadline_ms if is_ahead else None)

    def panel(self, view: View) -> Panel:
        """All signals of an instant, as rules read them."""
        side, anchors = self.side_signals(view), self.settings.health_anchors
        return Panel(view.rows, side, view.now_ms, anchors, self._critical)

    def side_signals(self, view: View) -> SideSignals:
        """Signals that are not read from rows."""
        return SideSignals(
            charts=self.charts.readings,
            arrivals=partial(self.learning.arrivals_now, view.tallies, view.now_ms),
            callbacks=partial(self.learning.callbacks_now, view.tallies, view.now_ms),
            budgets=view.tallies.budgets,
            sources=view.sources,
            baselines=self.baselines,
            stock=view.tallies.stock,
            gauges=view.tallies.gauges,
            absences=view.absences,
            rules=self.rules,
            offsets=self.settings.utc_offsets,
            now_ms=view.now_ms,
        )

    def apply(self, decision: ControlDecision) -> None:
        """Make a decision true; live and in recovery alike."""
        match decision:
            case SwitchDecided():
                self.controller.apply(decision)
            case BaselineLearned():
                self.learning.apply(decision)
            case AlertMoved():
                self.watch.apply(decision)

    # --- channels ---------------------------------------------------------------------------------

    def speeds(self, view: View) -> dict[str, ChannelSpeed]:
        """Breaker evidence of every channel that orders or the route know."""
        names = dict.fromkeys([*view.channels, *self.controller.route.weights])
        return self._speeds(tuple(names), view)

    def speed(self, name: str, view: View) -> ChannelSpeed:
        """Breaker evidence of one channel."""
        return self._speeds((name,), view)[name]

    def _speeds(self, names: Iterable[str], view: View) -> dict[str, ChannelSpeed]:
        codes = {name: code for code, name in enumerate(view.channels)}
        lanes = [
            Lane(
                name,
                codes.get(name, -1),
                slow_threshold_ms(self.settings, view.p95_ms.get(name)),
                self.charts.reading(name) if self._is_charted(name) else None,
            )
            for name in names
        ]
        return channel_speeds(view.rows, lanes, view.now_ms, view.heard)

    def _is_charted(self, name: str) -> bool:
        """Whether a channel's chart has learned enough to switch it."""
        baseline = self.baselines.get(name)
        return baseline is not None and baseline.n >= LEARNED_ORDERS

    def asked_reviews(self) -> list[Review]:
        """Reviews that firing rules ask for: of the channel of their alert, or of every order."""
        return [
            Review(_scope_of(alert), alert.firing_ms or 0, f"rule {rule.alert}")
            for alert, rule in self.watch.firing()
            if self._acts(alert, rule, "manual_review")
        ]

    def reviews_now(self, now_ms: int) -> list[Review]:
        """Reviews that stand: those of people, and in mode `enforce` those that rules ask for."""
        by_rules = self.asked_reviews() if self.settings.failover.mode == "enforce" else []
        return [*self.reviews.standing(now_ms), *by_rules]

    def rule(self, name: str) -> Rule | None:
        """A rule by its alert name."""
        return self.watch.rule(name)

    def _decide_switch(self, view: View) -> SwitchDecided | None:
        asked_by = {
            dict(alert.labels).get("channel", ""): alert.rule
            for alert, rule in self.watch.firing()
            if self._acts(alert, rule, "failover")
        }
        return self.controller.decide(self.speeds(view), view.now_ms, asked_by=asked_by)

    def _acts(self, alert: Alert, rule: Rule, action: str) -> bool:
        """Whether a firing alert may have something done: acting takes more evidence than telling."""
        if rule.mode == "shadow" or all(one.type != action for one in rule.actions):
            return False
        finding = self.watch.finding(alert)
        p = (finding.evidence if finding is not None else alert.evidence).p
        return p is None or p <= ACTION_P

    # --- state as a value -------------------------------------------------------------------------

    def snapshot(self) -> ControlSnapshot:
        """The whole state as plain data in a fixed order."""
        return ControlSnapshot(
            alerts=[self.alerts[key] for key in sorted(self.alerts)],
            route=self.controller.route,
            baselines=[self.baselines[name] for name in sorted(self.baselines)],
            reviews=[self.reviews.by_scope[scope] for scope in sorted(self.reviews.by_scope)],
        )

    def measured(self) -> Measured:
        """What was measured, as plain data in a fixed order."""
        arrivals, callbacks = self.learning.snapshot()
        return Measured(self.charts.snapshot(), arrivals, callbacks)

    def restore(self, snapshot: ControlSnapshot, measured: Measured) -> None:
        """Take over a snapshot."""
        self.watch.restore(snapshot.alerts)
        self.controller.route = snapshot.route
        self.reviews = Reviews({one.scope: one for one in snapshot.reviews})
        self.learning.restore(snapshot.baselines, measured.arrivals, measured.callbacks)
        if measured.charts is not None:
            self.charts.restore(measured.charts)

    def resume(self, rows: Observation, heard: Heard, heard_ms: int, now_ms: int) -> None:
        """After a restart: walk through what was missed up to the latest news, then skip to now.

        While the monitor was down nobody told it of deliveries, so nothing is held against anybody.
        It was alive at least until the latest news, step or alert: silence before that was heard.
        """
        walked_ms = self.charts.at_ms
        # Without a snapshot nobody knows what was charged already: only standing alarms are known.
        from_ms = heard_ms if walked_ms is None else walked_ms
        self.charts.rebuild(rows, self.baselines, from_ms, heard_ms, resume_ms=now_ms, heard=heard)
        charted = self.watch.charted
        for alert, rule in self.watch.firing():
            if rule.alert not in charted:
                continue
            channel = dict(alert.labels).get("channel", ALL_ORDERS)
            self.charts.hold(channel, alert.evidence.value or 1.0, alert.firing_ms or now_ms)
        alive_ms = max(heard_ms, from_ms, self.watch.moved_ms)
        self.learning.resume(min(alive_ms, now_ms), now_ms)

    def _plan(self) -> None:
        floor_ms = self.settings.evaluation_floor_ms
        self._step_ms = max(self.settings.breaker_every_ms, floor_ms)
        intervals = {rule.alert: rule.interval_ms for rule in self.rules.rules}
        gap_ms = self.settings.evaluation_gap_ms
        self._schedule.configure(intervals, gap_ms=gap_ms, floor_ms=floor_ms)


def _scope_of(alert: Alert) -> str:
    channel = dict(alert.labels).get("channel")
    return ALL_ORDERS if channel is None else f"channel:{channel}"
