"""What the shop itself does wrong is told once per order, at once, and survives a restart."""

import msgspec

from monitor.core.engine import Engine
from monitor.model.effects import Notify
from monitor.model.faults import ShopFault
from monitor.model.records import ClaimAnswered
from monitor.model.rules import RuleSet
from monitor.model.settings import (
    ChannelSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
)
from monitor.testing.scenario import (
    START_MS,
    Scenario,
    attempt_failed,
    attempted,
    created,
    delivered,
    expired,
    heartbeat,
    paid,
    tick,
)

SETTINGS = Settings(
    receivers=(ReceiverSettings("ops", ("webhook/0",)),), default_receiver="ops",
    channels=(ChannelSettings("pool", kind="stock", shared_skus=("manual-pdf",)),),
)  # fmt: skip


def faults(story: Scenario) -> list[tuple[str, str, str]]:
    found = [one for one in story.decisions() if isinstance(one, ShopFault)]
    return [(one.order_id, one.fault, one.other) for one in found]


def test_same_key_for_two_orders_is_told_at_once_and_once() -> None:
    """With both orders; the shop's own repeat of a delivery is none."""
    story = Scenario(SETTINGS).at("0s", paid("o1"), delivered("o1", goods=("g1",)))
    story.at("1s", delivered("o1", event_id="again", goods=("g1",)))
    story.at("2s", paid("o2"), delivered("o2", goods=("g2", "g1")))
    story.at("3s", delivered("o2", event_id="again", goods=("g1",)))
    assert faults(story) == [("o2", "duplicate_key_sold", "o1")]
    told = [one for one in story.effects() if isinstance(one, Notify)]
    assert [one.event_type for one in told] == ["shop.fault"]
    assert "o1" in told[0].text


def test_goods_that_may_be_shared_are_not_a_fault() -> None:
    """Volume keys and files are sold many times over."""
    story = Scenario(SETTINGS)
    for n in range(3):
        story.at(f"{n}s", paid(f"o{n}", sku="manual-pdf"), delivered(f"o{n}", goods=("g1",)))
    assert faults(story) == []


def test_delivery_with_an_apology_or_too_few_units() -> None:
    """The apology leaves the order waiting; a short delivery counts as delivered and is told."""
    story = Scenario(SETTINGS).at("0s", paid("o1"), paid("o2", quantity=3))
    story.at("1s", attempt_failed("o1", reason="delivered_without_goods"))
    story.at("2s", delivered("o2", goods=("g1",), goods_units=1))
    assert faults(story) == [
        ("o1", "delivered_without_goods", ""), ("o2", "delivered_without_goods", "")
    ]  # fmt: skip
    assert story.engine.shard.orders["o1"].is_open


def test_delivery_in_parts_is_whole_once_all_are_there() -> None:
    """The quantity is that of the order, whichever event named it; one text cannot be counted."""
    story = Scenario(SETTINGS).at("0s", paid("o1", quantity=2), paid("o2", quantity=2))
    story.at("1s", delivered("o1", goods=("g1", "g2"), goods_units=2))
    story.at("2s", delivered("o2", goods=("g3",)))
    assert faults(story) == []


def test_second_payment_is_told_and_a_repeated_notice_is_not() -> None:
    """The number of the payment tells them apart."""
    story = Scenario(SETTINGS).at("0s", paid("o1", payment="p1"), paid("o2", payment="p1"))
    story.at("1s", paid("o1", event_id="notice", payment="p1"))
    assert faults(story) == []
    story.at("2s", paid("o1", event_id="other", payment="p2"))
    assert faults(story) == [("o1", "paid_twice", "")]


def test_order_that_went_to_a_supplier_unpaid_is_told_when_it_ends() -> None:
    """The shop gave it up although a supplier had it; one that was paid for is no fault."""
    story = Scenario(SETTINGS).at("0s", created("o1"), created("o2"), paid("o2"))
    story.at("1s", attempted("o1"), attempted("o2"))
    story.at("9m", expired("o1"), expired("o2"))
    assert faults(story) == [("o1", "bought_but_unpaid", "")]


def test_shop_that_denies_the_payment_of_an_order_it_bought_for_is_told() -> None:
    """The claim brings it to light while the order still waits."""
    settings = msgspec.structs.replace(
        SETTINGS, fallback=FallbackSettings(mode="enforce", has_shop=True, order=("pool",))
    )
    story = Scenario(settings).at("0s", created("o1")).at("1s", attempted("o1")).at("6m", tick())
    (case,) = story.engine.desk.cases.values()
    answer = ClaimAnswered(f"claim_{case.claim_id}", case.takeover_id, "denied", START_MS)
    story.at("6m1s", answer)
    assert faults(story) == [("o1", "bought_but_unpaid", "")]


def test_restart_knows_goods_and_faults() -> None:
    """By snapshot and by log alike, so nothing is told twice and nothing is missed."""
    story = Scenario(SETTINGS).at("0s", paid("o1"), delivered("o1", goods=("g1",)))
    story.at("2s", paid("o2"), delivered("o2", goods=("g1",)))
    restored = Engine(SETTINGS, RuleSet())
    restored.restore(story.engine.snapshot(), START_MS)
    replayed = Engine(SETTINGS, RuleSet())
    for segment in story.log:
        replayed.refold(*segment)
    for engine in (restored, replayed):
        assert engine.shard.orders["o2"].faults == ("duplicate_key_sold",)
        assert engine.shard.totals.faults == {"duplicate_key_sold": 1}
        again = engine.shop_watch.look(delivered("o2", goods=("g1",)).event(START_MS), START_MS)
        third = delivered("o3", goods=("g1",)).event(START_MS)
        engine.shard.fold(paid("o3").event(START_MS))
        engine.shard.settle()
        assert again == []
        assert [one.other for one in engine.shop_watch.look(third, START_MS)] == ["o1"]


def test_order_that_left_memory_takes_its_goods_along() -> None:
    """The index does not grow for ever."""
    story = Scenario(SETTINGS).at("0s", paid("o1"), delivered("o1", goods=("g1",)))
    story.engine.shop_watch.forget(story.engine.shard.orders["o1"])
    story.at("1s", paid("o2"), delivered("o2", goods=("g1",)))
    assert faults(story) == []


def test_heartbeat_that_says_more_than_it_should_is_about_no_order() -> None:
    """A reason or a payment in a heartbeat shows no fault, and does not stop the service."""
    story = Scenario(SETTINGS).at("0s", heartbeat(reason="up"), heartbeat(payment="p1"), paid("o1"))
    assert story.outcomes == ("accepted",) * 3
    assert faults(story) == []
