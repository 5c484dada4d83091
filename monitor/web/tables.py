"""The rows of the page's tables, in words; a tone picks colour and shape, never the only word."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from monitor.core.alerting.template import alert_values, render
from monitor.core.engine import Engine
from monitor.core.views.channels import ChannelView
from monitor.core.views.fleet import AlertView, RouteView, SourceStatus, SwitchView
from monitor.core.views.orders import OrderLine, TakeoverView
from monitor.model.alerts import Alert, AlertState, Evidence
from monitor.model.rules import SIGNALS
from monitor.model.takeovers import CaseState
from monitor.model.times import SECOND_MS, from_datetime, parse_rfc3339
from monitor.web.language import CHINESE
from monitor.web.phrases import Moment, Phrases, visible

ORDERS_MAX = 100
ALERTS_MAX = 30
TAKEOVERS_MAX = 30
CHANNELS_MAX = 50
SOURCES_MAX = 50
SOON_S = 60.0  # a promise that ends within this deserves a look

_FINAL = (CaseState.DELIVERED, CaseState.VOIDED)
_TAKEOVER_TONES: dict[str, str] = {
    CaseState.DELIVERED: "good",
    CaseState.VOIDED: "quiet",
    CaseState.ADVISED: "quiet",
    CaseState.ESCALATED: "bad",
    CaseState.UNKNOWN: "warn",
}
_SEVERITY_TONES = {"critical": "bad", "warning": "warn", "info": "info"}
_ALERT_TONES = {"pending": "quiet", "resolved": "good"}
_CHANNEL_WORDS = {"open": ("open.word", "bad"), "closed": ("closed", "good")}


class Mark(msgspec.Struct, frozen=True):
    """A state: its word, and the tone that gives it shape and colour."""

    word: str
    tone: str


class OrderRow(msgspec.Struct, frozen=True):
    """One order that waits."""

    order_id: str
    href: str
    state: str
    sku: str | None
    channel: str
    due: Mark
    age: str
    promise: str
    tier: str | None
    takeover: Mark | None


class ChannelRow(msgspec.Struct, frozen=True):
    """One channel; `weight` is its share of the route, 0..100.

    `chart` says how many deliveries were expected and seen while they fall behind; `stalled` is
    there once that is no chance any more.
    """

    name: str
    kind: str
    state: Mark
    remarks: Sequence[str]
    weight: int
    stalled: Mark | None
    chart: str
    chart_details: Sequence[str]
    slow: str
    slow_detail: str
    p95: str
    p95_detail: str
    waiting: int
    oldest: str | None


class RouteCard(msgspec.Struct, frozen=True):
    """Where new orders go and what the shop said to it."""

    targets: Sequence[str]
    epoch: int
    epoch_detail: str
    status: Mark
    since: Moment | None
    answered: Moment | None
    reason: str | None


class AlertRow(msgspec.Struct, frozen=True):
    """One alert with the evidence of its latest transition."""

    rule: str
    labels: str
    summary: str
    severity: str
    state: Mark
    since: Moment | None
    evidence: Sequence[str]


class TakeoverRow(msgspec.Struct, frozen=True):
    """One takeover case."""

    order_id: str
    href: str
    state: Mark
    channel: str | None
    attempts: int
    reason: str | None
    opened: Moment


class SourceRow(msgspec.Struct, frozen=True):
    """One source of events."""

    name: str
    state: Mark
    last: Moment | None
    last_ago: str | None
    orders: int
    limit: str


def order_rows(lines: Sequence[OrderLine], engine: Engine, phrases: Phrases) -> list[OrderRow]:
    """The most urgent orders first, as they come."""
    return [_order_row(line, engine, phrases) for line in lines[:ORDERS_MAX]]


def channel_rows(channels: Sequence[ChannelView], phrases: Phrases) -> list[ChannelRow]:
    """Channels as they come: configured ones first."""
    return [_channel_row(channel, phrases) for channel in channels[:CHANNELS_MAX]]


def route_card(route: RouteView, switch: SwitchView, phrases: Phrases) -> RouteCard:
    """The route as the shop should use it, and how far it got."""
    tones = {"applied": "good", "none": "quiet", "pending": "warn"}
    detail = "" if route.epoch else phrases.words("route.initial")
    return RouteCard(
        targets=[f"{visible(name)} {weight}%" for name, weight in route.ranked],
        epoch=route.epoch,
        epoch_detail=detail,
        status=Mark(phrases.words.code("route", switch.status), tones.get(switch.status, "bad")),
        since=_moment(switch.decided_at, phrases),
        answered=_moment(switch.answered_at, phrases),
        reason=_route_reason(switch.reason, phrases) if switch.reason else None,
    )


def alert_rows(
    alerts: Sequence[AlertView], engine: Engine, phrases: Phrases
) -> tuple[list[AlertRow], int]:
    """The most urgent alerts, and how many there are."""
    return [_alert_row(alert, engine, phrases) for alert in alerts[:ALERTS_MAX]], len(alerts)


def takeover_rows(
    takeovers: Sequence[TakeoverView], phrases: Phrases
) -> tuple[list[TakeoverRow], int]:
    """Takeovers under way first, then the latest ones; and how many there are."""
    ordered = sorted(takeovers, key=lambda case: case.state in _FINAL)
    return [_takeover_row(case, phrases) for case in ordered[:TAKEOVERS_MAX]], len(ordered)


def source_rows(sources: Sequence[SourceStatus], phrases: Phrases) -> list[SourceRow]:
    """Silent sources first."""
    ordered = sorted(sources, key=lambda source: not source.silent)
    return [_source_row(source, phrases) for source in ordered[:SOURCES_MAX]]


def _order_row(line: OrderLine, engine: Engine, phrases: Phrases) -> OrderRow:
    source = engine.shard.orders[line.order_id].facts.source
    return OrderRow(
        order_id=visible(line.order_id),
        href=_order_href(line.order_id),
        state=phrases.words.code("state", line.state),
        sku=None if line.sku is None else visible(line.sku),
        channel=visible(line.channel),
        due=_due(line, phrases, is_unconfirmed=engine.shard.is_source_silent(source)),
        age=phrases.duration(line.age_s),
        promise=phrases.duration(line.promise_s),
        tier=None if line.tier is None else phrases.words(f"tier.{line.tier}"),
        takeover=None if line.takeover is None else _case_mark(line.takeover, phrases),
    )


def _due(line: OrderLine, phrases: Phrases, *, is_unconfirmed: bool) -> Mark:
    assert line.breach_in_s is not None, "an order in flight has a deadline"
    time = phrases.duration(abs(line.breach_in_s))
    if line.breach_in_s >= 0:
        tone = "warn" if line.breach_in_s < SOON_S else "quiet"
        return Mark(phrases.words("order.left", time=time), tone)
    if is_unconfirmed:
        return Mark(phrases.words("order.unconfirmed", time=time), "warn")
    return Mark(phrases.words("order.late", time=time), "bad")


def _channel_row(channel: ChannelView, phrases: Phrases) -> ChannelRow:
    words, speed = phrases.words, channel.speed
    key, tone = _CHANNEL_WORDS.get(channel.state, (channel.state, "quiet"))
    if channel.chart.is_stalled and channel.state == "closed":
        key, tone = "stalled", "bad"  # a breaker that waits for evidence is no word for this
    remarks = []
    if channel.locked is not None:
        remarks.append(words("channel.locked", reason=visible(channel.locked)))
    if channel.drained is not None:
        remarks.append(words("channel.drained.why", reason=visible(channel.drained)))
    limit = phrases.duration(speed.threshold_ms / SECOND_MS)
    oldest = phrases.duration(speed.oldest_age_ms / SECOND_MS)
    return ChannelRow(
        name=visible(channel.name),
        kind=words.code("kind", channel.kind),
        state=Mark(words(f"channel.{key}"), tone),
        remarks=remarks,
        weight=channel.weight,
        stalled=Mark(words("channel.stalled"), "bad")
        if channel.chart.is_stalled and key != "stalled"
        else None,
        chart=_chart(channel, phrases),
        chart_details=_chart_details(channel, phrases),
        slow=words("of", k=speed.slow, n=speed.n) if speed.n else words("none"),
        slow_detail=words("channel.slow.limit", limit=limit)
        if speed.n
        else words("channel.slow.none"),
        p95=words("none") if channel.p95_s is None else phrases.delay(channel.p95_s),
        p95_detail=words("channel.p95.none") if channel.p95_s is None else "",
        waiting=speed.open_orders,
        oldest=words("channel.oldest", age=oldest) if speed.open_orders else None,
    )


def _is_owed(channel: ChannelView) -> bool:
    """Whether at least one delivery is expected that nobody saw the like of."""
    return channel.chart.is_stalled or round(channel.chart.expected) > channel.chart.observed


def _chart(channel: ChannelView, phrases: Phrases) -> str:
    chart = channel.chart
    if _is_owed(channel):
        expected = max(round(chart.expected), 1)
        return phrases.words("channel.chart.owed", expected=expected, seen=chart.observed)
    return phrases.words("none" if channel.state == "idle" else "channel.chart.even")


def _chart_details(channel: ChannelView, phrases: Phrases) -> list[str]:
    """Since when deliveries fall behind, and whether the usual pace is known yet."""
    details = []
    began = _moment(channel.chart.since, phrases)
    if _is_owed(channel) and began is not None:
        details.append(phrases.words("channel.chart.since", time=began.short))
    if channel.baseline is None and channel.state != "idle":
        details.append(phrases.words("channel.learning"))
    return details


def _route_reason(reason: str, phrases: Phrases) -> str:
    """Put the code in front of a decision's reason into words."""
    code, comma, rest = reason.partition(", ")
    return phrases.words.code("route.reason", visible(code)) + comma + visible(rest)


