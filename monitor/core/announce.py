"""From a decision to what must be sent: pure, one function per kind of decision.

Every effect key is made of its cause, so folding a decision twice could not send twice.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from monitor.core.alerting import messages
from monitor.core.alerting.markdown import escaped
from monitor.core.alerting.messages import Message
from monitor.core.alerting.template import Value, alert_values, render
from monitor.core.takeover.desk import Refusal
from monitor.model.alerts import Alert, AlertState
from monitor.model.effects import CallWebhook, Effect, Notify, SwitchChannel
from monitor.model.faults import ShopFault
from monitor.model.ids import derived_id
from monitor.model.records import AlertMoved, SelfAudited, SwitchAnswered, SwitchDecided
from monitor.model.rules import Rule
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.model.times import format_rfc3339

ENGLISH, CHINESE = "en", "zh-CN"
PROGRAM_PREFIX = "webhook/"  # integrations that programs read; people read all the others


class OrderView(msgspec.Struct, frozen=True):
    """What a message may say about one order."""

    order_id: str
    channel: str
    age_ms: int
    promise_ms: int
    paid_ms: int
    sku: str | None


def announce_alert(settings: Settings, rule: Rule | None, moved: AlertMoved) -> list[Effect]:
    """Firing and resolved messages; a resolved one only after a firing one.

    `rule` is None when it was deleted while its alert fired.
    """
    alert = moved.alert
    was_firing = moved.previous == AlertState.FIRING
    if alert.state == AlertState.FIRING and not was_firing and alert.notified_ms is not None:
        status = "firing"
    elif was_firing and alert.state != AlertState.FIRING and alert.notified_ms is not None:
        status = "resolved"
    else:
        return []
    payload = alert_payload(alert, rule, moved.at_ms, status, settings.language)
    message = messages.alert_message(
        settings.language, alert, _summary_as_markdown(alert, rule, settings.language), status,
        moved.at_ms,
        asks_review=any(action.type == "manual_review" for action in (rule.actions if rule else ())),
    )  # fmt: skip
    cause = (alert.key, str(alert.firing_ms))
    return tell(
        settings,
        event_type=f"alert.{status}",
        cause_id=derived_id("alert", *cause, status),
        status=status,
        severity=alert.severity,
        message=message,
        payload=payload,
        at_ms=moved.at_ms,
    )


def outdated_keys(settings: Settings, moved: AlertMoved) -> list[str]:
    """Firing messages to people that must not leave once the alert has ended, if still here.

    A robot that was down would otherwise tell the end of an outage first and the outage later.
    Programs get both, however late: they pair what began with what ended.
    """
    alert = moved.alert
    if moved.previous != AlertState.FIRING or alert.state == AlertState.FIRING:
        return []
    firing_id = derived_id("alert", alert.key, str(alert.firing_ms), "firing")
    return [
        f"{firing_id}/{name}"
        for name in _default_integrations(settings)
        if not name.startswith(PROGRAM_PREFIX)
    ]


def alert_payload(
    alert: Alert, rule: Rule | None, at_ms: int, status: str, language: str
) -> dict[str, Any]:
    """The `data` of `alert.firing` and `alert.resolved`."""
    found = alert.evidence
    annotations = _annotations(
        rule, {written: alert_values(alert, written) for written in (ENGLISH, CHINESE)}
    )
    return {
        "rule": alert.rule,
        "status": status,
        "labels": dict(alert.labels),
        "severity": alert.severity,
        "summary": _summary(annotations, language),
        "annotations": annotations,
        "value": found.value,
        "evidence": msgspec.to_builtins(found),
        "reason": alert.reason,
        "pending_at": _time(alert.pending_ms),
        "firing_at": _time(alert.firing_ms),
        "resolved_at": format_rfc3339(at_ms) if status == "resolved" else None,
        "runbook_url": rule.runbook_url if rule else None,
        "expr": rule.expr_text if rule else None,
    }


def _annotations(rule: Rule | None, values: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
    """Fill in the values of the language each annotation is written in: `…_zh` is Chinese."""
    return {
        name: render(text, values[CHINESE if name.endswith("_zh") else ENGLISH])
        for name, text in (rule.annotations if rule else ())
    }


def _summary(annotations: Mapping[str, str], language: str) -> str:
    in_language = annotations.get("summary_zh") if language.startswith("zh") else None
    return in_language or annotations.get("summary", "")


def _summary_as_markdown(alert: Alert, rule: Rule | None, language: str) -> str:
    """The rule's author may use markup, what fills the template may not."""
    values: dict[str, dict[str, Value]] = {
        written: {
            name: escaped(value) if isinstance(value, str) else value
            for name, value in alert_values(alert, written).items()
        }
        for written in (ENGLISH, CHINESE)
    }
    return _summary(_annotations(rule, values), language)


