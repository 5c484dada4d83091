"""A refund and a delivery of ours: one of them wins, whatever comes first."""

from typing import Any

import msgspec

from monitor.model.batches import BatchOrdered
from monitor.model.effects import Claim, HandOver, Notify, Refund, Submit
from monitor.model.playbooks import Playbook, RefundStep
from monitor.model.records import AttemptAnswered, CaseResolved, ClaimAnswered, HandOverAnswered
from monitor.model.settings import ChannelSettings, FallbackSettings
from monitor.model.takeovers import CaseState, TakeoverCase
from monitor.testing.scenario import START_MS, delivered, paid
from tests.unit.core.playbooks.house import ARMED, HUMAN, House

ORDER: dict[str, Any] = {"amount_minor": 5_000, "currency": "CNY", "sku": "gold"}
SUPPLIER = ChannelSettings("supplier", kind="http", capability="queryable", max_cost_minor=4_000)
EARLY = FallbackSettings(
    mode="enforce",
    has_shop=True,
    order=("supplier",),
    after_ms=1_800_000,
    max_value_per_day_minor=10**6,
)
BY_HAND = msgspec.structs.replace(EARLY, order=("staff",), after_ms=300_000)
SHOP: dict[str, Any] = {
    "channels": (ChannelSettings("auto"), SUPPLIER, ChannelSettings("staff", kind="manual"))
}


def case_of(house: House) -> TakeoverCase:
    case = house.story.engine.shard.orders["o1"].case
    assert case is not None
    return case


def claimed(house: House, time: str) -> House:
    """The shop grants the claim."""
    case = case_of(house)
    grant = ClaimAnswered(
        f"claim_{case.claim_id}", case.takeover_id, "granted", 0, True, "gold", 1, 5_000
    )
    return house.at(time, grant)


def effects(house: House, kind: type) -> list[object]:
    return [one for one in house.story.effects() if isinstance(one, kind)]


def test_order_without_case_is_refunded_by_the_shop_and_never_taken_over() -> None:
    """The shop compares and sets; from the asking on the executor leaves the order alone."""
    late = msgspec.structs.replace(ARMED, after_ms=3_600_000, order=("staff",))
    house = House(HUMAN, fallback=late).at("0s", paid("o1", **ORDER)).at("31m")
    house.say("32m", "offer", "refund").at("3h")
    (refund,) = effects(house, Refund)
    assert isinstance(refund, Refund)
    assert (refund.takeover_id, refund.reason) == (None, "L3")
    assert effects(house, Claim) == []
    house.answer("3h1m", "refund", "done")
    assert house.states()["refund"] == "done"


def test_case_with_a_person_is_resolved_before_the_shop_is_asked() -> None:
    """The case is void in the same turn, the refund carries its claim, nothing is handed over."""
    house = House(HUMAN, fallback=BY_HAND, **SHOP).at("0s", paid("o1", **ORDER)).at("5m1s")
    claimed(house, "5m2s")
    assert case_of(house).state == CaseState.ESCALATED
    house.at("31m").say("32m", "offer", "refund")
    case = case_of(house)
    assert (case.state, case.resolution) == (CaseState.VOIDED, "refunded")
    (refund,) = effects(house, Refund)
    assert isinstance(refund, Refund)
    assert (refund.takeover_id, refund.claim_id, refund.fence) == (
        case.takeover_id, case.claim_id, case.fence,
    )  # fmt: skip
    turn = [at_ms for at_ms, _ in house.story.commands_like("case o1 voided")]
    assert turn == [at_ms for at_ms, _ in house.story.commands_like("refund o1")]


def test_refund_waits_while_the_machine_works_and_is_off_when_it_delivers() -> None:
    """A purchase is under way: the refund waits for its end, and the end is a delivery."""
    house = House(HUMAN, fallback=EARLY, **SHOP).at("0s", paid("o1", **ORDER)).at("30m")
    claimed(house, "30m1s").at("30m2s").say("30m3s", "offer", "refund")
    assert house.states()["refund"] == "waiting: takeover"
    (submit,) = effects(house, Submit)
    assert isinstance(submit, Submit)
    house.at("30m9s", AttemptAnswered(submit.key, submit.takeover_id, submit.attempt_ref, "delivered", 0,
                                      goods_count=1, goods_digest="d"))  # fmt: skip
    (hand_over,) = effects(house, HandOver)
    assert isinstance(hand_over, HandOver)
    house.at("31m30s")
    assert house.states()["refund"] == "waiting: takeover"
    house.at("32m", HandOverAnswered(hand_over.key, hand_over.takeover_id, "delivered", 0)).at("5h")
    assert house.states()["refund"] == "cancelled: delivered"
    assert effects(house, Refund) == []


