"""What a replay says in the end: the `replay --json` object of contract §1, and the same as text.

Verdicts, delays and health are over the whole file at one instant and come from the orders' facts
alone; alerts and actions are what the engine decided on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from monitor.core.orders.facts import holder_at
from monitor.core.orders.lifecycle import Verdict, is_breach, verdict
from monitor.core.orders.names import NAMES_MAX
from monitor.core.orders.order import Order
from monitor.core.signals.health import Anchors, health_from_sums, health_sums
from monitor.core.signals.survival import NEVER_MS, cohort, mean_lower_bound_s
from monitor.model.alerts import Alert, AlertState
from monitor.model.ids import OTHER, UNNAMED_CHANNEL
from monitor.model.records import AlertMoved, CaseMoved, SourceMoved, SwitchDecided
from monitor.model.times import SECOND_MS, format_rfc3339
from monitor.sim.replay import Replayed

TAU_S = 1_800.0  # design D9: the restricted mean looks at the first half hour
VERDICTS = tuple(name.value for name in (
    Verdict.GOOD, Verdict.LATE_DELIVERED, Verdict.LATE_PENDING, Verdict.FAILED, Verdict.REFUNDED,
    Verdict.CANCELLED, Verdict.UNDECIDED, Verdict.UNPAID,
))  # fmt: skip
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


class Judged(msgspec.Struct, frozen=True):
    """One order at the report's instant; `duration_ms` is what survival curves take, see `cohort`.

    `age_ms` is the delay, or the time since payment for an order that has not been delivered.
    """

    verdict: str
    channel: str
    is_breached: bool
    is_delivered: bool
    duration_ms: int
    age_ms: int


def build_report(replayed: Replayed, *, rejected: int = 0) -> dict[str, Any]:
    """The `replay --json` object; `rejected` are lines that were no event at all.

    Times are RFC 3339, durations seconds. Beside the contract's names it says `judged_at`,
    `after_until`, `evaluated_every_s`, `warnings` and, in `delay_s`, `tau_s` of the restricted mean.
    """
    orders = replayed.engine.shard.orders
    judged = [judge(orders[one], replayed, replayed.at_ms) for one in sorted(orders)]
    channels = sorted({one.channel for one in judged})
    rejected += replayed.untimed
    anchors = replayed.settings.health_anchors
    return {
        "events": replayed.accepted + replayed.duplicates + rejected + replayed.later,
        "accepted": replayed.accepted,
        "duplicates": replayed.duplicates,
        "rejected": rejected,
        "after_until": replayed.later,
        "orders": len(judged),
        "first_event_at": _time(replayed.first_ms),
        "last_event_at": _time(replayed.last_ms),
        "judged_at": _time(replayed.at_ms if judged else None),
        **_summary(judged, anchors),
        "breached": sum(one.is_breached for one in judged),
        "by_channel": {
            name: _summary([one for one in judged if one.channel == name], anchors)
            for name in channels
        },
        "alerts": _alerts(replayed),
        "actions": list(_actions(replayed)),
        "evaluated_every_s": _evaluated_every_s(replayed),
        "state_hash": replayed.state_hash,
        "engine_hash": replayed.engine_hash,
        "warnings": list(replayed.warnings),
    }


def judge(order: Order, replayed: Replayed, at_ms: int) -> Judged:
    """Judge an order from its facts; an order closed without delivery is at risk for ever."""
    facts = order.facts
    name = verdict(facts, at_ms).value
    breached = is_breach(facts, at_ms)
    channel = holder_at(order.timeline, facts.sold_on, facts.deadline_ms) if breached else None
    channel = channel or facts.channel or UNNAMED_CHANNEL
    known = replayed.engine.shard.channels
    if channel not in known and len(known) >= NAMES_MAX:
        channel = OTHER
    is_delivered = facts.delivered_ms is not None and facts.paid_ms is not None
    until_ms = facts.delivered_ms if facts.delivered_ms is not None else at_ms
    age_ms = max(0, until_ms - facts.paid_ms) if facts.paid_ms is not None else 0
    is_closed = not is_delivered and facts.closed_ms is not None
    return Judged(
        verdict=name,
        channel=channel,
        is_breached=breached,
        is_delivered=is_delivered,
        duration_ms=NEVER_MS if is_closed else age_ms,
        age_ms=age_ms,
    )


def _summary(judged: Sequence[Judged], anchors: Anchors) -> dict[str, Any]:
    counts = Counter(one.verdict for one in judged)
    return {
        "verdicts": {name: counts[name] for name in VERDICTS},
        "delay_s": _delays([one for one in judged if one.verdict != Verdict.UNPAID]),
        "health_index": _health(judged, counts, anchors),
    }


def _delays(paid: Sequence[Judged]) -> dict[str, Any]:
    curve = cohort(
        np.array([one.duration_ms for one in paid], np.int64),
        np.array([one.is_delivered for one in paid], np.bool_),
    )
    ages = np.array([one.age_ms for one in paid], np.int64)
    return {
        "n_events": curve.n_events,
        "n_censored": curve.n_censored,
        **{name: _rounded(curve.quantile(q).value_s) for name, q in PERCENTILES.items()},
        "mean_restricted": _rounded(curve.restricted_mean(TAU_S)),
        "mean_lower_bound": _rounded(mean_lower_bound_s(ages)),
        "tau_s": TAU_S,
    }


def _health(judged: Sequence[Judged], counts: Counter[str], anchors: Anchors) -> dict[str, Any]:
    waiting = (Verdict.LATE_PENDING, Verdict.UNDECIDED)
    index = health_from_sums(
        health_sums(
            np.array([one.age_ms for one in judged if one.is_delivered], np.int64),
            np.array([one.age_ms for one in judged if one.verdict in waiting], np.int64),
            counts[Verdict.FAILED],
            counts[Verdict.REFUNDED],
            counts[Verdict.CANCELLED],
            anchors,
        )
    )
    return {
        "value": _rounded(index.value),
        "state": index.state,
        "components": {name: round(lost, 6) for name, lost in index.components.items()},
        "n": index.n,
    }


# --- what happened on the way ---------------------------------------------------------------------


def _alerts(replayed: Replayed) -> list[dict[str, Any]]:
    """Every episode that fired, in order of firing, and what is pending at the end.

    Value and evidence are those of the moment it fired.
    """
    episodes: list[dict[str, Any]] = []
    firing: dict[str, dict[str, Any]] = {}
    for moved in replayed.notable:
        if not isinstance(moved, AlertMoved):
            continue
        alert = moved.alert
        if alert.state == AlertState.FIRING and moved.previous != AlertState.FIRING:
            firing[alert.key] = _episode(alert)
            episodes.append(firing[alert.key])
        elif moved.previous == AlertState.FIRING and alert.state != AlertState.FIRING:
            firing.pop(alert.key)["resolved_at"] = _time(moved.at_ms)
    alerts = replayed.engine.control.alerts
    pending = [alerts[key] for key in sorted(alerts) if alerts[key].state == AlertState.PENDING]
    return episodes + [_episode(alert) for alert in pending]


def _episode(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "labels": dict(alert.labels),
        "severity": alert.severity,
        "pending_at": _time(alert.pending_ms),
        "firing_at": _time(alert.firing_ms),
        "resolved_at": None,
        "value": alert.evidence.value,
        "evidence": {
            "reason": alert.reason,
            **{name: getattr(alert.evidence, name) for name in ("signal", "k", "n", "p", "limit")},
        },
    }


def _actions(replayed: Replayed) -> Iterator[dict[str, Any]]:
    """Switches and takeovers one by one, equal advice in a row as one; the rest as counts."""
    yield from _switches(one for one in replayed.notable if isinstance(one, SwitchDecided))
    for moved in replayed.notable:
        if isinstance(moved, CaseMoved) and moved.case.changed_ms == moved.case.opened_ms:
            case = moved.case
            yield {
                "type": "takeover.started",
                "at": _time(case.opened_ms),
                "takeover_id": case.takeover_id,
                "order_id": case.order_id,
                "state": case.state,
                "from_channel": case.held_by_channel,
            }
    for tier in (1, 2, 3):
        if count := replayed.counts.get(f"tier {tier}"):
            yield {"type": "order.tier_changed", "tier": f"L{tier}", "count": count}
    silences = Counter(
        one.source for one in replayed.notable if isinstance(one, SourceMoved) and one.is_silent
    )
    for source in sorted(silences):
        yield {"type": "source.silent", "source": source, "count": silences[source]}
    for kind, count in replayed.counts.items():
        if kind.startswith("effect Notify "):
            yield {"type": "notify", "event": kind.removeprefix("effect Notify "), "count": count}


def _switches(decided: Iterable[SwitchDecided]) -> Iterator[dict[str, Any]]:
    latest: dict[str, Any] | None = None
    for one in decided:
        same = {
            "type": "channel.switch",
            "mode": one.mode,
            "scope": one.scope,
            "reason": one.reason,
            "weights": one.weights,
            "previous": one.previous,
            "epoch": one.epoch,
        }
        if latest is not None and all(latest[name] == value for name, value in same.items()):
            latest["count"] += 1
            latest["last_at"] = _time(one.at_ms)
            continue
        if latest is not None:
            yield latest
        at = _time(one.at_ms)
        latest = same | {
            "at": at,
            "last_at": at,
            "count": 1,
            "decision_id": one.decision_id,
            "evidence": msgspec.json.decode(one.evidence),
        }
    if latest is not None:
        yield latest


def _evaluated_every_s(replayed: Replayed) -> float:
    """How often rules were looked at: their own interval, or coarser in a long file."""
    intervals = [rule.interval_ms for rule in replayed.engine.control.rules.rules]
    return max(replayed.evaluation_floor_ms, min(intervals, default=0)) / SECOND_MS


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
