"""What can be said about single orders: where they stand, why, and when the goods will come."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import Verdict, state, verdict
from monitor.core.orders.order import Order, tier_limits_ms
from monitor.core.signals.eta import Eta, Quote, estimate, quote
from monitor.core.views.curves import ChannelCurves, delivery_curve
from monitor.core.views.playbooks import ActionView, actions_of
from monitor.model.events import EventType, OrderEvent
from monitor.model.takeovers import Attempt, CaseState, TakeoverCase
from monitor.model.times import MINUTE_MS, SECOND_MS, format_rfc3339

LATE_RISK = 0.5  # from this probability of being late on an order is listed as at risk
NEXT_WORD_MAX_MS = 30 * MINUTE_MS


class TimelineView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One accepted event of an order; `inferred` when the time is ours."""

    type: str
    time: str
    received_at: str
    source: str
    id: str
    channel: str | None = None
    reason: str | None = None
    inferred: bool = False


class EtaView(msgspec.Struct, frozen=True):
    """Contract §3: conditional on the age already waited; low confidence promises no time."""

    promised_at: str
    p50_at: str | None
    p90_at: str | None
    p_late: float | None
    confidence: str
    reason: str | None
    next_word_at: str


class AttemptView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try to deliver, the shop's or ours (`ref` set)."""

    channel: str | None
    state: str
    at: str
    reason: str | None = None
    ref: str | None = None
    code: str | None = None


class TakeoverView(msgspec.Struct, frozen=True):
    """The fallback executor's case; `state` ends in delivered, escalated or voided.

    A claimed case may wait for a channel, and says why; `next_at` is when it looks again by itself.
    """

    id: str
    order_id: str
    state: str
    channel: str | None
    attempt: int
    resolution: str | None
    escalated_reason: str | None
    opened_at: str
    changed_at: str
    attempts: list[AttemptView]
    waits_for: str | None
    waits_because: str | None
    next_at: str | None
    holder: str | None
    held_until: str | None
    first_word_of: str | None


class OrderDetails(msgspec.Struct, frozen=True):
    """`GET /v1/orders/{id}` (contract §3)."""

    order_id: str
    state: str
    channel: str
    paid_at: str | None
    age_s: float | None
    promise_s: float
    verdict: str
    unconfirmed: bool
    breached_at: str | None
    tier: str | None
    done_at: str | None
    sku: str | None
    quantity: int | None
    amount_minor: int | None
    currency: str | None
    source: str
    contradictions: tuple[str, ...]
    faults: tuple[str, ...]
    timeline: list[TimelineView]
    eta: EtaView | None
    attempts: list[AttemptView]
    takeover: TakeoverView | None
    playbook: list[ActionView]


class OrderLine(msgspec.Struct, frozen=True):
    """One order in a list; `breach_in_s` is negative when the promise is already broken."""

    order_id: str
    state: str
    channel: str
    sku: str | None
    paid_at: str | None
    age_s: float
    promise_s: float
    breach_in_s: float | None
    verdict: str
    tier: str | None
    takeover: str | None


def order_details(engine: Engine, order: Order, now_ms: int) -> OrderDetails:
    """Everything about one order."""
    facts = order.facts
    judged = verdict(facts, now_ms)
    return OrderDetails(
        order_id=order.order_id,
        state=state(facts),
        channel=engine.channel_of(order),
        paid_at=_time(facts.paid_ms),
        age_s=None if facts.paid_ms is None else order.age_ms(now_ms) / SECOND_MS,
        promise_s=facts.promise_ms / SECOND_MS,
        verdict=judged,
        unconfirmed=_is_unconfirmed(engine, order, judged),
        breached_at=_time(order.breach_ms),
        tier=_tier(order),
        done_at=_time(facts.done_ms),
        sku=facts.sku,
        quantity=facts.quantity,
        amount_minor=facts.amount_minor,
        currency=facts.currency,
        source=facts.source,
        contradictions=facts.contradictions,
        faults=order.faults,
        timeline=[_timeline_view(event) for event in order.timeline],
        eta=_eta_view(Prospects(engine, now_ms).eta(order)) if order.is_open else None,
        attempts=_attempt_views(order),
        takeover=None if order.case is None else takeover_view(order.case),
        playbook=actions_of(order),
    )