def announce_tier(settings: Settings, order: OrderView, tier: int, at_ms: int) -> list[Effect]:
    """`order.tier_changed` to the webhooks; from L2 on also to people."""
    payload = {
        "order_id": order.order_id,
        "tier": f"L{tier}",
        "channel": order.channel,
        "sku": order.sku,
        "age_s": order.age_ms / 1000,
        "promise_s": order.promise_ms / 1000,
        "paid_at": format_rfc3339(order.paid_ms),
    }
    message = None
    if tier >= 2:
        message = messages.tier_message(
            settings.language, order.order_id, tier, order.channel, order.age_ms, order.promise_ms
        )
    return tell(
        settings,
        event_type="order.tier_changed",
        cause_id=derived_id("tier", order.order_id, str(tier)),
        status="info",
        severity="info",
        message=message,
        payload=payload,
        at_ms=at_ms,
    )


def announce_switch(settings: Settings, decided: SwitchDecided) -> list[Effect]:
    """The command to the shop (if it is one), and the message to people."""
    evidence: Mapping[str, Any] = msgspec.json.decode(decided.evidence)
    payload = switch_payload(decided, settings)
    effects: list[Effect] = []
    is_command = decided.mode in ("enforce", "manual") and settings.failover.has_webhook
    if is_command:
        effects.append(
            SwitchChannel(
                key=switch_key(decided.epoch),
                epoch=decided.epoch,
                payload=msgspec.Raw(msgspec.json.encode(payload)),
                at_ms=decided.at_ms,
                valid_until_ms=decided.valid_until_ms,
            )
        )
    message = messages.switch_message(settings.language, decided, evidence.get("channels", {}))
    effects += tell(
        settings,
        event_type="channel.switch",
        cause_id=decided.decision_id,
        status="info",
        severity="warning",
        message=message,
        payload=payload,
        at_ms=decided.at_ms,
    )
    return effects


def switch_payload(decided: SwitchDecided, settings: Settings) -> dict[str, Any]:
    """The `data` of `channel.switch` (contract §6): the whole desired state, not a difference."""
    return {
        "scope": decided.scope,
        "epoch": decided.epoch,
        "prev_epoch": decided.prev_epoch,
        "decision_id": decided.decision_id,
        "weights": decided.weights,
        "previous": decided.previous,
        "reason": decided.reason,
        "mode": decided.mode,
        "evidence": msgspec.json.decode(decided.evidence),
        "min_dwell_s": settings.failover.min_dwell_ms // 1000,
        "valid_until": format_rfc3339(decided.valid_until_ms),
        "inflight": decided.inflight,
        "drill": False,
        "ack_url": f"{settings.public_url}/v1/switches/{decided.decision_id}/ack",
    }


def announce_unacknowledged(settings: Settings, answer: SwitchAnswered) -> list[Effect]:
    """The shop refused the switch or never answered: people must know."""
    return tell(
        settings,
        event_type="channel.switch",
        cause_id=derived_id("unack", str(answer.epoch), answer.status),
        status="info",
        severity="critical",
        message=messages.unacknowledged_message(settings.language, answer.epoch, answer.status),
        payload={"epoch": answer.epoch, "status": answer.status, "detail": answer.detail},
        at_ms=answer.at_ms,
        is_for_webhooks=False,
    )


def announce_opened(settings: Settings, case: TakeoverCase) -> list[Effect]:
    """`takeover.started`; a case that is only advice is for people alone, and says so."""
    if case.state != CaseState.ADVISED:
        return announce_takeover(settings, "takeover.started", case)
    return [
        effect
        for effect in announce_takeover(settings, "takeover.advised", case)
        if isinstance(effect, Notify)
    ]


