"""Levels begin once, actions leave once, and what is pointless is called off in time."""

from typing import Any

import msgspec
import pytest

from monitor.model.commands import Cancel
from monitor.model.effects import CallWebhook, Compensate, Notify, NotifyBuyer, Refund, refund_id
from monitor.model.playbooks import NotifyStep, PageStep, Playbook, QuietHours, RefundStep
from monitor.model.records import ActionsMoved
from monitor.model.rules import RuleSet
from monitor.testing.scenario import cancelled, delivered, paid, refunded
from tests.unit.core.playbooks.house import ARMED, CHECK, HUMAN, TELL, House, settings_with

ORDER: dict[str, Any] = {
    "amount_minor": 5_000,
    "currency": "CNY",
    "customer_hash": "c1",
    "channel": "auto",
}
BIG: dict[str, Any] = {**ORDER, "amount_minor": 30_000}


def test_levels_act_in_turn_and_each_once() -> None:
    """3 min: a word; 5 min: a coupon and a task; 30 min: a page and an offer; nothing twice."""
    house = House(TELL, CHECK, HUMAN).at("0s", paid("o1", **ORDER)).at("3m1s")
    (word,) = house.left()
    assert isinstance(word, NotifyBuyer)
    assert (word.order_id, word.template, word.channels) == ("o1", "delayed_soft", ("page",))
    assert "o1" in word.text
    house.at("5m1s")
    coupon, webhook, task = house.left()
    assert isinstance(coupon, Compensate)
    assert (coupon.amount_minor, coupon.currency) == (150, "CNY")  # 3 % of 50
    assert isinstance(webhook, CallWebhook)
    assert webhook.event_type == "compensation.offered"
    assert isinstance(task, Notify)
    house.at("14m")
    assert house.left() == []
    house.at("29m")
    (page,) = house.left()  # the ten minutes of the task are over
    assert isinstance(page, Notify)
    assert page.event_type == "order.page"
    house.at("30m1s")
    kinds = [type(one).__name__ for one in house.left()]
    assert kinds == ["Notify", "NotifyBuyer", "CallWebhook"]
    house.at("50m").at("80m")
    assert house.left() == []
    keys = [one.key for one in house.story.effects()]
    assert len(keys) == len(set(keys))


def test_delivery_calls_off_what_has_not_left_in_the_same_turn() -> None:
    """The coupon was on its way and is dropped; the task needs nobody; nothing follows."""
    house = House(TELL, CHECK, HUMAN).at("0s", paid("o1", **ORDER)).at("5m1s")
    key = f"act_{house.actions()['coupon'].action_id}"
    house.at("5m2s", delivered("o1"))
    assert f"cancel {key}" in house.story.transcript()
    assert house.states()["coupon"] == house.states()["task"] == "cancelled: delivered"
    house.left()
    house.at("90m")
    assert house.left() == []


@pytest.mark.parametrize(("end", "reason"), [(refunded, "refunded"), (cancelled, "closed")])
def test_any_end_of_the_wait_calls_off(end: object, reason: str) -> None:
    """A refund or a cancellation by the shop ends the playbook too."""
    house = House(CHECK).at("0s", paid("o1", **ORDER)).at("5m1s").at("6m", end("o1"))  # type: ignore[operator]  # a builder
    assert house.states()["coupon"] == f"cancelled: {reason}"


def test_order_found_late_gets_the_level_of_its_age_only() -> None:
    """Whoever waits for an hour gets a person, not the words for three minutes."""
    house = House(TELL, CHECK, HUMAN).at("60m", paid("o1", "0s", **ORDER)).at("61m1s")
    assert set(house.states()) == {"page", "offer"}


def test_dry_run_records_and_sends_nothing() -> None:
    """I20: what would have been done stands with the order, with its money, and nothing leaves."""
    dry = [msgspec.structs.replace(level, is_dry_run=True) for level in (TELL, CHECK, HUMAN)]
    house = House(*dry).at("0s", paid("o1", **ORDER)).at("2h")
    assert house.left() == []
    assert set(house.states().values()) == {"would: dry_run"}
    assert house.actions()["coupon"].amount_minor == 150
    assert set(house.states()) == {"notify_buyer", "resolve", "coupon", "task", "page", "offer"}


