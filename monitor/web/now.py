"""What the page says at one instant: the engine's views put into words, nothing decided here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import Verdict
from monitor.core.views import fleet
from monitor.core.views.channels import ChannelView, channels
from monitor.core.views.fleet import AlertView, SourceStatus
from monitor.core.views.orders import OrderLine, order_lines
from monitor.core.views.signals import SignalsView, signals
from monitor.model.alerts import AlertState
from monitor.model.ids import ALL_ORDERS
from monitor.model.reviews import Review
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.web.health import HealthCard, health_card
from monitor.web.numbers import KeyNumber, key_numbers
from monitor.web.phrases import Moment, Phrases, visible
from monitor.web.tables import (
    AlertRow,
    ChannelRow,
    OrderRow,
    RouteCard,
    SourceRow,
    TakeoverRow,
    alert_rows,
    channel_rows,
    order_rows,
    route_card,
    source_rows,
    takeover_rows,
)

WINDOW_MS = 15 * MINUTE_MS
NAMES_MAX = 3  # channels or sources named in the headline


class Headline(msgspec.Struct, frozen=True):
    """The one sentence of the page; `title` is for the browser's tab."""

    text: str
    tone: str
    title: str


class Now(msgspec.Struct, frozen=True):
    """The whole page in words; all lists are already cut, the totals say how long they were."""

    headline: Headline
    at: Moment
    zone: str
    example: str | None
    mode: Sequence[str]
    notes: Sequence[str]
    health: HealthCard
    numbers: Sequence[KeyNumber]
    alerts: Sequence[AlertRow]
    alerts_total: int
    orders: Sequence[OrderRow]
    orders_total: int
    channels: Sequence[ChannelRow]
    route: RouteCard
    takeovers: Sequence[TakeoverRow]
    takeovers_total: int
    sources: Sequence[SourceRow]


