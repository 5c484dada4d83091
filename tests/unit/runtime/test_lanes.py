"""Which effects share a worker."""

from __future__ import annotations

import msgspec

from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
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
from monitor.runtime.lanes import lane_of

RAW = msgspec.Raw(b"{}")


def notify(integration: str) -> Notify:
    return Notify("k", "ops", integration, "alert.firing", "firing", "", "", "", RAW, 0)


def test_receivers_do_not_share_a_lane() -> None:
    """A hanging robot holds up neither the other robot nor the shop."""
    lanes = [
        lane_of(notify("dingtalk/0")),
        lane_of(notify("dingtalk/1")),
        lane_of(CallWebhook("k", "webhooks/0", "alert.firing", RAW, 0)),
        lane_of(SwitchChannel("k", 1, RAW, 0, 1)),
        lane_of(Claim("k", "t", "o", "c", 1, 1)),
        lane_of(HandOver("k", "t", "o", "c", 1, "pool", "a")),
        lane_of(Submit("k", "t", "a", "pool", "o", 1, None, 1, None, None, None, None)),
        lane_of(Submit("k", "t", "a", "other", "o", 1, None, 1, None, None, None, None)),
        lane_of(Quarantine("k", "t", "a", "pool")),
        lane_of(NotifyBuyer("k", "a", "o", "delayed", "en", "late", 0)),
        lane_of(Compensate("k", "a", "o", "coupon", 1, "CNY", "L2", 0)),
        lane_of(Refund("k", "a", "o", "L3", 0)),
    ]
    assert len(set(lanes)) == len(lanes)


def test_same_receiver_shares_a_lane() -> None:
    """Messages to one robot, calls to one channel, claim and release keep their order."""
    assert lane_of(notify("dingtalk/0")) == lane_of(notify("dingtalk/0"))
    query = Query("k", "t", "a", "pool", "o", None, 1, None)
    submit = Submit("k", "t", "a", "pool", "o", 1, None, 1, None, None, None, None)
    assert lane_of(query) == lane_of(submit)
    assert lane_of(Claim("k", "t", "o", "c", 1, 1)) == lane_of(Release("k", "t", "o", "c", 1, "r"))


def test_alert_does_not_wait_behind_the_orders_of_its_outage() -> None:
    """To a program every order is a request of its own, and an outage has thousands."""
    for make in (call, to_webhook):
        alert, order = lane_of(make("alert.firing")), lane_of(make("order.tier_changed"))
        assert alert != order
        assert alert == lane_of(make("alert.resolved")) == lane_of(make("channel.switch"))
        assert order == lane_of(make("takeover.started"))


def test_chat_keeps_one_lane() -> None:
    """Messages about orders are gathered there, and a robot takes 20 a minute in all."""
    alert = msgspec.structs.replace(notify("dingtalk/0"), event_type="order.tier_changed")
    assert lane_of(alert) == lane_of(notify("dingtalk/0"))


def call(event_type: str) -> CallWebhook:
    return CallWebhook("k", "webhooks/0", event_type, RAW, 0)


def to_webhook(event_type: str) -> Notify:
    return msgspec.structs.replace(notify("webhook/0"), event_type=event_type)