def test_canary_orders_are_nobodys_business() -> None:
    """Nobody waits for a synthetic order."""
    house = House(TELL, CHECK, HUMAN).at("0s", paid("canary-1", **ORDER)).at("2h")
    assert house.left() == []


def test_quiet_hours_hold_messages_to_buyers_and_nothing_else() -> None:
    """The story begins at midnight UTC: buyers hear at 08:00, a person is paged at once."""
    night = QuietHours(23 * 60, 8 * 60)
    level = Playbook("l1", 1, (NotifyStep("delayed_soft"), PageStep()), tier=1, is_dry_run=False,
                     quiet_hours=night)  # fmt: skip
    house = House(level).at("0s", paid("o1", **ORDER)).at("4m")
    assert [type(one) for one in house.left()] == [Notify]
    assert house.states()["notify_buyer"] == "waiting: quiet_hours"
    house.at("7h59m")
    assert house.left() == []
    house.at("8h")
    assert [type(one) for one in house.left()] == [NotifyBuyer]
    assert (
        House(level).at("0s", paid("o1")).at("1h", delivered("o1")).at("9h").left(NotifyBuyer) == []
    )


def test_large_order_waits_for_a_person_who_is_told_how_to_agree() -> None:
    """Above 200 the offer waits; the page names it; after a yes it leaves once."""
    house = House(HUMAN).at("0s", paid("o1", **BIG)).at("31m")
    (page,) = house.left()
    offer = house.actions()["offer"]
    assert isinstance(page, Notify)
    assert offer.action_id in page.text
    assert house.states()["offer"] == "waiting: approval"
    house.say("40m", "offer", "approve")
    assert [type(one) for one in house.left()] == [NotifyBuyer, CallWebhook]
    house.say("41m", "offer", "approve")
    assert house.left() == []


def test_refused_action_never_leaves() -> None:
    """A no is final."""
    house = House(HUMAN).at("0s", paid("o1", **BIG)).at("31m").say("32m", "offer", "refuse")
    house.left()
    house.say("33m", "offer", "approve").at("5h")
    assert house.left() == []
    assert house.states()["offer"] == "cancelled: refused_by_person"


def test_refusal_of_the_shop_calls_a_person_once() -> None:
    """A coupon that the shop does not give is a person's matter; a message that fails is not."""
    house = House(TELL, CHECK).at("0s", paid("o1", **ORDER)).at("5m1s")
    house.left()
    house.answer("5m2s", "coupon", "refused").answer("5m3s", "notify_buyer", "refused")
    (page,) = house.left()
    assert isinstance(page, Notify)
    assert page.event_type == "order.page"
    assert "coupon refused" in page.text
    assert house.states()["notify_buyer"] == "failed: refused"


def test_silence_of_the_buyer_is_a_refund_only_where_the_mode_allows_it() -> None:
    """The default of the offer pays back by itself with `enforce`, else a person decides."""
    house = House(HUMAN, fallback=ARMED).at("0s", paid("o1", **ORDER)).at("31m").at("91m")
    (refund,) = house.left(Refund)
    assert isinstance(refund, Refund)
    assert (refund.action_id, refund.amount_minor) == (refund_id("o1"), 5_000)
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m")
    house.left()
    house.at("91m")
    (page,) = house.left()
    assert isinstance(page, Notify)
    assert "refund\\_needs\\_a\\_person" in page.text


def test_choice_of_the_buyer_counts_once() -> None:
    """The first word is taken; later ones, and the end of the offer, change nothing."""
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m").say("32m", "offer", "refund")
    assert len(house.left(Refund)) == 1
    house.say("33m", "offer", "alternative").at("3h")
    assert house.left() == []
    assert house.actions()["offer"].choice == "refund"


def test_alternative_goes_to_a_person() -> None:
    """Nobody but a person knows what else the buyer may like."""
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m")
    house.left()
    house.say("32m", "offer", "alternative")
    (task,) = house.left()
    assert isinstance(task, Notify)
    assert "alternative" in task.title


def test_action_called_off_too_late_is_what_it_was() -> None:
    """The shop gave the coupon although the order came meanwhile: it stands as given."""
    house = House(CHECK).at("0s", paid("o1", **ORDER)).at("5m1s").at("5m2s", delivered("o1"))
    assert house.answer("5m3s", "coupon", "done").states()["coupon"] == "done"


