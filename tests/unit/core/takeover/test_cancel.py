"""A person takes our hands off an order: it goes back to its shop, unless something may be bought."""

import pytest

from monitor.model.effects import Release
from tests.unit.core.takeover.story import Story, story_in


@pytest.mark.parametrize("state", ["claiming", "claimed", "escalated"])
def test_order_for_which_nothing_was_bought_goes_back_to_the_shop(state: str) -> None:
    """Voided for good, with one release; what had not left is dropped."""
    story = story_in(state)
    if state == "escalated":
        story = Story("asked")
        story.claim("denied")
    story.person("cancelled")
    assert (story.case.state, story.case.resolution) == ("voided", "closed_by_person")
    released = [one for one in story.effects if isinstance(one, Release)]
    assert [one.reason for one in released] == ["cancelled_by_person"]
    assert bool(story.last.cancels) is (state == "claiming")


def test_case_that_only_advised_has_nothing_to_give_back() -> None:
    """No shop was asked for it."""
    story = story_in("advised")
    assert story.person("cancelled") == []
    assert story.case.state == "voided"


@pytest.mark.parametrize("state", ["submitting", "accepted", "unknown", "handing_over"])
def test_order_for_which_goods_may_be_on_their_way_is_not_let_go(state: str) -> None:
    """The shop would deliver a second key."""
    story = story_in(state)
    before = story.case
    assert story.person("cancelled") == []
    assert story.case is before