class OrderPage(msgspec.Struct, frozen=True):
    """A part of a list; `last` is the place of its last order, None when nothing follows."""

    lines: list[OrderLine]
    last: tuple[int, str] | None


def order_lines(
    engine: Engine,
    now_ms: int,
    *,
    wanted: str,
    channel: str | None = None,
    sku: str | None = None,
) -> list[OrderLine]:
    """Orders by state (open, late, at_risk, delivered, failed), the most urgent first."""
    placed = _placed(engine, now_ms, wanted, channel, sku)
    return [_line(engine, order, now_ms) for _, order in placed]


def orders_in(
    engine: Engine, now_ms: int, *, wanted: str, channel: str | None, sku: str | None
) -> list[Order]:
    """The orders behind `order_lines`."""
    return [order for _, order in _placed(engine, now_ms, wanted, channel, sku)]


def order_page(
    engine: Engine,
    now_ms: int,
    *,
    wanted: str,
    channel: str | None,
    sku: str | None,
    after: tuple[int, str] | None,
    limit: int,
) -> OrderPage:
    """The first orders behind a place in the list of `order_lines`.

    Places do not move with time or when orders before them leave, so no order is shown twice.
    """
    placed = _placed(engine, now_ms, wanted, channel, sku)
    rest = [one for one in placed if after is None or one[0] > after]
    chosen = rest[:limit]
    lines = [_line(engine, order, now_ms) for _, order in chosen]
    return OrderPage(lines, chosen[-1][0] if len(rest) > limit else None)


def _placed(
    engine: Engine, now_ms: int, wanted: str, channel: str | None, sku: str | None
) -> list[tuple[tuple[int, str], Order]]:
    """Orders with their place: waiting ones by deadline, others by payment, the latest first."""
    prospects = Prospects(engine, now_ms)
    is_urgency = wanted in ("open", "late", "at_risk")
    found = []
    for order in engine.shard.orders.values():
        if channel is not None and engine.channel_of(order) != channel:
            continue
        if sku is not None and order.facts.sku != sku:
            continue
        if _is_wanted(order, wanted, prospects, now_ms):
            facts = order.facts
            at_ms = (facts.deadline_ms or 0) if is_urgency else -(facts.paid_ms or 0)
            found.append(((at_ms, order.order_id), order))
    found.sort(key=lambda one: one[0])
    return found


class Prospects:
    """ETAs at one instant; curves and breaker evidence are computed once per channel."""

    def __init__(self, engine: Engine, now_ms: int) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._view = engine.view(now_ms)
        self._curves = ChannelCurves(engine, now_ms)
        self._tripped: dict[str, bool] = {}

    def eta(self, order: Order) -> Eta:
        """The prospect of an order in flight."""
        facts, now_ms = order.facts, self._now_ms
        assert facts.paid_ms is not None
        channel = self._engine.channel_of(order)
        limits = tier_limits_ms(facts, self._engine.settings)
        coming = [facts.paid_ms + limit - now_ms for limit in limits]
        next_word_ms = min([ms for ms in coming if ms > 0], default=NEXT_WORD_MAX_MS)
        return estimate(
            self._curves.of(channel),
            facts.paid_ms,
            facts.promise_ms,
            now_ms,
            source_silent=self._engine.shard.is_source_silent(facts.source),
            incident=self._is_tripped(channel),
            next_word_ms=min(next_word_ms, NEXT_WORD_MAX_MS),
        )

    def is_at_risk(self, order: Order) -> bool:
        """Still in time, but more likely than not to break the promise."""
        if not order.is_open or verdict(order.facts, self._now_ms) == Verdict.LATE_PENDING:
            return False
        p_late = self.eta(order).p_late
        return p_late is not None and p_late >= LATE_RISK

    def _is_tripped(self, channel: str) -> bool:
        if channel not in self._tripped:
            speed = self._engine.control.speed(channel, self._view)
            self._tripped[channel] = speed.is_tripped
        return self._tripped[channel]


def quote_for(
    engine: Engine, now_ms: int, *, sku: str | None, speed: str | None, channel: str | None
) -> Quote:
    """What a buyer can expect before buying."""
    promises = engine.settings.promise
    promise_ms = promises.by_sku.get(sku or "", promises.by_speed.get(speed or "", 0))
    curve = delivery_curve(engine, channel, sku, now_ms)
    return quote(curve, promise_ms or promises.default_ms)


