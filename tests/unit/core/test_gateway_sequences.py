"""What BEpusdt pushes to one URL, in the orders it is known to: waiting, paid, expired."""

import pytest

from monitor.model.faults import ShopFault
from monitor.testing.scenario import Scenario, called_back, created, delivered, expired, paid

MEANINGS = {"1": "waiting", "2": "paid", "3": "expired"}


def story_of(sequence: str) -> Scenario:
    """One order, and its callbacks a minute apart."""
    story = Scenario().at("0s", created("o"))
    for minute, status in enumerate(sequence.split(","), start=1):
        story.at(f"{minute}m", called_back("o", meaning=MEANINGS[status]))
    return story


def faults(story: Scenario) -> list[str]:
    return [one.fault for one in story.decisions() if isinstance(one, ShopFault)]


def test_waiting_and_then_expired_is_unpaid_without_a_clock() -> None:
    """1,1,1,3: nothing was paid, so nothing is late, however long it takes."""
    story = story_of("1,1,1,3").at("5h")
    order = story.engine.shard.orders["o"]
    assert order.facts.paid_ms is None
    assert order.breach_ms is None
    assert faults(story) == []


def test_waiting_and_then_paid_is_one_paid_order() -> None:
    """1,1,2: paid by the third callback, and its promise runs from there."""
    story = story_of("1,1,2")
    order = story.engine.shard.orders["o"]
    assert order.facts.paid_ms == story.start_ms + 3 * 60_000
    assert len(story.engine.shard.orders) == 1
    assert faults(story) == []
    story.at("7m")
    assert order.breach_ms == story.start_ms + 6 * 60_000


@pytest.mark.parametrize("sequence", ["1,3,2", "3,2"])
def test_payment_after_expiry_is_a_paid_order_and_a_case(sequence: str) -> None:
    """1,3,2: the money is there, and a person looks at it, once."""
    story = story_of(sequence)
    order = story.engine.shard.orders["o"]
    assert order.facts.paid_ms is not None
    assert order.is_open
    assert faults(story) == ["paid_late"]
    story.at("5m", called_back("o", meaning="paid"))
    assert faults(story) == ["paid_late"]


def test_late_payment_that_the_shop_delivered_is_no_case() -> None:
    """Dujiaoka takes a payment after expiry and delivers at once."""
    story = Scenario().at("0s", created("o")).at("5m", expired("o"))
    story.at("6m", called_back("o", meaning="paid"), delivered("o"))
    assert faults(story) == []


def test_callback_that_the_gateway_denies_is_a_case() -> None:
    """The word of the gateway itself comes as a callback with that reason; a person is told."""
    story = Scenario().at("0s", created("o"), called_back("o", meaning="paid"))
    story.at("5s", called_back("o", meaning="waiting", reason="payment_denied"))
    assert faults(story) == ["payment_denied"]
    assert story.engine.shard.orders["o"].facts.paid_ms is not None


def test_payment_is_heard_however_often_the_gateway_said_waiting() -> None:
    """Twenty pushes of one meaning do not use up the room of another."""
    story = Scenario().at("0s", created("o"))
    for minute in range(1, 21):
        story.at(f"{minute}m", called_back("o", meaning="waiting"))
    story.at("21m", called_back("o", meaning="paid"))
    assert story.engine.shard.orders["o"].facts.paid_ms == story.start_ms + 21 * 60_000


def test_payment_before_the_word_of_expiry_is_no_case() -> None:
    """What came late on the way is judged by when it happened."""
    story = Scenario().at("0s", created("o"), paid("o"))
    story.at("1m", called_back("o", meaning="expired"))
    assert faults(story) == []
