"""Which effects share a worker."""

from __future__ import annotations

import msgspec

from monitor.model.effects import (
    CallWebhook,
    Claim,
    HandOver,
    Notify,
    Quarantine,
    Query,
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
    ]
    assert len(set(lanes)) == len(lanes)


def test_same_receiver_shares_a_lane() -> None:
    """Messages to one robot, calls to one channel, claim and release keep their order."""
    assert lane_of(notify("dingtalk/0")) == lane_of(notify("dingtalk/0"))
    query = Query("k", "t", "a", "pool", "o", None, 1, None)
    submit = Submit("k", "t", "a", "pool", "o", 1, None, 1, None, None, None, None)
    assert lane_of(query) == lane_of(submit)
    assert lane_of(Claim("k", "t", "o", "c", 1, 1)) == lane_of(Release("k", "t", "o", "c", 1, "r"))
