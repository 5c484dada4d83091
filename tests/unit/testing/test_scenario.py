"""The teller of stories keeps time, and says readably what went otherwise."""

import pytest

from monitor.model.effects import CallWebhook
from monitor.model.records import Breached, TierReached
from monitor.model.settings import Settings, WebhookSettings
from monitor.testing.scenario import START_MS, Scenario, delivered, heartbeat, paid, tick


def test_engine_is_woken_when_it_asked_to_be(scenario: Scenario) -> None:
    """A breach is decided at its own millisecond, not at the next line of the story."""
    scenario.at("0s", paid("o1")).at("1h", tick())
    at_ms, _ = scenario.commands_like("breach o1 on external")[0]
    assert at_ms == START_MS + 180_001


def test_expectation_may_be_a_line_or_the_decision_itself(scenario: Scenario) -> None:
    """Both in one list."""
    scenario.at("0s", paid("o1")).at("4m", tick()).expect(
        Breached("o1", START_MS + 180_000, "external", START_MS + 180_001), "tier o1 L1"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        (),
        ("breach o1 on external",),
        ("tier o1 L1", "breach o1 on external"),
        ("breach o1 on external", "tier o1 L1", "tier o1 L2"),
        ("breach o1 on external", TierReached("o1", 2, START_MS + 180_001)),
    ],
)
def test_anything_missing_surplus_or_in_another_order_fails(
    scenario: Scenario, wanted: tuple[str, ...]
) -> None:
    """The whole list must match."""
    scenario.at("0s", paid("o1")).at("4m", tick())
    with pytest.raises(AssertionError, match="expected \\(-\\) and happened \\(\\+\\)"):
        scenario.expect(*wanted)


def test_failure_shows_the_difference_and_the_story(scenario: Scenario) -> None:
    """Readable without a debugger."""
    scenario.at("0s", paid("o1")).at("4m", tick())
    with pytest.raises(AssertionError) as caught:
        scenario.expect("breach o1 on auto", "tier o1 L1")
    text = str(caught.value)
    assert "- breach o1 on auto" in text
    assert "+ breach o1 on external" in text
    assert "      3m  tier o1 L1" in text


def test_expectations_continue_where_the_last_one_ended(scenario: Scenario) -> None:
    """Nothing is expected twice, `skip` leaves things unsaid."""
    scenario.at("0s", paid("o1")).at("4m", tick()).skip().at("5m1s", tick()).expect("tier o1 L2")


def test_decisions_can_be_expected_without_effects() -> None:
    """Messages are another test's matter."""
    story = (
        Scenario(Settings(webhooks=(WebhookSettings("w"),))).at("0s", paid("o1")).at("4m", tick())
    )
    story.expect_decisions("breach o1 on external", "tier o1 L1")
    assert [type(one) for one in story.effects()] == [CallWebhook]


def test_happenings_have_the_time_of_their_line_or_their_own(scenario: Scenario) -> None:
    """`paid("o1", "-1m")` happened before the story began; all arrived with their line."""
    scenario.at("10s", paid("o1", "-1m"), delivered("o1"), heartbeat())
    first, second = scenario.engine.shard.orders["o1"].timeline
    assert (first.time_ms, second.time_ms) == (START_MS - 60_000, START_MS + 10_000)
    assert {first.received_ms, second.received_ms} == {START_MS + 10_000}
    assert scenario.outcomes == ("accepted",) * 3


def test_story_does_not_go_back_in_time(scenario: Scenario) -> None:
    """A line that lies before the one above it is a mistake of its author."""
    with pytest.raises(ValueError, match="already past 1s"):
        scenario.at("2s", tick()).at("1s", tick())
