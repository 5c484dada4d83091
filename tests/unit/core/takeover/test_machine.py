"""The machine, cell by cell: every state with every kind of input."""

from typing import Any

import msgspec
import pytest

from monitor.core.takeover.machine import TABLE, may_person_decide
from monitor.model.effects import Claim, HandOver, Submit
from monitor.model.takeovers import CaseState
from tests.unit.core.takeover.story import SETTLE_MS, Story, story_in

STATES = [state.value for state in CaseState]

# What the state becomes; "" says that nothing at all happens.
# state: claim granted, attempt delivered, hand-over delivered, shop refunds, wake, person delivered
EXPECTED = {
    "advised": ("", "", "", "voided", "", "delivered"),
    "claiming": ("submitting", "", "", "voided", "escalated", ""),
    "claimed": ("", "claimed", "", "voided", "submitting", ""),
    "submitting": ("", "handing_over", "", "voided", "escalated", ""),
    "accepted": ("", "handing_over", "", "voided", "accepted", "delivered"),
    "unknown": ("", "handing_over", "", "voided", "unknown", "delivered"),
    "handing_over": ("", "", "delivered", "voided", "escalated", ""),
    "delivered": ("", "", "", "", "", ""),
    "escalated": ("", "", "", "voided", "", "delivered"),
    "voided": ("", "", "", "", "", ""),
}


def feed(story: Story, column: int) -> None:
    match column:
        case 0:
            story.claim()
        case 1 if story.case.attempts:
            story.answer("delivered")
        case 2:
            story.hand_over("delivered")
        case 3:
            story.finished("refunded")
        case 4 if story.case.wake_ms is not None:
            story.wake()
        case 5:
            story.person("delivered")


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("state", STATES)
def test_every_input_in_every_state_has_the_written_outcome(state: str, column: int) -> None:
    """60 cells: state × (granted, goods, handed over, refund, wake-up, person)."""
    story = story_in(state)
    before = story.case
    effects = len(story.effects)
    feed(story, column)
    expected = EXPECTED[state][column]
    if expected:
        assert story.case.state == expected
    else:
        assert (story.case, len(story.effects)) == (before, effects)


def test_table_has_a_row_for_every_state() -> None:
    """No state is forgotten, and the two final ones listen to no person."""
    assert list(TABLE) == list(CaseState)
    deciding = [state for state in STATES if may_person_decide(story_in(state).case)]
    assert deciding == ["advised", "claiming", "claimed", "accepted", "unknown", "escalated"]


def test_stuck_order_is_claimed_bought_and_handed_over_once() -> None:
    """The straight line: claim, submit, goods, hand-over, done."""
    story = Story("asked")
    assert isinstance(story.effects[0], Claim)
    assert story.claim() == ["Submit"]
    assert story.answer("delivered") == ["HandOver"]
    assert story.hand_over("delivered") == []
    assert (story.case.state, story.case.resolution) == ("delivered", "delivered_fallback")
    assert story.case.wake_ms is None


def test_submit_carries_what_the_shop_said_and_not_the_event() -> None:
    """Sku, quantity and amount of the claim's answer replace those of the event."""
    story = Story("asked")
    story.claim(sku="shop-sku", quantity=2, amount_minor=700)
    submit = story.newest(Submit)
    assert isinstance(submit, Submit)
    assert (submit.sku, submit.quantity, submit.amount_minor) == ("shop-sku", 2, 700)
    assert (submit.key, submit.fence) == (f"submit_{submit.attempt_ref}", 7)


@pytest.mark.parametrize(
    ("currency", "state"),
    [("CNY", "submitting"), ("cny", "submitting"), (None, "submitting"), ("JPY", "escalated")],
)
def test_order_in_another_currency_is_given_back_to_the_shop(
    currency: str | None, state: str
) -> None:
    """Limits and losses are amounts of our currency; an order that names none is in ours."""
    story = Story("asked")
    story.case = msgspec.structs.replace(story.case, currency=currency)
    is_ours = state == "submitting"
    assert story.claim() == (["Submit"] if is_ours else ["Release"])
    assert story.case.state == state
    assert story.case.escalated_reason == (None if is_ours else "currency_mismatch")


