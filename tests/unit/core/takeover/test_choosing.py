"""Which channel may be tried next without losing more than the owner allows."""

import msgspec
import pytest

from monitor.core.takeover.choosing import next_channels
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import Attempt
from tests.unit.core.takeover.story import CHANNELS, Story


def story_with(*order: str, max_loss_minor: int = 0, **supplier: object) -> Story:
    """A story in which `dear` is a supplier with these settings; the shop's amount is 500."""
    story = Story(*order)
    named = ChannelSettings(name="dear", kind="http", capability="queryable")
    dear = msgspec.structs.replace(named, **supplier)
    fallback = FallbackSettings(order=order, max_loss_minor=max_loss_minor, has_shop=True)
    story.settings = Settings(channels=(*CHANNELS, dear), fallback=fallback)
    return story


@pytest.mark.parametrize(
    ("max_cost", "max_loss", "chosen"),
    [(500, 0, "dear"), (501, 0, "pool"), (600, 100, "dear"), (601, 100, "pool"), (None, 0, "dear")],
)
def test_supplier_that_may_cost_more_than_amount_and_loss_is_passed_over(
    max_cost: int | None, max_loss: int, chosen: str
) -> None:
    """500 were paid: with a loss of 100 allowed, a supplier of up to 600 may be asked."""
    story = story_with("dear", "pool", max_loss_minor=max_loss, max_cost_minor=max_cost)
    assert story.claim() == ["Submit"]
    assert story.submitted_to() == [chosen]


def test_supplier_that_is_told_the_limit_keeps_it_by_itself() -> None:
    """Its usual price does not matter: it refuses what costs more than the limit it is handed."""
    story = story_with("dear", "pool", max_cost_minor=9_999, is_cost_guarded=True)
    story.claim()
    assert story.submitted_to() == ["dear"]
    assert story.attempt.max_cost_minor == 500


@pytest.mark.parametrize(("max_cost", "is_guarded"), [(None, False), (None, True), (0, False)])
def test_order_worth_nothing_buys_nothing(max_cost: int | None, is_guarded: bool) -> None:
    """With 0 paid and no loss allowed every purchase is a loss; our own stock is not bought now."""
    story = story_with("dear", "pool", max_cost_minor=max_cost, is_cost_guarded=is_guarded)
    story.claim(amount_minor=0)
    assert story.submitted_to() == ["pool"]


def test_only_suppliers_too_dear_left_gives_the_order_back_and_says_why() -> None:
    """A person reads that money, not a missing channel, was the reason; the shop gets it back."""
    story = story_with("dear", max_cost_minor=501)
    assert story.claim() == ["Release"]
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "would_lose_money")
    assert story.submitted_to() == []


def test_reason_stays_the_money_after_another_channel_was_tried() -> None:
    """What was tried and failed is not what keeps us from going on."""
    story = story_with("asked", "dear", max_cost_minor=501)
    story.claim()
    assert story.answer("rejected") == ["Release"]
    assert story.case.escalated_reason == "would_lose_money"


def test_another_try_on_the_same_supplier_keeps_the_limit_too() -> None:
    """The limit may have been lowered between two tries."""
    story = story_with("dear", "pool", max_cost_minor=500)
    story.claim()
    story.answer("rejected", retry="same")
    tried: Attempt = story.attempt
    assert tried.reason == "retry_same"
    cheaper = ChannelSettings(name="dear", kind="http", max_cost_minor=501)
    fallback = FallbackSettings(order=("dear", "pool"), has_shop=True)
    settings = Settings(channels=(*CHANNELS, cheaper), fallback=fallback)
    assert [one.name for one in next_channels(story.case, settings)] == ["pool"]


@pytest.mark.parametrize(
    ("order", "tried"),
    [
        (("blind", "asked"), ["asked", "blind"]),
        (("blind", "twice", "pool"), ["twice", "pool", "blind"]),
        (("asked", "blind", "staff", "pool"), ["asked", "blind", "staff"]),
        (("blind", "dark"), ["blind", "dark"]),
    ],
)
def test_opaque_channel_comes_last(order: tuple[str, ...], tried: list[str]) -> None:
    """Of what it does with a request nobody may ever know; only a person comes after it."""
    story = Story(*order)
    story.claim()
    for _ in tried[1:]:
        story.answer("rejected")
    assert story.submitted_to() == tried
