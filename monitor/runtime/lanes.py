"""Which effects wait for each other: one lane per receiver, each with a worker of its own.

A chat robot that hangs must not hold up the hand-over of a key. A webhook has two lanes: thousands
of requests about single orders must not hold up the alert about their outage.
"""

from __future__ import annotations

from typing import assert_never

from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    NotifyBuyer,
    Quarantine,
    Query,
    Refund,
    Release,
    Submit,
    SwitchChannel,
)


def lane_of(effect: Effect) -> str:
    """Name the lane of an effect; their number is bounded by the configuration."""
    match effect:
        case Notify():
            lane = f"notify/{effect.receiver}/{effect.integration}"
            is_one_by_one = effect.integration.startswith("webhook/")  # else digest.py gathers them
            return f"{lane}/orders" if is_one_by_one and _is_about_one_order(effect) else lane
        case CallWebhook():
            lane = f"webhook/{effect.endpoint}"
            return f"{lane}/orders" if _is_about_one_order(effect) else lane
        case SwitchChannel():
            return "failover"
        case Claim() | Release():
            return "shop/claim"
        case HandOver():
            return "shop/deliver"
        case Submit() | Query():
            return f"channel/{effect.channel}"
        case Quarantine():
            return "vault"
        case NotifyBuyer():
            return "shop/notify"
        case Compensate():
            return "shop/compensate"
        case Refund():
            return "shop/refund"
    assert_never(effect)


def _is_about_one_order(effect: Notify | CallWebhook) -> bool:
    return effect.event_type.startswith(("order.", "takeover."))