class Facts(msgspec.Struct, frozen=True, eq=False):
    """All views the page needs, taken at one instant."""

    engine: Engine
    signals: SignalsView
    lines: Sequence[OrderLine]
    late: int
    unconfirmed: int
    channels: Sequence[ChannelView]
    alerts: Sequence[AlertView]
    sources: Sequence[SourceStatus]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever heard."""
        return not self.engine.shard.orders and all(
            source.last_event_at is None for source in self.sources
        )


def now_page(engine: Engine, phrases: Phrases, notes: Sequence[str]) -> Now:
    """Say everything about this instant; `notes` are warnings from outside the core."""
    facts = _facts(engine, phrases.now_ms)
    alerts, alerts_total = alert_rows(facts.alerts, engine, phrases)
    takeovers, takeovers_total = takeover_rows(fleet.takeovers(engine), phrases)
    return Now(
        headline=_headline(facts, phrases),
        at=phrases.moment(phrases.now_ms),
        zone=phrases.zone_name,
        example=_example(engine) if facts.is_empty else None,
        mode=_mode(engine, phrases),
        notes=[*_own_notes(facts, phrases), *notes],
        health=health_card(facts.signals.health_index, WINDOW_MS, phrases),
        numbers=key_numbers(
            facts.signals,
            facts.lines,
            facts.late + facts.unconfirmed,
            facts.sources,
            phrases,
            window_ms=WINDOW_MS,
            promise_s=engine.settings.promise.default_ms / SECOND_MS,
        ),
        alerts=alerts,
        alerts_total=alerts_total,
        orders=order_rows(facts.lines, engine, phrases),
        orders_total=len(facts.lines),
        channels=channel_rows(facts.channels, phrases),
        route=route_card(fleet.route(engine, phrases.now_ms), fleet.switch(engine), phrases),
        takeovers=takeovers,
        takeovers_total=takeovers_total,
        sources=source_rows(facts.sources, phrases),
    )


def starting(phrases: Phrases, troubles: Sequence[str]) -> Headline:
    """What is said while the state is being rebuilt, or cannot be."""
    title = phrases.words("app")
    if troubles:
        return Headline(phrases.words("headline.unusable"), "bad", title)
    return Headline(phrases.words("headline.starting"), "quiet", title)


def _facts(engine: Engine, now_ms: int) -> Facts:
    lines = order_lines(engine, now_ms, wanted="open")
    late = [line for line in lines if line.verdict == Verdict.LATE_PENDING]
    unconfirmed = sum(
        engine.shard.is_source_silent(engine.shard.orders[line.order_id].facts.source)
        for line in late
    )
    return Facts(
        engine=engine,
        signals=signals(engine, None, WINDOW_MS, now_ms),
        lines=lines,
        late=len(late) - unconfirmed,
        unconfirmed=unconfirmed,
        channels=channels(engine, now_ms),
        alerts=fleet.alerts(engine),
        sources=fleet.sources(engine, now_ms),
    )


def _headline(facts: Facts, phrases: Phrases) -> Headline:
    """Everything that is wrong in one sentence, the worst first; or that nothing is."""
    words = phrases.words
    firing = [alert for alert in facts.alerts if alert.state == AlertState.FIRING]
    slow = [channel.name for channel in facts.channels if channel.state == "open"]
    silent = [source.name for source in facts.sources if source.silent]
    clauses = [
        words.count(key, n, names=names)
        for key, n, names in (
            ("headline.firing", len(firing), ""),
            ("headline.late", facts.late, ""),
            ("headline.slow", len(slow), _names(slow, phrases)),
            ("headline.silent", len(silent), _names(silent, phrases)),
            ("headline.unconfirmed", facts.unconfirmed, ""),
        )
        if n
    ]
    title = words("app")
    if facts.late:
        title = words("title.late", n=facts.late, title=title)
    elif firing:
        title = words("title.firing", title=title)
    if clauses:
        is_bad = any(alert.severity == "critical" for alert in firing)
        text = words("headline.join").join(clauses)
        return Headline(text[:1].upper() + text[1:], "bad" if is_bad else "warn", title)
    if facts.is_empty:
        return Headline(words("headline.empty"), "quiet", title)
    if not facts.lines and not facts.signals.judged:
        return Headline(words("headline.idle"), "quiet", title)
    return Headline(words("headline.good"), "good", title)


def _names(names: Sequence[str], phrases: Phrases) -> str:
    shown = [visible(name) for name in names[:NAMES_MAX]]
    return phrases.words("headline.names").join(shown) + (" …" if len(names) > NAMES_MAX else "")


def _mode(engine: Engine, phrases: Phrases) -> list[str]:
    """Say what happens by itself, as it is and not as it is called in the configuration."""
    words = phrases.words
    failover, fallback = engine.settings.failover, engine.settings.fallback
    if failover.mode == fallback.mode == "observe":
        lines = [words("mode.watching")]
    else:
        switch = failover.mode
        if switch == "enforce" and not failover.has_webhook:
            switch = "enforce.poll"
        deliver = fallback.mode
        if deliver == "enforce" and not fallback.has_shop:
            deliver = "enforce.advise"
        lines = [words(f"mode.switch.{switch}"), words(f"mode.deliver.{deliver}")]
    lines += [_review_line(one, phrases) for one in engine.control.reviews_now(phrases.now_ms)]
    if failover.mode != "enforce" and engine.control.asked_reviews():
        lines.append(words("mode.review.advised"))
    return lines


def _review_line(review: Review, phrases: Phrases) -> str:
    """Which new orders people check, who wants that, and until when."""
    words = phrases.words
    is_all = review.scope == ALL_ORDERS
    orders = words("mode.review.all") if is_all else visible(review.scope)
    line = words("mode.review", orders=orders, actor=visible(review.actor))
    if review.until_ms is not None:
        line += words("mode.review.until", time=phrases.moment(review.until_ms).short)
    return line + (
        words("mode.review.reason", reason=visible(review.reason)) if review.reason else ""
    )


def _own_notes(facts: Facts, phrases: Phrases) -> list[str]:
    words = phrases.words
    settings, totals = facts.engine.settings, facts.engine.shard.totals
    notes = []
    if totals.double_deliveries:
        notes.append(words("note.double", n=totals.double_deliveries))
    if not settings.default_receiver and not settings.webhooks:
        notes.append(words("note.no_receiver"))
    notes += [
        words("note.silent", name=visible(source.name), age=phrases.duration(source.age_s or 0))
        for source in facts.sources
        if source.silent
    ]
    return notes


def _example(engine: Engine) -> str:
    """The shortest first event."""
    url = engine.settings.public_url.rstrip("/")
    return (
        f"curl {url}/v1/events -H 'Content-Type: application/json' \\\n"
        """  -d '{"type":"order.paid","order_id":"A1"}'"""
    )