def takeover_view(case: TakeoverCase) -> TakeoverView:
    """One takeover case."""
    return TakeoverView(
        id=case.takeover_id,
        order_id=case.order_id,
        state=case.state,
        channel=case.attempts[-1].channel if case.attempts else None,
        attempt=len(case.attempts),
        resolution=case.resolution,
        escalated_reason=case.escalated_reason,
        opened_at=format_rfc3339(case.opened_ms),
        changed_at=format_rfc3339(case.changed_ms),
        attempts=[_our_attempt(attempt) for attempt in case.attempts],
        waits_for=case.waits_for if case.state == CaseState.CLAIMED else None,
        waits_because=case.waits_because if case.state == CaseState.CLAIMED else None,
        next_at=None if case.wake_ms is None else format_rfc3339(case.wake_ms),
        holder=case.holder,
        held_until=None if case.holder is None else format_rfc3339(case.held_until_ms),
        first_word_of=case.first_word_of,
    )


def _is_wanted(order: Order, wanted: str, prospects: Prospects, now_ms: int) -> bool:
    facts = order.facts
    match wanted:
        case "open":
            return order.is_open
        case "late":
            return verdict(facts, now_ms) == Verdict.LATE_PENDING
        case "delivered":
            return facts.delivered_ms is not None
        case "failed":
            return facts.paid_ms is not None and facts.delivered_ms is None and not order.is_open
        case "at_risk":
            return prospects.is_at_risk(order)
        case _:
            return facts.paid_ms is not None


def _line(engine: Engine, order: Order, now_ms: int) -> OrderLine:
    facts = order.facts
    deadline_ms = facts.deadline_ms if order.is_open else None
    return OrderLine(
        order_id=order.order_id,
        state=state(facts),
        channel=engine.channel_of(order),
        sku=facts.sku,
        paid_at=_time(facts.paid_ms),
        age_s=order.age_ms(now_ms) / SECOND_MS,
        promise_s=facts.promise_ms / SECOND_MS,
        breach_in_s=None if deadline_ms is None else (deadline_ms - now_ms) / SECOND_MS,
        verdict=verdict(facts, now_ms),
        tier=_tier(order),
        takeover=None if order.case is None else order.case.state,
    )


def _is_unconfirmed(engine: Engine, order: Order, judged: str) -> bool:
    is_overdue = judged == Verdict.LATE_PENDING
    return is_overdue and engine.shard.is_source_silent(order.facts.source)


def _attempt_views(order: Order) -> list[AttemptView]:
    views = []
    for event in order.timeline:
        if event.type in (EventType.ATTEMPTED, EventType.ATTEMPT_FAILED):
            name = "failed" if event.type == EventType.ATTEMPT_FAILED else "attempted"
            at = format_rfc3339(event.time_ms)
            views.append(AttemptView(event.channel, name, at, event.reason))
    if order.case is not None:
        views += [_our_attempt(attempt) for attempt in order.case.attempts]
    return views


def _our_attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        channel=attempt.channel,
        state=attempt.state,
        at=format_rfc3339(attempt.submitted_ms),
        reason=attempt.reason,
        ref=attempt.ref,
        code=attempt.code,
    )


def _timeline_view(event: OrderEvent) -> TimelineView:
    return TimelineView(
        type=event.type,
        time=format_rfc3339(event.time_ms),
        received_at=format_rfc3339(event.received_ms),
        source=event.source,
        id=event.event_id,
        channel=event.channel,
        reason=event.reason,
        inferred=event.is_inferred,
    )


def _eta_view(eta: Eta) -> EtaView:
    return EtaView(
        promised_at=format_rfc3339(eta.promised_at_ms),
        p50_at=_time(eta.p50_at_ms),
        p90_at=_time(eta.p90_at_ms),
        p_late=eta.p_late,
        confidence=eta.confidence,
        reason=eta.reason,
        next_word_at=format_rfc3339(eta.next_word_at_ms),
    )


def _tier(order: Order) -> str | None:
    return f"L{order.tier}" if order.tier else None


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
