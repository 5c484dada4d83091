"""Nothing impossible leaves: the first finding stops all actions, and nothing but actions."""

import msgspec
import pytest

from monitor.model.effects import (
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    Query,
    Refund,
    Submit,
    SwitchChannel,
)
from monitor.model.errors import Permanent
from monitor.runtime import actuation
from monitor.runtime.actuation import Actuation

RAW = msgspec.Raw(b"{}")


def submit(ref: str) -> Submit:
    return Submit(
        f"submit_{ref}", "tko_1", ref, "supplier", "o1", 1, "gold", 1, 500, "CNY", None, None
    )


def switch(epoch: int, payload: bytes = b'{"A":100}') -> SwitchChannel:
    return SwitchChannel(f"switch_{epoch}", epoch, msgspec.Raw(payload), 0, 600_000)


def claim(fence: int) -> Claim:
    return Claim(f"claim_{fence}", "tko_1", "o1", f"claim {fence}", fence, 0)


def hand_over(attempt_ref: str) -> HandOver:
    return HandOver("hand_1", "tko_1", "o1", "claim 1", 1, "supplier", attempt_ref)


def refund(action_id: str) -> Refund:
    return Refund(f"{action_id}/refund", action_id, "o1", "L3", 0)


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ([submit("a")], submit("a"), "attempt a was to be submitted twice"),
        ([switch(2)], switch(1), "a switch of epoch 1 after one of epoch 2"),
        ([switch(2)], switch(2, b'{"B":100}'), "epoch 2 was to mean two things"),
        ([claim(2)], claim(1), "order o1 was to be claimed under an older fence"),
        ([hand_over("a")], hand_over("b"), "takeover tko_1 was to hand over twice"),
        ([refund("a")], refund("b"), "order o1 was to be refunded twice"),
        ([refund("a")], hand_over("a"), "order o1 was to be delivered after its refund"),
    ],
)
def test_impossible_action_stops_all_actions(good: list[Effect], bad: Effect, reason: str) -> None:
    """It does not leave, nor does any action after it; questions and messages do."""
    gate = Actuation()
    for effect in good:
        gate.allow(effect)
    with pytest.raises(Permanent, match=reason):
        gate.allow(bad)
    assert gate.stopped == reason
    coupon = Compensate("c", "act_9", "o9", "coupon", 1, "CNY", "L2", 0)
    for action in (submit("z"), switch(9), claim(9), hand_over("z"), refund("z"), coupon):
        with pytest.raises(Permanent, match="actions are stopped"):
            gate.allow(action)
    gate.allow(Query("q", "tko_1", "a", "supplier", "o1", "gold", 1, None))
    gate.allow(
        Notify("n", "ops", "webhook/0", "alert.firing", "firing", "warning", "t", "t", RAW, 0)
    )


def test_repeats_that_are_meant_are_allowed() -> None:
    """The same switch, claim and hand-over again until they are acknowledged; new attempts."""
    gate = Actuation()
    for _ in range(3):
        for effect in (switch(1), claim(1), hand_over("a")):
            gate.allow(effect)
    gate.allow(switch(2))
    gate.allow(claim(2))
    gate.allow(submit("a"))
    gate.allow(submit("b"))
    assert gate.stopped is None


def test_memory_is_bounded() -> None:
    """The oldest attempt gives way; a later repeat of it is the core's to prevent."""
    gate = Actuation()
    for number in range(actuation.REMEMBERED_MAX + 1):
        gate.allow(submit(str(number)))
    gate.allow(submit("0"))
    with pytest.raises(Permanent):
        gate.allow(submit(str(actuation.REMEMBERED_MAX)))
