"""The story of the demo: watches the engine and the shop's own books and says what happened when.

Nothing is narrated that was not observed; a step that does not happen is missing in the result and
the demo fails.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from monitor.core.engine import Engine
from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.observation import Kind
from monitor.core.views.curves import delivery_curve
from monitor.core.views.signals import health
from monitor.model.alerts import Alert, AlertState
from monitor.model.takeovers import CaseState
from monitor.model.times import format_rfc3339
from monitor.sim.world import Chat, Shop, ShopOrder, Supplier

HEALTH_WINDOW_MS = 15_000


class Takeovers(msgspec.Struct):
    """How many cases were started and how they ended."""

    started: int = 0
    delivered: int = 0
    escalated: int = 0


class HealthStory(msgspec.Struct):
    """The health index before the outage, at its lowest, and at the end."""

    before: float | None = None
    lowest: float | None = None
    after: float | None = None


class Outcome(msgspec.Struct):
    """The JSON object of `demo --json` (contract §1); wall times, RFC 3339."""

    outage_at: str | None = None
    detected_at: str | None = None
    alert_fired_at: str | None = None
    alert_delivered: bool = False
    switch_decided_at: str | None = None
    switch_acked_at: str | None = None
    takeovers: Takeovers = msgspec.field(default_factory=Takeovers)
    double_deliveries: int = 0
    bought_twice: int = 0
    lost_orders: int = 0
    recovered_at: str | None = None
    orders: int = 0
    events: int = 0
    health_index: HealthStory = msgspec.field(default_factory=HealthStory)

    def missing(self) -> list[str]:
        """The steps of the story that did not happen; empty when all is well."""
        steps = {
            "no outage was injected": self.outage_at,
            "the outage was not detected": self.detected_at,
            "no alert fired": self.alert_fired_at,
            "the alert did not reach the chat": self.alert_delivered,
            "no switch was decided": self.switch_decided_at,
            "the shop did not acknowledge the switch": self.switch_acked_at,
            "no stuck order was delivered by the fallback": self.takeovers.delivered,
            "delivery did not recover": self.recovered_at,
        }
        wrong = [what for what, happened in steps.items() if not happened]
        if self.double_deliveries:
            wrong.append(f"{self.double_deliveries} orders were delivered twice")
        if self.bought_twice:
            wrong.append(f"{self.bought_twice} keys were bought a second time")
        if self.lost_orders:
            wrong.append(f"{self.lost_orders} orders were lost")
        return wrong


class Story:
    """Looks at the world again and again (`look`) and keeps what it saw.

    `engine` is the one that runs now: a restarted service has another.
    """

    def __init__(
        self, engine: Engine, shop: Shop, supplier: Supplier, chat: Chat, say: Callable[[str], None]
    ) -> None:
        self.outcome = Outcome()
        self.engine = engine
        self._shop = shop
        self._supplier = supplier
        self._chat = chat
        self._say = say
        self._outage_ms: int | None = None
        self._failed = ""
        self._baseline: SurvivalCurve | None = None
        self._told: set[str] = set()

    def outage(self, channel: str, now_ms: int) -> None:
        """The given channel stops delivering now."""
        self._outage_ms = now_ms
        self._failed = channel
        self._baseline = delivery_curve(self.engine, channel, None, now_ms)
        self.outcome.outage_at = format_rfc3339(now_ms)
        self.outcome.health_index.before = self._health(now_ms)
        self._say(f"OUTAGE    channel {channel} takes orders and delivers nothing any more")

    def look(self, now_ms: int) -> None:
        """Notice what is new."""
        if self._outage_ms is None:
            return
        self._look_at_health(now_ms)
        self._look_at_alerts(now_ms)
        self._look_at_switch()
        self._look_at_takeovers()
        self._look_for_recovery(now_ms)

    def finish(self, now_ms: int, orders: int, events: int) -> Outcome:
        """Close the books: the shop's own, not the monitor's."""
        outcome = self.outcome
        outcome.orders, outcome.events = orders, events
        outcome.double_deliveries = self._shop.double_deliveries()
        outcome.bought_twice = self._supplier.bought_twice()
        outcome.lost_orders = len(self.stuck())
        outcome.health_index.after = self._health(now_ms)
        self._say(
            f"END       {orders} orders, {outcome.lost_orders} lost, "
            f"{outcome.double_deliveries} delivered twice; {self._supplier.lost_answers} answers of "
            "the supplier got lost and were asked about, not bought again"
        )
        return outcome

    def stuck(self) -> list[ShopOrder]:
        """Orders that wait and that nobody was told to deliver by hand."""
        handed = {
            case.order_id
            for case in self.engine.desk.cases.values()
            if case.state == CaseState.ESCALATED
        }
        return [one for one in self._shop.waiting() if one.order_id not in handed]

    def _look_at_health(self, now_ms: int) -> None:
        value = self._health(now_ms)
        lowest = self.outcome.health_index.lowest
        if value is not None and (lowest is None or value < lowest):
            self.outcome.health_index.lowest = value

    def _look_at_alerts(self, now_ms: int) -> None:
        firing = [
            alert
            for alert in self.engine.control.alerts.values()
            if alert.firing_ms is not None and alert.firing_ms >= (self._outage_ms or 0)
        ]
        if firing and self.outcome.alert_fired_at is None:
            first = min(firing, key=lambda alert: alert.firing_ms or 0)
            self.outcome.alert_fired_at = format_rfc3339(first.firing_ms or now_ms)
            self._detected(first.pending_ms or first.firing_ms or now_ms)
            self._say(self._alert_line(first, now_ms))
        if firing and not self.outcome.alert_delivered:
            names = [alert.rule for alert in firing]
            self.outcome.alert_delivered = self._chat.heard(names)
        for alert in firing:
            if alert.state == AlertState.INACTIVE:
                self._once(f"resolved {alert.key}", f"RESOLVED  {alert.rule} {_labels(alert)}")

    def _alert_line(self, alert: Alert, now_ms: int) -> str:
        expected, observed = self._expected_and_observed(now_ms)
        late, delivered = self._delivered_only(now_ms)
        found = alert.evidence
        counts = f"{found.k} of {found.n} late; " if found.k is not None else ""
        would = "silent" if not late else f"at {late} of {delivered}"
        return (
            f"ALERT     {alert.rule} {_labels(alert)}: {counts}{expected:.0f} deliveries expected "
            f"since the outage, {observed} observed (a rule over delivered orders: still {would})"
        )

    def _expected_and_observed(self, now_ms: int) -> tuple[float, int]:
        """Deliveries that the time before the outage promises for the orders since, and the real ones."""
        rows = self.engine.shard.observe()
        index = self.engine.shard.channels.index(self._failed)
        chosen = (rows.channel == index) & (rows.paid_ms >= (self._outage_ms or 0))
        ages_s = (now_ms - rows.paid_ms[chosen]) / 1000.0
        baseline = self._baseline
        expected = 0.0 if baseline is None else sum(1 - baseline.at(float(age)) for age in ages_s)
        observed = int(np.count_nonzero(chosen & (rows.kind == Kind.DELIVERED)))
        return expected, observed

    def _delivered_only(self, now_ms: int) -> tuple[int, int]:
        """(late, all) of the delivered orders of the failed channel: what ordinary monitors see."""
        rows = self.engine.shard.observe()
        index = self.engine.shard.channels.index(self._failed)
        delivered = (rows.channel == index) & (rows.kind == Kind.DELIVERED)
        delivered &= rows.end_ms > now_ms - HEALTH_WINDOW_MS
        late = delivered & (rows.end_ms > rows.deadline_ms)
        return int(np.count_nonzero(late)), int(np.count_nonzero(delivered))

    def _look_at_switch(self) -> None:
        route = self.engine.route
        if not route.epoch:
            return
        outcome = self.outcome
        if outcome.switch_decided_at is None:
            outcome.switch_decided_at = format_rfc3339(route.decided_ms)
            self._detected(route.decided_ms)
            target = max(route.weights, key=lambda name: route.weights[name])
            self._say(f"SWITCH    {self._failed} → {target}, epoch {route.epoch}: {route.reason}")
        if outcome.switch_acked_at is None and route.answer == "applied" and route.answered_ms:
            outcome.switch_acked_at = format_rfc3339(route.answered_ms)
            took_ms = route.answered_ms - route.decided_ms
            self._say(f"APPLIED   the shop acknowledged epoch {route.epoch} after {took_ms} ms")

    def _look_at_takeovers(self) -> None:
        cases = list(self.engine.desk.cases.values())
        counts = self.outcome.takeovers
        counts.started = len(cases)
        counts.delivered = sum(case.state == CaseState.DELIVERED for case in cases)
        counts.escalated = sum(case.state == CaseState.ESCALATED for case in cases)
        if cases:
            self._once(
                "takeover", f"TAKEOVER  order {cases[0].order_id} and the ones stuck with it"
            )
        for case in cases:
            if case.state == CaseState.DELIVERED:
                channel = case.attempts[-1].channel
                line = f"RESCUED   order {case.order_id} delivered by {channel}"
                self._once(f"rescued by {channel}", line)
            if case.state == CaseState.ESCALATED:
                line = f"HANDED    order {case.order_id} to you: {case.escalated_reason}"
                self._once(f"handed {case.escalated_reason}", line)

    def _look_for_recovery(self, now_ms: int) -> None:
        outcome = self.outcome
        if outcome.recovered_at is not None or outcome.switch_acked_at is None:
            return
        stuck = [one for one in self.stuck() if one.channel == self._failed]
        if not stuck:
            outcome.recovered_at = format_rfc3339(now_ms)
            seconds = (now_ms - (self._outage_ms or now_ms)) / 1000
            counts = outcome.takeovers
            self._say(
                f"RECOVERED {seconds:.1f} s after the outage: {counts.delivered} stuck orders "
                f"delivered by the fallback, {counts.escalated} handed to you"
            )

    def _detected(self, at_ms: int) -> None:
        stamp = format_rfc3339(at_ms)
        if self.outcome.detected_at is None or stamp < self.outcome.detected_at:
            self.outcome.detected_at = stamp

    def _health(self, now_ms: int) -> float | None:
        index = health(self.engine, None, HEALTH_WINDOW_MS, now_ms)
        return None if index.value is None else round(index.value, 1)

    def _once(self, key: str, line: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self._say(line)


def _labels(alert: Alert) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in alert.labels) + "}"