def test_same_order_and_fence_give_the_same_names() -> None:
    """A repeated claim is recognised by the shop; a new fence makes a new claim."""
    first, again = Story("asked").case, Story("asked").case
    assert (first.claim_id, first.takeover_id) == (again.claim_id, again.takeover_id)


def test_case_without_a_shop_only_advises() -> None:
    """No claim, no wake-up, nothing to release when the order ends well."""
    story = Story("asked", has_shop=False)
    assert (story.case.state, story.effects, story.case.wake_ms) == ("advised", [], None)
    assert story.finished("delivered") == []
    assert story.case.resolution == "delivered_primary"


@pytest.mark.parametrize(
    ("answer", "reason", "effects"),
    [
        ({"status": "denied"}, "claim_denied", []),
        ({"paid": False}, "shop_says_unpaid", ["Release"]),
        ({"amount_minor": None}, "amount_unknown", ["Release"]),
        ({"quantity": 0}, "bad_quantity", ["Release"]),
    ],
)
def test_claim_that_is_not_a_clean_grant_buys_nothing(
    answer: dict[str, Any], reason: str, effects: list[str]
) -> None:
    """Only granted, paid and priced orders are delivered; a granted claim is given back."""
    story = Story("asked")
    assert story.claim(**answer) == effects
    assert (story.case.state, story.case.escalated_reason) == ("escalated", reason)


def test_silent_shop_is_given_up_after_ten_minutes_and_a_late_grant_is_returned() -> None:
    """A person hears of it; the shop must not wait for us when its grant comes after all."""
    story = Story("asked")
    assert story.wait(599_999) == []
    assert story.case.state == "claiming"
    story.wait(1)
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "shop_unreachable")
    assert story.last.cancels == (f"claim_{story.case.claim_id}",)
    assert story.claim() == ["Release"]
    assert story.claim() == []
    assert story.submitted_to() == []


@pytest.mark.parametrize("state", ["claiming", "claimed"])
def test_order_that_ends_before_a_submit_is_given_back(state: str) -> None:
    """Nothing was bought, so the shop gets its order back at once."""
    story = story_in(state)
    assert story.finished("delivered") == ["Release"]
    assert (story.case.state, story.case.resolution) == ("voided", "delivered_primary")


@pytest.mark.parametrize("state", ["submitting", "accepted", "unknown"])
def test_goods_that_come_after_the_shop_delivered_are_locked_away(state: str) -> None:
    """Bought too late is money lost, never a second key."""
    story = story_in(state)
    assert story.finished("delivered") == []
    assert story.answer("delivered") == ["Quarantine"]
    assert (story.case.state, story.attempt.state) == ("voided", "quarantined")
    assert story.answer("delivered") == []
    assert not any(isinstance(effect, HandOver) for effect in story.effects)


def test_voided_case_still_finds_out_what_it_bought() -> None:
    """Questions go on after the shop delivered; after the last one the case rests."""
    story = story_in("unknown")
    story.finished("delivered")
    assert story.wake() == ["Query"]
    assert story.reply("delivered") == ["Quarantine"]
    assert story.case.wake_ms is None


def test_voided_case_that_is_never_answered_counts_as_perhaps_bought() -> None:
    """Patience ends: the attempt is written off and the case stops waking."""
    story = story_in("unknown")
    story.finished("refunded")
    story.wake()
    assert story.wake() == []
    assert (story.attempt.state, story.case.wake_ms) == ("quarantined", None)


def test_refund_stops_a_hand_over_but_a_delivery_leaves_it_to_the_shop() -> None:
    """Only the shop can order its own delivery and ours; a refund it may not have linked."""
    story = story_in("handing_over")
    for kind in ("delivered", "failed", "cancelled"):
        assert story.finished(kind) == []
        assert story.case.state == "handing_over"
    assert story.finished("refunded") == ["Quarantine"]
    assert story.last.cancels == (f"hand_over_{story.case.takeover_id}_1",)
    assert (story.case.state, story.case.resolution) == ("voided", "refunded")


def test_shop_that_delivered_itself_voids_the_case() -> None:
    """A 409 quarantines the goods; the resolution says who delivered."""
    story = story_in("handing_over")
    assert story.hand_over("already_delivered") == ["Quarantine"]
    assert (story.case.state, story.case.resolution) == ("voided", "delivered_primary")