def test_vips_wait_half_as_long_but_never_less_than_the_promise() -> None:
    """L3 after 15 min instead of 30; L2 at the promise of 3 min instead of 5."""
    call = Playbook("l2", 2, (NotifyStep("delayed_long"),), tier=2, is_dry_run=False)
    house = House(call, HUMAN, vip_multiplier=0.5)
    house.at("0s", paid("o1", customer_tier="vip", **ORDER), paid("o2", **ORDER)).at("3m1s")
    assert "notify_buyer" in house.states("o1")
    assert house.states("o2") == {}
    house.at("15m1s")
    assert "page" in house.states("o1")
    assert "page" not in house.states("o2")


def test_age_condition_begins_at_its_age_and_stretches_with_the_promise() -> None:
    """90 s for a promise of 3 min; an order with 10 min has 5."""
    level = Playbook("l1", 1, (PageStep(),), age_ms=90_000, is_dry_run=False)
    house = House(level).at("0s", paid("o1", **ORDER), paid("o2", promise_ms=600_000, **ORDER))
    house.at("1m29s")
    assert house.left() == []
    house.at("1m30s")
    assert [one.order_id for one in moves(house)] == ["o1"]
    house.at("5m")
    assert [one.order_id for one in moves(house)] == ["o1", "o2"]


def test_prediction_begins_a_level_before_the_promise_breaks() -> None:
    """Whoever waited so long before waited for longer than the promise: so will this one."""
    level = Playbook(
        "l1", 1, (NotifyStep("delayed_soft"),), tier=1, predicted_late=0.6, is_dry_run=False
    )
    house = House(level)
    for number in range(30):
        house.at(f"{number * 10}s", paid(f"p{number}", channel="auto", promise_ms=600_000))
    house.at("295s", *(delivered(f"p{number}", f"{number * 10 + 5}s") for number in range(3, 30)))
    house.at("400s", *(delivered(f"p{number}", "400s") for number in range(3)))
    house.left()
    house.at("600s", paid("o1", **ORDER)).at("689s")
    assert house.left() == []
    house.at("691s")
    assert [type(one) for one in house.left()] == [NotifyBuyer]
    house.at("900s")
    assert house.left() == []


def test_changed_file_repeats_nothing() -> None:
    """A reload gives the level another number: what was done under its old one stays done."""
    house = House(HUMAN, fallback=ARMED).at("0s", paid("o1", **ORDER)).at("31m")
    house.say("32m", "offer", "refund")
    again = msgspec.structs.replace(
        HUMAN, level=4, tier=None, age_ms=2_400_000, steps=(RefundStep(),)
    )
    house.story.engine.configure(settings_with(HUMAN, again, fallback=ARMED), RuleSet())
    house.left()
    house.at("50m", paid("o2", **ORDER)).at("51m")
    assert house.story.engine.shard.orders["o1"].level == 4
    assert house.left(Refund) == []


def moves(house: House) -> list[ActionsMoved]:
    """Levels that were entered."""
    return [one for one in house.story.decisions() if isinstance(one, ActionsMoved) and one.level]


def test_level_that_is_disarmed_overnight_tells_nobody_in_the_morning() -> None:
    """What waited for the end of the quiet hours is only what would have been done."""
    by_day = msgspec.structs.replace(TELL, quiet_hours=QuietHours(0, 60))
    house = House(by_day).at("0s", paid("o1")).at("10m")
    assert house.states() == {"notify_buyer": "waiting: quiet_hours"}
    engine = house.story.engine
    disarmed = msgspec.structs.replace(by_day, is_dry_run=True)
    books = msgspec.structs.replace(engine.settings.playbooks, levels=(disarmed,))
    engine.configure(msgspec.structs.replace(engine.settings, playbooks=books), RuleSet())
    house.at("2h")
    assert house.states() == {"notify_buyer": "would: dry_run"}
    assert house.left(NotifyBuyer) == []


def test_offer_that_is_over_is_not_made_any_more() -> None:
    """The shop could not be reached until it ended: the buyer is not asked what is decided."""
    house = House(HUMAN).at("0s", paid("o1", **ORDER)).at("31m")
    (offer,) = house.left(NotifyBuyer)
    house.at("3h")
    assert house.states()["offer"] == "done: expired"
    cancels = [one.effect_key for _, one in house.story.commands if isinstance(one, Cancel)]
    assert cancels == [offer.key]
