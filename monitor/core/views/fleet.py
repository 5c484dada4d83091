"""What can be said about the whole shop: alerts, rules, the route, takeovers, sources."""

from __future__ import annotations

import msgspec

from monitor.core.alerting.watch import SOURCE_SILENT
from monitor.core.engine import Engine
from monitor.core.failover.reviews import review_of
from monitor.core.rules.findings import Finding
from monitor.core.views.orders import TakeoverView, takeover_view
from monitor.model.alerts import Alert, AlertState, Evidence
from monitor.model.ids import ALL_ORDERS, digest
from monitor.model.reviews import ANY_ORDER, Review, Subject
from monitor.model.times import SECOND_MS, format_rfc3339

ROUTE_TTL_S = 30
ROUTE_STALE_OK_S = 86_400


class AlertView(msgspec.Struct, frozen=True):
    """One alert with the evidence of its latest transition."""

    rule: str
    labels: dict[str, str]
    state: str
    severity: str
    reason: str
    pending_at: str | None
    firing_at: str | None
    resolved_at: str | None
    value: float | None
    k: int | None
    n: int | None
    p: float | None
    evidence: Evidence


class FindingView(msgspec.Struct, frozen=True):
    """What a rule came to for one set of labels when it was evaluated last."""

    instance: str
    outcome: str
    reason: str
    value: float | None
    limit: float | None
    k: int | None
    n: int | None
    p: float | None


class RuleView(msgspec.Struct, frozen=True):
    """One rule as loaded, with how many of its alerts stand where."""

    alert: str
    group: str
    expr: str
    severity: str
    mode: str
    interval_s: float
    for_s: float
    firing: int
    pending: int
    findings: list[FindingView]


class ReviewView(msgspec.Struct, frozen=True):
    """A scope whose new orders people check; `until` None: as long as the rule asks for it."""

    scope: str
    since: str
    until: str | None
    actor: str
    reason: str


class RouteView(msgspec.Struct, frozen=True):
    """`GET /v1/route`: channels best first, as the shop should use them now.

    `review` says who has people check the orders asked about, and why `mode` is `review`.
    """

    epoch: int
    mode: str
    ranked: list[tuple[str, int]]
    ttl_s: int
    stale_ok_s: int
    review: ReviewView | None

    @property
    def etag(self) -> str:
        """Changes exactly when the answer does."""
        return digest(repr((self.epoch, self.mode, self.ranked, self.review)), size=8).hex()


class SwitchView(msgspec.Struct, frozen=True):
    """The current desired state and what the shop said to it."""

    scope: str
    epoch: int
    weights: dict[str, int]
    decision_id: str | None
    decided_at: str | None
    mode: str
    reason: str
    status: str
    answered_at: str | None


class SourceStatus(msgspec.Struct, frozen=True):
    """One source: when it was last heard and whether that is too long ago."""

    name: str
    last_event_at: str | None
    age_s: float | None
    silent: bool
    limit_s: float | None
    orders: int


def alerts(engine: Engine) -> list[AlertView]:
    """Active alerts first, then those resolved not long ago; latest first.

    An active alert shows the evidence of its latest evaluation, a resolved one that of its end. One
    that neither holds nor ends because nobody knows, its source being silent, says `source_silent`.
    """
    found = [
        AlertView(
            rule=alert.rule,
            labels=dict(alert.labels),
            state="resolved" if alert.state == AlertState.INACTIVE else alert.state,
            severity=alert.severity,
            reason=_current_reason(engine, alert),
            pending_at=_time(alert.pending_ms),
            firing_at=_time(alert.firing_ms),
            resolved_at=_time(alert.resolved_ms),
            value=evidence.value,
            k=evidence.k,
            n=evidence.n,
            p=evidence.p,
            evidence=evidence,
        )
        for alert in engine.control.alerts.values()
        for evidence in [_current_evidence(engine, alert)]
        if alert.state != AlertState.INACTIVE or alert.resolved_ms is not None
    ]
    urgency: dict[str, int] = {AlertState.FIRING: 0, AlertState.PENDING: 1}
    found.sort(key=lambda view: view.firing_at or view.pending_at or "", reverse=True)
    found.sort(key=lambda view: urgency.get(view.state, 2))
    return found