def announce_limits(settings: Settings, refusals: Sequence[Refusal], at_ms: int) -> list[Effect]:
    """Stuck orders stay where they are because a limit of `fallback` is reached."""
    effects: list[Effect] = []
    for refusal in refusals:
        effects += tell(
            settings,
            event_type="takeover.limited",
            cause_id=derived_id("limit", refusal.reason, str(at_ms)),
            status="info",
            severity="warning",
            message=messages.limit_message(settings.language, refusal.reason, refusal.order_id),
            payload={"reason": refusal.reason, "order_id": refusal.order_id},
            at_ms=at_ms,
            is_for_webhooks=False,
        )
    return effects


def announce_fault(settings: Settings, found: ShopFault) -> list[Effect]:
    """The shop itself did something wrong with an order: sold a key twice, or delivered none."""
    return tell(
        settings,
        event_type="shop.fault",
        cause_id=derived_id("fault", found.order_id, found.fault),
        status="info",
        severity="warning",
        message=messages.fault_message(settings.language, found),
        payload={"order_id": found.order_id, "fault": found.fault, "other": found.other or None},
        at_ms=found.at_ms,
    )


def announce_violations(settings: Settings, audited: SelfAudited) -> list[Effect]:
    """The self-audit found what must never be: somebody has to look before more is delivered."""
    if not audited.findings:
        return []
    return tell(
        settings,
        event_type="audit.violation",
        cause_id=derived_id("audit", str(audited.at_ms)),
        status="info",
        severity="critical",
        message=messages.violation_message(settings.language, audited.findings),
        payload={"findings": audited.findings},
        at_ms=audited.at_ms,
        is_for_webhooks=False,
    )


def announce_takeover(settings: Settings, event_type: str, case: TakeoverCase) -> list[Effect]:
    """`takeover.started`, `takeover.delivered` or `takeover.escalated`."""
    if not settings.webhooks and settings.default_receiver is None:
        return []  # spare the words
    payload = {
        "takeover_id": case.takeover_id,
        "order_id": case.order_id,
        "state": case.state,
        "from_channel": case.held_by_channel,
        "channel": case.attempts[-1].channel if case.attempts else None,
        "resolution": case.resolution,
        "escalated_reason": case.escalated_reason,
        "reminder": case.reminders,
    }
    return tell(
        settings,
        event_type=event_type,
        cause_id=derived_id(
            "tko", case.takeover_id, event_type, case.escalated_reason or "", *_reminder(case)
        ),
        status="info",
        severity="warning" if event_type == "takeover.escalated" else "info",
        message=messages.takeover_message(settings.language, event_type, case),
        payload=payload,
        at_ms=case.changed_ms,
    )


def _reminder(case: TakeoverCase) -> tuple[str, ...]:
    """What makes a reminder another message than the first; empty for that one."""
    return (str(case.reminders),) if case.reminders else ()


def switch_key(epoch: int) -> str:
    """Outbox key of the command of an epoch; a newer epoch cancels it."""
    return f"switch_{epoch}"


def tell(
    settings: Settings,
    *,
    event_type: str,
    cause_id: str,
    status: str,
    severity: str,
    message: Message | None,
    payload: Mapping[str, Any],
    at_ms: int,
    is_for_webhooks: bool = True,
) -> list[Effect]:
    """One effect per integration of the default receiver and per webhook that wants the type."""
    body = msgspec.Raw(msgspec.json.encode(payload))
    effects: list[Effect] = []
    if message is not None:
        effects.extend(
            Notify(
                key=f"{cause_id}/{integration}",
                receiver=settings.default_receiver or "",
                integration=integration,
                event_type=event_type,
                status=status,
                severity=severity,
                title=message.title,
                text=message.text,
                payload=body,
                at_ms=at_ms,
            )
            for integration in _default_integrations(settings)
        )
    if is_for_webhooks:
        effects.extend(
            CallWebhook(f"{cause_id}/{webhook.name}", webhook.name, event_type, body, at_ms)
            for webhook in settings.webhooks
            if _wants(webhook.types, event_type)
        )
    return effects


def _default_integrations(settings: Settings) -> tuple[str, ...]:
    for receiver in settings.receivers:
        if receiver.name == settings.default_receiver:
            return receiver.integrations
    return ()


def _wants(types: tuple[str, ...], event_type: str) -> bool:
    return not types or any(fnmatch.fnmatchcase(event_type, pattern) for pattern in types)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
