"""Many orders at once: one message to people, one approval, and money that is reserved first."""

import msgspec

from monitor.model.effects import Compensate, Effect, Notify, NotifyBuyer
from monitor.model.playbooks import CouponStep, NotifyStep, PageStep, Playbook
from monitor.model.records import ActionOrdered
from monitor.testing.scenario import delivered, paid
from tests.unit.core.playbooks.house import House

LEVEL = Playbook(
    "outage", 1, (NotifyStep("delayed_soft"), CouponStep(value_minor=100), PageStep()), tier=1,
    budgets={"coupon": 2_500}, approval_above_minor=10_000, is_dry_run=False,
)  # fmt: skip


def outage(house: House, time: str, first: int, last: int) -> House:
    return house.at(
        time, *(paid(f"o{n}", amount_minor=1_000, currency="CNY") for n in range(first, last))
    )


def of(left: list[Effect], kind: type) -> list[Effect]:
    return [one for one in left if isinstance(one, kind)]


def test_twenty_orders_are_twenty_matters_and_one_more_is_a_batch() -> None:
    """Up to the limit everybody is paged for; above it there is one message for all."""
    few = outage(House(LEVEL), "0s", 0, 20).at("3m1s").left()
    assert len(of(few, Notify)) == 20
    many = outage(House(LEVEL), "0s", 0, 21).at("3m1s").left()
    (message,) = of(many, Notify)
    assert isinstance(message, Notify)
    assert message.event_type == "playbook.batch"
    assert "21" in message.title
    words = of(many, NotifyBuyer)
    assert {one.template for one in words if isinstance(one, NotifyBuyer)} == {"outage"}
    assert len(words) == 21


def test_batch_waits_for_one_word_and_gives_within_the_budget() -> None:
    """21 orders of 10 are worth more than 100: one yes lets 21 coupons leave, later ones join."""
    house = outage(House(LEVEL), "0s", 0, 21).at("3m1s")
    left = house.left()
    assert of(left, Compensate) == []
    (batch,) = house.story.engine.response.crowds.batches.values()
    assert (batch.orders, batch.amount_minor, batch.given_minor, batch.state) == (
        21,
        21_000,
        2_100,
        "waiting",
    )
    assert batch.batch_id in str(of(left, Notify)[0])
    house.at("4m", ActionOrdered(batch.batch_id, "approve", "ann", 0))
    assert len(of(house.left(), Compensate)) == 21
    outage(house, "5m", 21, 31).at("8m", paid("alive")).at("8m1s")
    later = house.left()
    assert len(of(later, Compensate)) == 4  # 25 in all: the budget of the day
    assert of(later, Notify) == []
    assert house.states("o30")["coupon"] == "skipped: budget_coupon"


def test_order_too_dear_to_go_without_a_word_needs_its_own_in_an_approved_batch() -> None:
    """Whoever agreed to 21 small orders has not agreed to a big one that joins them later."""
    house = outage(House(LEVEL), "0s", 0, 21).at("3m1s")
    (batch,) = house.story.engine.response.crowds.batches.values()
    house.at("4m", ActionOrdered(batch.batch_id, "approve", "ann", 0)).left()
    house.at("5m", paid("big", amount_minor=10_001, currency="CNY")).at("8m1s")
    assert house.states("big")["coupon"] == "waiting: approval"
    left = house.left()
    assert of(left, Compensate) == []
    (page,) = of(left, Notify)
    assert house.actions("big")["coupon"].action_id in str(page)
    house.say("9m", "coupon", "approve", "big")
    assert len(of(house.left(), Compensate)) == 1


def test_money_is_reserved_before_the_word() -> None:
    """What waits for approval is not there for others; what is refused is there again."""
    level = msgspec.structs.replace(LEVEL, budgets={"coupon": 2_100})
    house = outage(House(level), "0s", 0, 21).at("3m1s")
    outage(house, "3m2s", 21, 22).at("6m3s")
    assert house.states("o21")["coupon"] == "skipped: budget_coupon"
    (batch,) = house.story.engine.response.crowds.batches.values()
    house.at("7m", ActionOrdered(batch.batch_id, "refuse", "ann", 0))
    assert house.states("o1")["coupon"] == "cancelled: refused_by_person"
    house.at("20m")
    assert of(house.left(), Compensate) == []
    outage(house, "40m", 50, 51).at("43m1s")
    assert len(of(house.left(), Compensate)) == 1


def test_order_delivered_before_the_word_gets_nothing() -> None:
    """It left the batch with its delivery, and its money with it."""
    house = outage(House(LEVEL), "0s", 0, 21).at("3m1s").at("3m2s", delivered("o3"))
    house.left()
    (batch,) = house.story.engine.response.crowds.batches.values()
    house.at("4m", ActionOrdered(batch.batch_id, "approve", "ann", 0))
    given = [one.order_id for one in house.left() if isinstance(one, Compensate)]
    assert len(given) == 20
    assert "o3" not in given


def test_batch_ends_when_nobody_comes_for_a_while() -> None:
    """An order half an hour later is a matter of its own again."""
    house = outage(House(LEVEL), "0s", 0, 21).at("3m1s")
    house.left()
    outage(house, "30m", 21, 22).at("33m1s")
    (page,) = of(house.left(), Notify)
    assert isinstance(page, Notify)
    assert page.event_type == "order.page"