def _current_reason(engine: Engine, alert: Alert) -> str:
    finding = engine.control.watch.finding(alert)
    if alert.state == AlertState.INACTIVE or finding is None or finding.reason != SOURCE_SILENT:
        return alert.reason
    return SOURCE_SILENT


def _current_evidence(engine: Engine, alert: Alert) -> Evidence:
    finding = engine.control.watch.finding(alert)
    if alert.state == AlertState.INACTIVE or finding is None or finding.evidence.value is None:
        return alert.evidence
    return finding.evidence


def rules(engine: Engine) -> list[RuleView]:
    """All rules with their latest findings, by instance."""
    views = []
    for rule in engine.control.rules.rules:
        mine = [alert for alert in engine.control.alerts.values() if alert.rule == rule.alert]
        findings = [_finding(key, finding) for key, finding in engine.control.watch.findings(rule)]
        views.append(
            RuleView(
                alert=rule.alert,
                group=rule.group,
                expr=rule.expr_text,
                severity=rule.severity,
                mode=rule.mode,
                interval_s=rule.interval_ms / SECOND_MS,
                for_s=rule.for_ms / SECOND_MS,
                firing=sum(alert.state == AlertState.FIRING for alert in mine),
                pending=sum(alert.state == AlertState.PENDING for alert in mine),
                findings=findings,
            )
        )
    return views


def route(engine: Engine, now_ms: int, wanted: Subject = ANY_ORDER) -> RouteView:
    """Where new orders should go; from memory, no computation over orders.

    `wanted`: what is known of the order; its channels are those of the route.
    """
    weights = engine.control.controller.weights(engine.shard.channels)
    ranked = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    used = [(name, weight) for name, weight in ranked if weight > 0]
    subject = msgspec.structs.replace(wanted, channels=tuple(name for name, _ in used))
    review = review_of(subject, engine.control.reviews_now(now_ms))
    return RouteView(
        epoch=engine.route.epoch,
        mode=engine.settings.failover.mode if review is None else "review",
        ranked=used,
        ttl_s=ROUTE_TTL_S,
        stale_ok_s=ROUTE_STALE_OK_S,
        review=None if review is None else _review_view(review),
    )


def reviews(engine: Engine, now_ms: int) -> list[ReviewView]:
    """Reviews that stand now, of people and of rules."""
    return [_review_view(one) for one in engine.control.reviews_now(now_ms)]


def _review_view(review: Review) -> ReviewView:
    return ReviewView(
        scope=review.scope,
        since=format_rfc3339(review.since_ms),
        until=_time(review.until_ms),
        actor=review.actor,
        reason=review.reason,
    )


def switch(engine: Engine) -> SwitchView:
    """The current routing decision."""
    state = engine.route
    return SwitchView(
        scope=ALL_ORDERS,
        epoch=state.epoch,
        weights=engine.control.controller.weights(engine.shard.channels),
        decision_id=state.decision_id,
        decided_at=_time(state.decided_ms or None),
        mode=state.mode,
        reason=state.reason,
        status=state.answer or ("pending" if state.epoch else "none"),
        answered_at=_time(state.answered_ms),
    )


def takeovers(engine: Engine) -> list[TakeoverView]:
    """All takeover cases in memory, latest first."""
    cases = sorted(engine.desk.cases.values(), key=lambda case: (-case.opened_ms, case.takeover_id))
    return [takeover_view(case) for case in cases]


def sources(engine: Engine, now_ms: int) -> list[SourceStatus]:
    """All sources, configured ones also before their first event."""
    offsets = engine.settings.utc_offsets
    return [
        SourceStatus(
            name=name,
            last_event_at=_time(source.last_ms or None),
            age_s=max(0, now_ms - source.last_ms) / SECOND_MS if source.last_ms else None,
            silent=source.is_silent,
            limit_s=None if (limit := source.limit_ms(offsets)) is None else limit / SECOND_MS,
            orders=source.orders,
        )
        for name, source in sorted(engine.shard.sources.items())
    ]


def _finding(key: str, finding: Finding) -> FindingView:
    found = finding.evidence
    return FindingView(
        instance=key,
        outcome=finding.outcome,
        reason=finding.reason,
        value=found.value,
        limit=found.limit,
        k=found.k,
        n=found.n,
        p=found.p,
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