def test_refund_waits_until_a_person_has_what_the_machine_could_not_do() -> None:
    """The supplier refused, nothing is left to try: then the refund goes, once."""
    house = House(HUMAN, fallback=EARLY, **SHOP).at("0s", paid("o1", **ORDER)).at("30m")
    claimed(house, "30m1s").at("30m2s").say("30m3s", "offer", "refund")
    (submit,) = effects(house, Submit)
    assert isinstance(submit, Submit)
    house.at("30m9s", AttemptAnswered(submit.key, submit.takeover_id, submit.attempt_ref, "rejected", 0,
                                      code="sold_out"))  # fmt: skip
    house.at("31m30s").at("4h")
    assert len(effects(house, Refund)) == 1
    assert case_of(house).resolution == "refunded"


def test_shop_that_has_delivered_refunds_nothing() -> None:
    """Its 409 calls the refund off; a refusal or silence calls a person."""
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m").say("32m", "offer", "refund")
    house.answer("33m", "refund", "already_delivered")
    assert house.states()["refund"] == "cancelled: already_delivered"
    for outcome in ("refused", "unknown"):
        house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m").say("32m", "offer", "refund")
        house.left()
        house.answer("33m", "refund", outcome)
        assert house.states()["refund"] == f"failed: {outcome}"
        assert len(house.left()) == 1


def test_delivery_in_the_turn_of_the_choice_wins() -> None:
    """An order that is delivered is not refunded by a word that came too late."""
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m").at("32m", delivered("o1"))
    house.say("33m", "offer", "refund").at("5h")
    assert effects(house, Refund) == []


def test_offer_that_ends_in_a_refund_leaves_the_one_under_way_alone() -> None:
    """A person had it paid back meanwhile: it is asked once, and its failure calls a person."""
    house = House(HUMAN, fallback=BY_HAND, **SHOP).at("0s", paid("o1", **ORDER)).at("5m1s")
    claimed(house, "5m2s").at("31m")
    starts_ms = START_MS + 32 * 60_000
    house.at("32m", BatchOrdered("bat_1", "refund", ("o1",), "ann", starts_ms, starts_ms)).at("3h")
    assert house.states()["offer"] == "done: expired"
    assert house.states()["refund"] == "sent"
    house.left()
    house.answer("25h", "refund", "unknown")
    assert house.states()["refund"] == "failed: unknown"
    told = [one for one in house.left(Notify) if isinstance(one, Notify)]
    assert [one.event_type for one in told] == ["order.page"]
    assert len(effects(house, Refund)) == 1


def test_refund_that_a_person_approved_needs_no_other_person() -> None:
    """Where the executor only advises a playbook refunds nothing by itself, but a person may."""
    level = Playbook("l3", 3, (RefundStep(),), tier=3, approval_above_minor=1_000, is_dry_run=False)
    advising = FallbackSettings(mode="advise", after_ms=86_400_000)
    house = House(level, fallback=advising).at("0s", paid("o1", **ORDER)).at("31m")
    assert house.states()["refund"] == "waiting: approval"
    house.say("32m", "refund", "approve")
    assert house.states()["refund"] == "sent"
    assert len(effects(house, Refund)) == 1


def test_refund_waits_for_the_second_of_two_people() -> None:
    """One says that the buyer has the goods: until another has spoken no money goes back."""
    by_two = msgspec.structs.replace(BY_HAND, four_eyes_above_minor=1_000)
    house = House(HUMAN, fallback=by_two, **SHOP).at("0s", paid("o1", **ORDER)).at("5m1s")
    claimed(house, "5m2s")
    takeover_id = case_of(house).takeover_id
    house.at("6m", CaseResolved(takeover_id, "delivered", "ann", 0)).at("3h")
    assert house.states()["refund"] == "waiting: takeover"
    house.at("4h", CaseResolved(takeover_id, "delivered", "bob", 0)).at("5h")
    assert house.states()["refund"] == "cancelled: delivered"
    assert effects(house, Refund) == []


def test_order_that_is_being_paid_back_stays_until_the_shop_has_answered() -> None:
    """A refund of its last day in memory fails after it: the answer must find its order."""
    house = House(HUMAN, evaluation_floor_ms=3_600_000).at("0s", paid("o1", **ORDER)).at("31m")
    house.say("31m", "offer", "wait")
    starts_ms = START_MS + 719 * 3_600_000
    house.at("719h", BatchOrdered("bat_1", "refund", ("o1",), "ann", starts_ms, starts_ms))
    house.story.engine.shard.drain_dirty()
    house.at("725h").answer("726h", "refund", "unknown")
    assert house.states()["refund"] == "failed: unknown"
    house.story.engine.shard.drain_dirty()
    house.at("800h")
    assert house.story.engine.shard.orders == {}
