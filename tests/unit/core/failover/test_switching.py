"""Switching as a story through the whole engine: orders in, commands out."""

import msgspec
import pytest

from monitor.core.views import fleet
from monitor.model.effects import Notify, SwitchChannel
from monitor.model.records import ChannelSteered, SwitchAnswered, SwitchDecided
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
)
from monitor.testing.scenario import START_MS, Scenario, delivered, heartbeat, paid, tick

SETTINGS = Settings(
    channels=(ChannelSettings("a"), ChannelSettings("b")),
    failover=FailoverSettings(mode="enforce", has_webhook=True),
    receivers=(ReceiverSettings("ops", ("webhook/0",)),),
    default_receiver="ops",
)


def broken(settings: Settings = SETTINGS) -> Scenario:
    """Four orders on `a`, ten seconds apart, that are never delivered."""
    story = Scenario(settings)
    for n in range(4):
        story.at(f"{n * 10}s", paid(f"o{n}", channel="a"))
    return story


def switches(story: Scenario) -> list[SwitchDecided]:
    return [one for one in story.decisions() if isinstance(one, SwitchDecided)]


def test_total_outage_is_switched_when_the_fourth_order_turns_slow() -> None:
    """60 s after the fourth order was paid, at the next look of the breaker: before any breach."""
    story = broken().at("90s", tick()).expect()
    story.at("2m", tick()).expect(
        "switch 1 enforce a=0 b=100", "send switch 1", "notify ops/webhook/0 channel.switch info"
    )
    (decided,) = switches(story)
    assert (decided.at_ms - START_MS) / 1000 == 95
    assert fleet.route(story.engine, story.now_ms).ranked == [("b", 100)]


def test_command_carries_the_desired_state_and_where_to_acknowledge() -> None:
    """Contract §6, literally."""
    story = broken().at("2m", tick())
    command = next(one for one in story.effects() if isinstance(one, SwitchChannel))
    payload = msgspec.json.decode(command.payload)
    assert set(payload) == {
        "scope", "epoch", "prev_epoch", "decision_id", "weights", "previous", "reason", "mode",
        "evidence", "min_dwell_s", "valid_until", "inflight", "drill", "ack_url",
    }  # fmt: skip
    assert payload["weights"] == {"a": 0, "b": 100}
    assert payload["min_dwell_s"] == 600
    assert payload["inflight"] == 4
    assert payload["ack_url"].endswith(f"/v1/switches/{payload['decision_id']}/ack")
    assert command.key == "switch_1"


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_unarmed_switch_is_told_but_not_sent(mode: str) -> None:
    """A message to people, no command, no epoch, the same route."""
    settings = msgspec.structs.replace(SETTINGS, failover=FailoverSettings(mode=mode))
    story = broken(settings).at("2m", tick())
    story.expect(f"switch 0 {mode} a=0 b=100", "notify ops/webhook/0 channel.switch info")
    assert fleet.route(story.engine, story.now_ms).ranked == [("a", 100)]


def test_silent_source_switches_nothing() -> None:
    """The shop died, not the channel."""
    settings = msgspec.structs.replace(SETTINGS, sources=(SourceSettings("shop", 40_000),))
    story = broken(settings).at("3h", tick())
    assert switches(story) == []
    assert story.commands_like("source shop silent")


def test_shop_that_was_given_up_forbids_no_switch_for_the_others() -> None:
    """Its last orders prove nothing, also those that ended slowly; the four of the living shop do."""
    sources = (SourceSettings("old", 40_000), SourceSettings("shop", 600_000))
    settings = msgspec.structs.replace(SETTINGS, sources=sources)
    story = Scenario(settings)
    for n in range(3):
        story.at(f"{n}s", paid(f"x{n}", channel="a", source="old"))
    story.at("3s", paid("x3", channel="a", source="old"), paid("o0", channel="a"))
    for n in range(1, 4):
        story.at(f"{10 * n}s", paid(f"o{n}", channel="a"))
    story.at("89s", tick())
    assert story.commands_like("source old silent")
    assert switches(story) == []
    story.at("2m", tick())
    assert [one.epoch for one in switches(story)] == [1]


def test_slow_deliveries_of_a_shop_that_fell_silent_switch_nothing() -> None:
    """They were slow, but nothing is known since, and a lock that ends must not act on them."""
    settings = msgspec.structs.replace(SETTINGS, sources=(SourceSettings("shop", 120_000),))
    for is_heard, epochs in ((False, []), (True, [1])):
        story = Scenario(settings).at("0s", ChannelSteered("a", "lock", "ann", START_MS))
        for n in range(4):
            story.at(f"{n}s", paid(f"o{n}", channel="a"))
        for n in range(4):
            story.at(f"{70 + n}s", delivered(f"o{n}", channel="a"))
        story.at("4m", *((heartbeat(),) if is_heard else (tick(),)))
        story.at("4m1s", ChannelSteered("a", "unlock", "ann", START_MS)).at("5m", tick())
        assert [one.epoch for one in switches(story)] == epochs


def test_outage_of_the_second_channel_is_seen_before_any_switch() -> None:
    """Both channels get orders although nobody has commanded weights yet."""
    story = Scenario(SETTINGS)
    for n in range(8):
        story.at(
            f"{n * 10}s", paid(f"a{n}", channel="a"), paid(f"b{n}", channel="b"), delivered(f"a{n}")
        )
    story.at("5m", tick())
    (decided,) = switches(story)
    assert (decided.previous, decided.weights) == ({"a": 50, "b": 50}, {"a": 100, "b": 0})


def test_newer_epoch_withdraws_the_command_of_the_older_one() -> None:
    """Only the newest desired state may reach the shop."""
    story = broken().at("2m", tick()).skip()
    story.at("3m", ChannelSteered("b", "drain", "ann", START_MS)).skip()
    assert [one.epoch for one in switches(story)] == [1, 2]
    assert story.commands_like("cancel switch_1")
    assert fleet.route(story.engine, story.now_ms).ranked == [("a", 100)]


@pytest.mark.parametrize("status", ["stale", "refused", "expired"])
def test_switch_the_shop_did_not_apply_is_told_to_people(status: str) -> None:
    """Once; after an `applied` nobody needs to hear of a late time-out."""
    story = broken().at("2m", tick()).skip()
    answer = SwitchAnswered("switch_1", 1, status, None, START_MS)
    story.at("121s", answer).expect("notify ops/webhook/0 channel.switch info")
    told = [one for one in story.effects() if isinstance(one, Notify)]
    assert told[-1].severity == "critical"
    story.at("122s", SwitchAnswered("switch_1", 1, "applied", 1, START_MS))
    story.at("123s", SwitchAnswered("switch_1", 1, status, None, START_MS)).expect()
    assert fleet.switch(story.engine).status == "applied"


def test_answer_to_an_older_epoch_is_not_told() -> None:
    """It was superseded anyway."""
    story = broken().at("2m", tick()).at("3m", ChannelSteered("b", "drain", "ann", START_MS))
    told = len([one for one in story.effects() if isinstance(one, Notify)])
    story.at("3m", SwitchAnswered("switch_1", 1, "expired", None, START_MS))
    assert len([one for one in story.effects() if isinstance(one, Notify)]) == told


def test_recovered_channel_is_not_switched_back_by_itself() -> None:
    """The route stays until something else fails or a person decides."""
    story = broken().at("2m", tick())
    for n in range(30):
        story.at(f"{130 + n * 10}s", paid(f"n{n}", channel="b"), delivered(f"n{n}"), heartbeat())
    story.at("1h", tick())
    assert [one.epoch for one in switches(story)] == [1]