def _alert_row(view: AlertView, engine: Engine, phrases: Phrases) -> AlertRow:
    words = phrases.words
    labels = tuple(sorted(view.labels.items()))
    alert = engine.control.alerts.get(Alert(view.rule, labels, view.state, view.severity).key)
    tone = _ALERT_TONES.get(view.state, _SEVERITY_TONES.get(view.severity, "warn"))
    began = {"pending": view.pending_at, "resolved": view.resolved_at}
    return AlertRow(
        rule=visible(view.rule),
        labels=" · ".join(f"{visible(name)}={visible(value)}" for name, value in labels),
        summary="" if alert is None else _summary(alert, view.evidence, engine, phrases),
        severity=words.code("severity", view.severity),
        state=Mark(words(f"alert.{view.state}"), tone),
        since=_moment(began.get(view.state, view.firing_at), phrases),
        evidence=_evidence(view, phrases),
    )


def _summary(alert: Alert, evidence: Evidence, engine: Engine, phrases: Phrases) -> str:
    """The rule's own words about a firing or pending alert as it stands now, if it has any."""
    rule = engine.control.rule(alert.rule)
    if rule is None or alert.state == AlertState.INACTIVE:
        return ""
    annotations = dict(rule.annotations)
    template = annotations.get("summary", "")
    if phrases.words.language == CHINESE:
        template = annotations.get("summary_zh", template)
    current = msgspec.structs.replace(alert, evidence=evidence)
    return visible(render(template, alert_values(current, phrases.words.language)))


