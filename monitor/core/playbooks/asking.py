"""What an action asks of the world as it leaves: the shop, people on duty, webhooks."""

from __future__ import annotations

from typing import Any, assert_never

from monitor.core import announce
from monitor.core.orders.order import Order
from monitor.core.playbooks.words import batch_message, buyer_text, person_message
from monitor.model.amounts import amount_text
from monitor.model.effects import Compensate, Effect, NotifyBuyer, Refund
from monitor.model.playbooks import (
    Action,
    CouponStep,
    Crowd,
    NotifyStep,
    OfferStep,
    PageStep,
    RefundStep,
    ResolveStep,
    TaskStep,
)
from monitor.model.settings import Settings
from monitor.model.times import format_rfc3339

OFFER = "offer"


def effect_key(action: Action) -> str:
    """The one key under which an action is asked of the shop."""
    return f"act_{action.action_id}"


def asked(
    settings: Settings, order: Order, channel: str, action: Action, *, approve: str = ""
) -> list[Effect]:
    """The effects of an action that goes now; `approve` names what waits for a person's word."""
    now_ms = action.changed_ms
    match action.step:
        case NotifyStep(template=template, channels=channels):
            text = buyer_text(settings.language, template, order.order_id)
            return [
                NotifyBuyer(
                    effect_key(action), action.action_id, order.order_id, template,
                    settings.language, text, now_ms, channels,
                )
            ]  # fmt: skip
        case CouponStep():
            coupon = Compensate(
                effect_key(action), action.action_id, order.order_id, "coupon",
                action.amount_minor or 0, settings.currency, f"L{action.level}", now_ms,
            )  # fmt: skip
            return [coupon, *_offered(settings, action)]
        case OfferStep():
            return [_offer(settings, order, action, action.step), *_offered(settings, action)]
        case RefundStep():
            return [_refund(order, action)]
        case TaskStep() | PageStep():
            return _to_people(settings, order, channel, action, approve)
        case ResolveStep():
            return []  # the takeover asks by itself
    assert_never(action.step)


def batched(settings: Settings, batch: Crowd, at_ms: int) -> list[Effect]:
    """One message about many orders, and one more when they begin to wait for a person's word."""
    amount, given = (
        amount_text(minor, settings.currency) for minor in (batch.amount_minor, batch.given_minor)
    )
    return announce.tell(
        settings,
        event_type="playbook.batch",
        cause_id=f"{batch.batch_id}_{batch.state}",
        status="info",
        severity="critical",
        message=batch_message(settings.language, batch, amount, given),
        payload={
            "batch_id": batch.batch_id,
            "playbook": batch.playbook,
            "level": batch.level,
            "orders": batch.orders,
            "amount_minor": batch.amount_minor,
            "given_minor": batch.given_minor,
            "currency": settings.currency,
            "state": batch.state,
        },
        at_ms=at_ms,
        is_for_webhooks=False,
    )


def _offer(settings: Settings, order: Order, action: Action, step: OfferStep) -> NotifyBuyer:
    text = buyer_text(settings.language, OFFER, order.order_id, step.choices, step.default)
    return NotifyBuyer(
        key=effect_key(action),
        action_id=action.action_id,
        order_id=order.order_id,
        template=OFFER,
        language=settings.language,
        text=text,
        at_ms=action.changed_ms,
        choices=step.choices,
        expires_ms=action.due_ms,
        default=step.default,
    )


def _refund(order: Order, action: Action) -> Refund:
    """The whole order back; with a case the shop learns that whoever held the order gave it up."""
    case = order.case
    return Refund(
        key=effect_key(action),
        action_id=action.action_id,
        order_id=order.order_id,
        reason=f"L{action.level}",
        at_ms=action.changed_ms,
        amount_minor=order.facts.amount_minor,
        currency=order.facts.currency,
        takeover_id=None if case is None else case.takeover_id,
        claim_id=None if case is None else case.claim_id,
        fence=None if case is None else case.fence,
    )


def _offered(settings: Settings, action: Action) -> list[Effect]:
    """`compensation.offered` for webhooks (contract §6)."""
    payload: dict[str, Any] = {
        "order_id": action.order_id,
        "action_id": action.action_id,
        "tier": f"L{action.level}",
        "playbook": action.playbook,
        "kind": action.kind,
    }
    if isinstance(action.step, OfferStep):
        payload["choices"] = action.step.choices
        payload["default"] = action.step.default
        payload["expires_at"] = format_rfc3339(action.due_ms or action.changed_ms)
    else:
        payload["amount_minor"] = action.amount_minor
        payload["currency"] = settings.currency
    return announce.tell(
        settings,
        event_type="compensation.offered",
        cause_id=f"offered_{action.action_id}",
        status="info",
        severity="info",
        message=None,
        payload=payload,
        at_ms=action.changed_ms,
    )


def _to_people(
    settings: Settings, order: Order, channel: str, action: Action, approve: str
) -> list[Effect]:
    """A task or a page, with what the person needs to begin."""
    step = action.step
    is_page = isinstance(step, PageStep)
    message = person_message(
        settings.language,
        action.kind,
        order_id=order.order_id,
        channel=channel,
        age_ms=order.age_ms(action.changed_ms),
        playbook=action.playbook,
        level=action.level,
        queue=step.queue if isinstance(step, TaskStep) else "",
        sla_ms=step.sla_ms if isinstance(step, TaskStep) else None,
        reason=action.reason,
        approve=approve,
    )
    payload = {
        "order_id": order.order_id,
        "action_id": action.action_id,
        "playbook": action.playbook,
        "tier": f"L{action.level}",
        "channel": channel,
        "age_s": order.age_ms(action.changed_ms) / 1000,
        "reason": action.reason,
        "waits_for_approval": approve or None,
    }
    return announce.tell(
        settings,
        event_type=f"order.{action.kind}",
        cause_id=f"told_{action.action_id}",
        status="info",
        severity="critical" if is_page else "warning",
        message=message,
        payload=payload,
        at_ms=action.changed_ms,
        is_for_webhooks=False,
    )
