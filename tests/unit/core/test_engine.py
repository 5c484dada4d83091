"""The one door: batches, wake-ups, memory and what leaves it."""

from collections import Counter

import msgspec
import pytest

from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.orders.names import NAMES_MAX
from monitor.core.orders.plans import DORMANT_MS
from monitor.model.commands import Accepted, Batch, Tick
from monitor.model.records import (
    AttemptAnswered,
    Breached,
    CaseMoved,
    CaseResolved,
    ClaimAnswered,
    Entry,
    HandOverAnswered,
    SourceMoved,
    SwitchAnswered,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FailoverSettings, FallbackSettings, Settings
from monitor.model.times import DAY_MS, HOUR_MS
from monitor.testing.scenario import (
    START_MS,
    Scenario,
    cancelled,
    created,
    delivered,
    heartbeat,
    paid,
    tick,
)
from tests.property.engine_world import RULES, SETTINGS

CASE_STATES = (
    "advised", "claiming", "claimed", "submitting", "accepted", "unknown", "handing_over",
    "delivered", "escalated", "voided",
)  # fmt: skip
ARMED = msgspec.structs.replace(SETTINGS, sources=())


def story_with_case(state: str) -> Scenario:
    """A stuck order whose takeover has just reached a state."""
    settings = ARMED
    if state == "advised":
        settings = msgspec.structs.replace(ARMED, fallback=FallbackSettings(mode="advise"))
    story = Scenario(settings, RULES).at("0s", paid("o1", amount_minor=500)).at("301s", tick())
    for answer in answers_to(state, story):
        story.at(f"{(story.now_ms - START_MS) // 1000 + 1}s", answer)
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    assert case.state == state
    return story


def answers_to(state: str, story: Scenario) -> list[Entry]:
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    takeover_id, key = case.takeover_id, f"claim_{case.claim_id}"

    def claimed(status: str) -> ClaimAnswered:
        return ClaimAnswered(key, takeover_id, status, story.now_ms, paid=True, sku="gold",
                             amount_minor=500)  # fmt: skip

    if state in ("advised", "claiming"):
        return []
    if state in ("escalated", "voided"):
        return [claimed("denied" if state == "escalated" else "already_delivered")]
    story.at("302s", claimed("granted"))
    moved = story.engine.shard.orders["o1"].case
    assert moved is not None
    ref = moved.attempts[-1].ref

    def answered(outcome: str, **more: object) -> AttemptAnswered:
        fields = {"retry": "other", "goods_count": int(outcome == "delivered"), **more}
        return msgspec.structs.replace(
            AttemptAnswered(f"submit_{ref}", takeover_id, ref, outcome, story.now_ms, code="x"),
            **fields,
        )

    got = answered("delivered")
    by_state: dict[str, list[Entry]] = {
        "submitting": [],
        "claimed": [answered("rejected", retry="same")],
        "accepted": [answered("accepted")],
        "unknown": [answered("unknown")],
        "handing_over": [got],
        "delivered": [got, HandOverAnswered("h", takeover_id, "delivered", story.now_ms)],
    }
    return by_state[state]


# --- the door -----------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_batch(scenario: Scenario) -> None:
    """Each sender learns what became of its own entries."""
    scenario.at("0s", paid("o1"), paid("o1"), delivered("o1"), heartbeat(), heartbeat())
    assert scenario.outcomes == ("accepted", "duplicate", "accepted", "accepted", "accepted")


def test_empty_batch_is_taken(scenario: Scenario) -> None:
    """Nothing in, nothing accepted, and the clock is looked at."""
    commands = scenario.engine.handle(Batch(()), START_MS)
    assert commands[0] == Accepted(())


# --- wake-ups -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", CASE_STATES)
def test_engine_with_a_case_in_any_state_rests_between_wake_ups(state: str) -> None:
    """Whatever is open, an engine without news asks for few ticks: no wake-up lies in the past."""
    story = story_with_case(state)
    wakes = len(story.wakes)
    begin = (story.now_ms - START_MS) // 1000
    story.at(f"{begin + 1800}s", tick())
    per_second = Counter(wake_ms // 1000 for wake_ms in story.wakes[wakes:])
    assert max(per_second.values()) <= 8
    assert sum(per_second.values()) <= 1800 / 5 * 1.5 + 100


def test_idle_engine_with_held_orders_and_alerts_rests() -> None:
    """Backlog, silence, pending and firing alerts: at most a wake-up every few seconds."""
    story = Scenario(SETTINGS, RULES).at("1h", *(paid(f"o{n}", "10m") for n in range(9)))
    story.at("1h2m", *(paid(f"p{n}", source="beating") for n in range(9)))
    wakes = len(story.wakes)
    story.at("2h", tick())
    assert len(story.wakes) - wakes <= 3600 / 5 * 1.2
    assert any(isinstance(one, SourceMoved) for one in story.decisions())


def test_engine_without_rules_or_orders_rests(scenario: Scenario) -> None:
    """Before the first event there is only the breaker to look after."""
    scenario.at("0s", tick()).at("1h", tick())
    assert len(scenario.wakes) <= 3600 / 5 + 1


def test_reloaded_rules_leave_no_wake_up_behind() -> None:
    """A rule that is gone is not due for ever."""
    story = Scenario(SETTINGS, load_shipped()).at("0s", tick()).at("1m", tick())
    story.engine.configure(SETTINGS, RuleSet())
    wakes = len(story.wakes)
    story.at("61s", tick()).at("1h", tick())
    assert len(story.wakes) - wakes <= 3600 / 5 + 20


def test_reload_that_arms_the_fallback_finds_orders_already_stuck() -> None:
    """The owner turns `enforce` on in the middle of an outage."""
    story = Scenario(msgspec.structs.replace(ARMED, fallback=FallbackSettings()))
    story.at("0s", paid("o1", amount_minor=500)).at("20m", tick()).skip()
    story.engine.configure(ARMED, RuleSet())
    story.at("20m1s", tick())
    assert story.commands_like("case o1 claiming")


def test_reload_that_arms_the_fallback_takes_over_what_it_had_only_advised() -> None:
    """A new case under the next fence; the advice is gone, for a restarted engine alike."""
    advising = msgspec.structs.replace(ARMED, fallback=FallbackSettings(mode="advise"))
    story = Scenario(advising).at("0s", paid("o1", amount_minor=500)).at("20m", tick())
    advised = story.engine.shard.orders["o1"].case
    assert advised is not None
    assert (advised.state, advised.fence) == ("advised", 1)
    again = Engine(ARMED, RuleSet())
    again.restore(story.engine.snapshot(), story.now_ms)
    story.skip().engine.configure(ARMED, RuleSet())
    story.at("20m1s", tick())
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    assert (case.state, case.fence) == ("claiming", 2)
    assert [type(one).__name__ for one in story.effects()].count("Claim") == 1
    for record in story.decisions():
        if isinstance(record, CaseMoved) and record.at_ms == story.now_ms:
            again.refold(record)
    assert list(story.engine.desk.cases) == list(again.desk.cases) == [case.takeover_id]


@pytest.mark.parametrize("fallback", [FallbackSettings(mode="advise"), FallbackSettings("enforce")])
def test_advice_stays_one_case_while_nobody_can_act(fallback: FallbackSettings) -> None:
    """Without `enforce` and a shop to ask, the order is advised once and left to people."""
    story = Scenario(Settings(fallback=fallback)).at("0s", paid("o1")).at("6m", tick())
    story.engine.configure(Settings(fallback=fallback), RuleSet())
    story.at("2h", tick())
    assert len(story.commands_like("case o1 advised")) == 1


def test_advised_order_waits_for_the_time_that_the_new_settings_name() -> None:
    """Arming with a longer `after` does not take over what is younger than that."""
    advising = msgspec.structs.replace(ARMED, fallback=FallbackSettings(mode="advise"))
    story = Scenario(advising).at("0s", paid("o1", amount_minor=500)).at("301s", tick()).skip()
    later = msgspec.structs.replace(ARMED.fallback, after_ms=600_000)
    story.engine.configure(msgspec.structs.replace(ARMED, fallback=later), RuleSet())
    story.at("599s", tick())
    assert not story.commands_like("case o1 claiming")
    story.at("10m", tick())
    assert story.commands_like("case o1 claiming")


# --- names from outside -------------------------------------------------------------------------


def test_channels_and_sources_beyond_the_limit_are_other(scenario: Scenario) -> None:
    """At most 200 not configured of each; the rest shares one name, configured ones keep theirs."""
    story = Scenario(Settings(channels=(ChannelSettings("mine"),)))
    story.at("0s", *(paid(f"o{n}", channel=f"c{n}", source=f"s{n}") for n in range(250)))
    story.at("1s", paid("last", channel="mine"))
    assert len(story.engine.shard.channels) == NAMES_MAX + 2 == 202
    assert story.engine.shard.channels[-1] == "other"
    assert len(story.engine.shard.sources) <= NAMES_MAX + 1
    assert "other" in story.engine.shard.sources
    story.at("4m", tick())
    channels = Counter(one.channel for one in story.decisions() if isinstance(one, Breached))
    assert channels["mine"] == 1
    assert channels["other"] > 40


# --- memory -------------------------------------------------------------------------------------


def test_settled_order_leaves_memory_after_the_signal_window(scenario: Scenario) -> None:
    """Stored first, then forgotten; its row leaves the signals with it."""
    scenario.at("0s", paid("o1")).at("1m", delivered("o1")).at("6h", tick())
    assert "o1" in scenario.engine.shard.orders
    scenario.engine.shard.drain_dirty()
    scenario.at("6h3m", tick())
    assert scenario.engine.shard.orders == {}
    assert len(scenario.engine.shard.observe().key) == 0
    assert scenario.engine.missing([paid("o1").event(0)]) == ["o1"]


def test_order_not_yet_stored_does_not_leave_memory(scenario: Scenario) -> None:
    """What the store does not know must not be forgotten."""
    scenario.at("0s", paid("o1")).at("1m", delivered("o1")).at("9h", tick())
    assert "o1" in scenario.engine.shard.orders


def test_late_news_keep_an_order_in_memory(scenario: Scenario) -> None:
    """The time in memory counts from the latest arrival, not from the latest event time."""
    scenario.at("0s", paid("o1")).at("1m", delivered("o1"))
    scenario.at("5h", created("o1", "-1m"))
    scenario.engine.shard.drain_dirty()
    scenario.at("7h", tick())
    assert "o1" in scenario.engine.shard.orders


def test_open_order_nobody_speaks_of_goes_dormant_and_comes_back() -> None:
    """After 30 days it leaves memory; a late delivery finds it in the store and ends it."""
    settings = Settings(evaluation_floor_ms=HOUR_MS)
    story = Scenario(settings).at("0s", paid("o1")).at("1h", tick())
    story.engine.shard.drain_dirty()
    story.at(f"{DORMANT_MS // DAY_MS}d1h", tick())
    (dormant,) = story.engine.shard.drain_dormant()
    assert story.engine.shard.orders == {}
    story.engine.hydrate([dormant], story.now_ms)
    story.skip().at("32d", delivered("o1")).expect()
    assert story.engine.shard.orders["o1"].facts.delivered_ms == story.now_ms
    assert story.engine.shard.orders["o1"].breach_ms == START_MS + 180_000


def test_order_with_an_open_case_stays_until_a_person_has_closed_it() -> None:
    """A resolution months later must find its order."""
    settings = msgspec.structs.replace(ARMED, evaluation_floor_ms=HOUR_MS)
    story = Scenario(settings).at("0s", paid("o1", amount_minor=500)).at("20m", tick())
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    assert case.state == "escalated"
    for day in (1, 20, 40, 70):
        story.engine.shard.drain_dirty()
        story.at(f"{day}d", tick())
    story.at("70d1s", CaseResolved(case.takeover_id, "refunded", "ann", story.now_ms))
    closed = story.engine.shard.orders["o1"].case
    assert closed is not None
    assert closed.state == "voided"


def test_closed_case_leaves_memory_with_its_order() -> None:
    """An answer that comes much too late finds nothing and breaks nothing."""
    settings = msgspec.structs.replace(ARMED, evaluation_floor_ms=HOUR_MS)
    story = Scenario(settings).at("0s", paid("o1", amount_minor=500)).at("301s", tick())
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    story.at("6m", cancelled("o1"))
    for day in (1, 40, 41):
        story.engine.shard.drain_dirty()
        story.at(f"{day}d", tick())
    assert (story.engine.shard.orders, story.engine.desk.cases) == ({}, {})
    story.at("41d1s", ClaimAnswered("c", case.takeover_id, "granted", story.now_ms, paid=True))


# --- answers ------------------------------------------------------------------------------------


def test_delivery_by_the_shop_after_ours_is_counted_as_double() -> None:
    """The worst that can happen is a number somebody can see."""
    story = story_with_case("delivered")
    case = story.engine.shard.orders["o1"].case
    assert case is not None
    later = (story.now_ms - START_MS) // 1000
    story.at(f"{later + 1}s", delivered("o1", takeover_id=case.takeover_id))
    assert story.engine.shard.totals.double_deliveries == 0
    story.at(f"{later + 2}s", delivered("o1"))
    assert story.engine.shard.totals.double_deliveries == 1


def test_limit_of_takeovers_holds_within_one_tick() -> None:
    """Many orders stuck at once: only as many cases as the hour allows."""
    story = Scenario(ARMED).at("0s", *(paid(f"o{n}", amount_minor=500) for n in range(9)))
    story.at("301s", tick())
    opened = [one for one in story.effects() if type(one).__name__ == "Claim"]
    assert len(opened) == ARMED.fallback.max_per_hour == 3


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_unarmed_fallback_asks_nothing_of_the_shop(mode: str) -> None:
    """Out of the box it watches and tells."""
    fallback = FallbackSettings(mode=mode, has_shop=True, order=("pool",))
    story = Scenario(Settings(fallback=fallback)).at("0s", paid("o1")).at("2h", tick())
    assert [type(one).__name__ for one in story.effects()] == []
    assert bool(story.commands_like("case o1 advised")) is (mode == "advise")


def test_answer_about_an_unknown_case_or_epoch_is_ignored(scenario: Scenario) -> None:
    """Answers may be older than anything we remember."""
    answers: list[Entry] = [
        ClaimAnswered("c", "tko_x", "granted", START_MS),
        CaseResolved("tko_x", "refunded", "ann", START_MS),
        SwitchAnswered("switch_7", 7, "refused", None, START_MS),
    ]
    scenario.at("0s", *answers).expect()


# --- state as a value ---------------------------------------------------------------------------


def test_snapshot_of_restored_engine_equals_its_snapshot() -> None:
    """Restore is the inverse of snapshot, also with other settings."""
    story = story_with_case("accepted")
    again = Engine(Settings(failover=FailoverSettings(mode="observe")), RuleSet())
    again.restore(story.engine.snapshot(), story.now_ms + 5)
    assert len(again.shard.orders) == 1
    same = Engine(ARMED, RULES)
    same.restore(story.engine.snapshot(), story.now_ms + 5)
    assert same.engine_hash() == story.engine.engine_hash()
    assert same.handle(Tick(), story.now_ms + 5)[-1:] != []
