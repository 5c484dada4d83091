"""Manual review as a state of a scope: who orders it, whom it touches, how it ends."""

import msgspec
import pytest

from monitor.core.engine import Engine
from monitor.core.views import fleet
from monitor.model.errors import InputError
from monitor.model.records import ReviewOrdered
from monitor.model.reviews import Subject, check_scope
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.times import HOUR_MS, MINUTE_MS
from monitor.testing.scenario import START_MS, Scenario, delivered, paid, tick

SETTINGS = Settings(
    channels=(ChannelSettings("a"), ChannelSettings("b"), ChannelSettings("pool", kind="stock")),
    fallback=FallbackSettings(mode="enforce", has_shop=True, order=("pool",)),
)


def order(scope: str, *, on: bool = True, minutes: int | None = 60) -> ReviewOrdered:
    """Ann's word at the start of the story."""
    until_ms = None if minutes is None else START_MS + minutes * MINUTE_MS
    return ReviewOrdered(scope, on, "ann", START_MS, until_ms, "odd callbacks")


@pytest.mark.parametrize(
    ("scope", "wanted", "is_reviewed"),
    [
        ("*", Subject(), True),
        ("channel:a", Subject(), True),
        ("channel:b", Subject(), False),
        ("sku:gold", Subject(sku="gold"), True),
        ("sku:gold", Subject(sku="tin"), False),
        ("sku:gold", Subject(), False),
        ("customer_tier:vip", Subject(customer_tier="vip"), True),
        ("speed:express", Subject(speed="normal"), False),
    ],
)
def test_route_says_review_for_the_orders_of_the_scope(
    scope: str, wanted: Subject, is_reviewed: bool
) -> None:
    """All new orders go to `a`; what is not known of an order matches no scope but its channel's."""
    story = Scenario(SETTINGS).at("0s", order(scope))
    view = fleet.route(story.engine, story.now_ms, wanted)
    assert (view.mode == "review") is is_reviewed
    assert (view.review is not None and view.review.actor == "ann") is is_reviewed


def test_review_ends_by_its_time_or_by_hand() -> None:
    """At the very millisecond; the ETag tells a caller that asks again."""
    story = Scenario(SETTINGS).at("0s", order("*", minutes=10))
    under_review = fleet.route(story.engine, START_MS + 10 * MINUTE_MS - 1)
    over = fleet.route(story.engine, START_MS + 10 * MINUTE_MS)
    assert (under_review.mode, over.mode) == ("review", "observe")
    assert under_review.etag != over.etag
    story.at("1m", order("*", on=False))
    assert fleet.route(story.engine, story.now_ms).review is None


def test_stuck_order_under_review_is_a_persons_until_the_review_ends() -> None:
    """Nothing is claimed or bought while it stands; afterwards the executor takes the order."""
    story = Scenario(SETTINGS).at("0s", order("sku:gold"), paid("o1", channel="a", sku="gold"))
    story.at("1s", paid("o2", channel="a", sku="tin")).at("59m", tick())
    states = {case.order_id: case.state for case in story.engine.desk.cases.values()}
    assert states["o1"] == "advised"
    assert len(story.commands_like("case o1 advised")) == 1
    assert story.commands_like("claim o2")
    assert not story.commands_like("claim o1")
    story.at("62m", tick())
    assert story.commands_like("claim o1")


def test_order_that_is_delivered_under_review_is_never_taken_over() -> None:
    """The person did it; the end of the review starts nothing."""
    story = Scenario(SETTINGS).at("0s", order("*"), paid("o1", channel="a"))
    story.at("30m", delivered("o1", channel="a")).at("3h", tick())
    assert not story.commands_like("claim o1")


def test_review_survives_snapshot_and_log() -> None:
    """Both ways to come back know it."""
    story = Scenario(SETTINGS).at("0s", order("sku:gold"))
    restored = Engine(SETTINGS, RuleSet())
    restored.restore(story.engine.snapshot(), START_MS)
    replayed = Engine(SETTINGS, RuleSet())
    for segment in story.log:
        replayed.refold(*segment)
    views = [fleet.reviews(one, START_MS) for one in (story.engine, restored, replayed)]
    assert views[0] == views[1] == views[2]
    assert views[0][0].scope == "sku:gold"


def test_reviews_that_are_over_are_forgotten() -> None:
    """A year of reviews does not pile up."""
    story = Scenario(SETTINGS)
    for n in range(5):
        ordered = msgspec.structs.replace(
            order(f"sku:{n}"),
            at_ms=START_MS + n * HOUR_MS,
            until_ms=START_MS + n * HOUR_MS + MINUTE_MS,
        )
        story.at(f"{n}h", ordered)
    assert list(story.engine.control.reviews.by_scope) == ["sku:4"]


@pytest.mark.parametrize("scope", ["", "gold", "sku:", "colour:red", "*:a", "sku:" + "x" * 200])
def test_what_is_no_scope_is_refused(scope: str) -> None:
    """With the kinds there are."""
    with pytest.raises(InputError, match="channel:NAME"):
        check_scope(scope)