def _evidence(view: AlertView, phrases: Phrases) -> list[str]:
    words, found = phrases.words, view.evidence
    said = []
    if found.k is not None and found.n is not None:
        if found.signal in ("cusum_ratio", "speed_ratio"):  # deliveries, not orders
            said.append(words("channel.chart.owed", expected=found.n, seen=found.k))
        else:
            said.append(words("alert.of", k=found.k, n=found.n))
    if found.value is not None and found.limit is not None:
        unit = SIGNALS.get(found.signal, "count")
        value, limit = phrases.value(found.value, unit), phrases.value(found.limit, unit)
        said.append(words("alert.value", value=value, limit=limit))
    if view.reason in ("good_streak", "insufficient_evidence", "no_data"):
        said.append(words(f"alert.why.{view.reason}"))
    return said


def _takeover_row(case: TakeoverView, phrases: Phrases) -> TakeoverRow:
    code = case.resolution or case.escalated_reason
    opened = _moment(case.opened_at, phrases)
    assert opened is not None
    return TakeoverRow(
        order_id=visible(case.order_id),
        href=_order_href(case.order_id),
        state=_case_mark(case.state, phrases),
        channel=None if case.channel is None else visible(case.channel),
        attempts=case.attempt,
        reason=None if code is None else phrases.words.code("why", visible(code)),
        opened=opened,
    )


def _case_mark(state: str, phrases: Phrases) -> Mark:
    return Mark(phrases.words.code("takeover", state), _TAKEOVER_TONES.get(state, "info"))


def _source_row(source: SourceStatus, phrases: Phrases) -> SourceRow:
    words = phrases.words
    if source.silent:
        state = Mark(words("source.silent"), "bad")
    elif source.last_event_at is None:
        state = Mark(words("source.waiting"), "quiet")
    else:
        state = Mark(words("source.heard"), "good")
    ago = None if source.age_s is None else words("ago", age=phrases.duration(source.age_s))
    limit = source.limit_s
    return SourceRow(
        name=visible(source.name),
        state=state,
        last=_moment(source.last_event_at, phrases),
        last_ago=ago,
        orders=source.orders,
        limit=words("source.limit.none") if limit is None else phrases.duration(limit),
    )


def _order_href(order_id: str) -> str:
    return "/v1/orders/" + quote(order_id, safe="", errors="replace")


def _moment(text: str | None, phrases: Phrases) -> Moment | None:
    return None if text is None else phrases.moment(from_datetime(parse_rfc3339(text)))
