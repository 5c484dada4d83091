"""A supplier that can be asked only by its own number: what it accepted is followed, nothing else."""

from tests.unit.core.takeover.story import Story


def begun(*order: str) -> Story:
    story = Story(*order)
    story.claim()
    return story


def test_accepted_order_is_asked_about_by_the_suppliers_number() -> None:
    """The number came with the acceptance, so asking is about that very order."""
    story = begun("followed", "pool")
    story.answer("accepted", supplier_ref="101")
    assert story.wake() == ["Query"]
    assert story.reply("delivered") == ["HandOver"]


def test_order_that_the_supplier_cancelled_lets_the_next_channel_try() -> None:
    """The listed state of an order that is known by its number proves that it was not delivered."""
    story = begun("followed", "pool")
    story.answer("accepted", supplier_ref="101")
    story.wake()
    assert story.reply("rejected", code="canceled", supplier_ref="101") == ["Submit"]
    assert story.submitted_to() == ["followed", "pool"]


def test_lost_answer_goes_to_a_person_at_once() -> None:
    """It took the number with it: nothing can be asked, nothing may be tried elsewhere (R3)."""
    story = begun("followed", "pool")
    assert story.answer("unknown") == []
    assert (story.case.state, story.case.escalated_reason) == ("escalated", "unknown_outcome")
    assert story.submitted_to() == ["followed"]


def test_order_that_was_accepted_and_is_not_known_is_a_contradiction() -> None:
    """A person decides; the next channel is not tried."""
    story = begun("followed", "pool")
    story.answer("accepted", supplier_ref="101")
    for _ in range(2):
        story.wake()
        story.reply("not_found")
    assert story.case.escalated_reason == "accepted_then_not_found"
    assert story.submitted_to() == ["followed"]