def test_refused_hand_over_is_repeated_with_the_same_goods_when_a_person_says_so() -> None:
    """The goods are ours already: never a second purchase, a new key for the new try."""
    story = story_in("handing_over")
    story.hand_over("refused")
    assert story.case.escalated_reason == "hand_over_refused"
    assert story.person("not_delivered") == ["HandOver"]
    handed = [effect for effect in story.effects if isinstance(effect, HandOver)]
    assert handed[0].attempt_ref == handed[1].attempt_ref
    assert handed[0].key != handed[1].key
    assert story.submitted_to() == ["asked"]


def test_refused_hand_over_is_not_repeated_after_the_claim_ended() -> None:
    """The shop is free to deliver itself by then: a person settles it."""
    story = story_in("handing_over")
    story.hand_over("refused")
    story.now_ms = story.case.claim_expires_ms
    assert story.person("not_delivered") == []
    assert story.case.escalated_reason == "claim_expired"


def test_delivery_reported_under_our_name_is_no_contradiction() -> None:
    """While handing over it is our own; for an escalated case it closes it."""
    story = story_in("handing_over")
    assert story.finished("delivered", story.case.takeover_id) == []
    story.hand_over("refused")
    story.finished("delivered", story.case.takeover_id)
    assert (story.case.state, story.case.resolution) == ("delivered", "delivered_fallback")


def test_claim_that_ends_before_the_goods_come_goes_to_a_person() -> None:
    """After the claim the shop may deliver itself: goods stay in the vault."""
    story = story_in("submitting")
    story.now_ms = story.case.claim_expires_ms
    assert story.answer("delivered") == []
    assert story.case.escalated_reason == "claim_expired"


def test_claim_that_ends_before_the_next_channel_is_made_anew_under_the_next_fence() -> None:
    """No submit leaves without a claim; the shop may have delivered meanwhile."""
    story = story_in("submitting")
    first = story.case.claim_id
    story.now_ms = story.case.claim_expires_ms
    assert story.answer("rejected") == ["Claim"]
    assert (story.case.state, story.case.fence) == ("claiming", 8)
    assert story.case.claim_id != first
    assert story.case.claim_expires_ms == story.now_ms + 24 * 3_600_000
    assert story.claim(effect_key=f"claim_{first}") == []  # an answer of the claim that ran out
    assert story.claim() == ["Submit"]
    submit = story.newest(Submit)
    assert isinstance(submit, Submit)
    assert (submit.fence, story.submitted_to()) == (8, ["asked", "again"])


def test_claim_made_anew_finds_that_the_shop_has_delivered() -> None:
    """Nothing more is bought."""
    story = story_in("submitting")
    story.now_ms = story.case.claim_expires_ms
    story.answer("rejected")
    assert story.claim("already_delivered") == []
    assert story.case.resolution == "delivered_primary"


def test_claim_that_keeps_running_out_goes_to_a_person() -> None:
    """Three times anew, then somebody has to look why nothing happens."""
    story = Story("asked")
    for _ in range(3):
        story.now_ms = story.case.claim_expires_ms
        assert story.claim() == ["Claim"]
    story.now_ms = story.case.claim_expires_ms
    assert story.claim() == []
    assert story.case.escalated_reason == "claim_expired"
    assert story.submitted_to() == []


def test_no_submit_begins_so_late_that_its_goods_could_not_be_handed_over() -> None:
    """Half an hour before the end of the claim a new one is asked for."""
    story = Story("asked")
    story.now_ms = story.case.claim_expires_ms - 30 * 60_000
    assert story.claim() == ["Claim"]
    story = Story("asked")
    story.now_ms = story.case.claim_expires_ms - 30 * 60_000 - 1
    assert story.claim() == ["Submit"]


def test_clock_that_is_set_back_puts_nothing_off() -> None:
    """A quarter of an hour back: the question about an open attempt comes when it would have come anyway."""
    story = story_in("unknown")
    assert story.case.wake_ms == story.now_ms + SETTLE_MS
    story.now_ms -= 900_000
    assert story.wait(0) == []
    assert story.case.wake_ms == story.now_ms + SETTLE_MS
    assert story.wake() == ["Query"]
    story.reply("not_found")
    story.wake()
    assert story.reply("not_found") == ["Submit"]
    assert story.submitted_to() == ["asked", "again"]
