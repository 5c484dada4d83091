"""Two deliveries of one order are counted once, whichever is heard of first."""

import pytest

from monitor.model.records import Entry, HandOverAnswered
from monitor.model.takeovers import TakeoverCase
from monitor.testing.scenario import Happening, Scenario, delivered
from tests.unit.core.test_engine import story_with_case

Given = list[str]


def case_of(story: Scenario) -> TakeoverCase:
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    return case


def tell(story: Scenario, second: int, news: Given) -> None:
    """Give the news in one batch: `shop` delivers, `ours` says it took ours, `taken` answers."""
    takeover_id = case_of(story).takeover_id
    meant: dict[str, Happening | Entry] = {
        "shop": delivered("o1", time=f"{second}s"),
        "ours": delivered("o1", time=f"{second}s", takeover_id=takeover_id),
        "taken": HandOverAnswered("h", takeover_id, "delivered", story.now_ms),
        "knows": HandOverAnswered("h", takeover_id, "already_delivered", story.now_ms),
        "refused": HandOverAnswered("h", takeover_id, "refused", story.now_ms),
    }
    story.at(f"{second}s", *(meant[one] for one in news))


@pytest.mark.parametrize(
    ("batches", "doubles"),
    [
        ([["shop"], ["taken"]], 1),
        ([["shop", "taken"]], 1),
        ([["taken", "shop"]], 1),
        ([["taken"], ["shop"]], 1),
        ([["ours"], ["taken"]], 0),
        ([["taken"], ["ours"]], 0),
        ([["shop"], ["knows"]], 0),
        ([["taken"]], 0),
    ],
)
def test_shop_that_delivers_and_takes_ours_has_delivered_twice(
    batches: list[Given], doubles: int
) -> None:
    """Its report may come before, with or after its answer to the hand-over."""
    story = story_with_case("handing_over")
    for second, news in enumerate(batches, 400):
        tell(story, second, news)
    assert story.engine.shard.totals.double_deliveries == doubles


@pytest.mark.parametrize(
    "batches",
    [[["shop"], ["taken"]], [["shop", "taken"]], [["taken", "shop"]], [["taken"], ["shop"]]],
)
def test_hand_over_taken_after_the_case_left_our_hands_counts_as_well(batches: list[Given]) -> None:
    """The case is a person's by then, or voided by the shop's own delivery."""
    story = story_with_case("handing_over")
    tell(story, 400, ["refused"])
    assert case_of(story).state == "escalated"
    for second, news in enumerate(batches, 401):
        tell(story, second, news)
    assert story.engine.shard.totals.double_deliveries == 1
