"""Which effects wait for each other: one lane per receiver, each with a worker of its own.

A chat robot that hangs must not hold up the hand-over of a key.
"""

from __future__ import annotations

from typing import assert_never

from monitor.model.effects import (
    CallWebhook,
    Claim,
    Effect,
    HandOver,
    Notify,
    Quarantine,
    Query,
    Release,
    Submit,
    SwitchChannel,
)


def lane_of(effect: Effect) -> str:
    """Name the lane of an effect; their number is bounded by the configuration."""
    match effect:
        case Notify():
            return f"notify/{effect.receiver}/{effect.integration}"
        case CallWebhook():
            return f"webhook/{effect.endpoint}"
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
    assert_never(effect)
