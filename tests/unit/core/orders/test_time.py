"""What time does to orders: breach, tiers, backlog, silence. Every test is a transcript."""

import msgspec
import pytest

from monitor.core.views.orders import order_details
from monitor.model.records import Breached, TierReached
from monitor.model.settings import (
    FallbackSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
    Tiers,
    WebhookSettings,
)
from monitor.testing.scenario import (
    START_MS,
    Scenario,
    attempt_failed,
    attempted,
    cancelled,
    created,
    delivered,
    heartbeat,
    paid,
    refunded,
    tick,
)

MINUTE_MS = 60_000
BEATING = Settings(sources=(SourceSettings("shop", heartbeat_ms=2 * MINUTE_MS),))
ARMED = msgspec.structs.replace(
    BEATING, fallback=FallbackSettings(mode="enforce", has_shop=True, order=("pool",))
)


# --- breach -------------------------------------------------------------------------------------


def test_order_breaches_one_millisecond_after_its_promise(scenario: Scenario) -> None:
    """Exactly at the promise is in time; the breach carries the instant of the promise."""
    scenario.at("0s", paid("o1", channel="auto")).at("3m", tick()).expect()
    scenario.at("181s", tick()).expect(
        Breached("o1", START_MS + 180_000, "auto", START_MS + 180_001),
        TierReached("o1", 1, START_MS + 180_001),
    )


def test_breach_happens_once_whatever_arrives_later(scenario: Scenario) -> None:
    """Late facts revise the verdict, never the breach."""
    scenario.at("0s", paid("o1")).at("4m", tick()).expect("breach o1 on external", "tier o1 L1")
    scenario.at("4m10s", delivered("o1", "2m")).at("4m20s", paid("o1", "-2m", event_id="x"))
    scenario.at("4m30s", refunded("o1", "2m30s")).at("1h", tick()).expect()
    order = scenario.engine.shard.orders["o1"]
    assert order.breach_ms == START_MS + 180_000
    assert order_details(scenario.engine, order, scenario.now_ms).verdict == "late_delivered"


def test_late_delivery_in_time_revises_the_verdict_to_good(scenario: Scenario) -> None:
    """The shop delivered in time and told us late."""
    scenario.at("0s", paid("o1")).at("4m", tick()).at("5m", delivered("o1", "2m"))
    order = scenario.engine.shard.orders["o1"]
    assert order_details(scenario.engine, order, scenario.now_ms).verdict == "good"
    assert order.breach_ms is not None


@pytest.mark.parametrize("ending", [delivered, refunded, cancelled])
def test_order_done_at_its_very_deadline_does_not_breach(
    scenario: Scenario, ending: object
) -> None:
    """A deadline is judged after all events of its millisecond."""
    scenario.at("0s", paid("o1")).at("3m", ending("o1")).at("1h", tick()).expect()  # type: ignore[operator]  # a builder


def test_whole_batch_is_folded_before_deadlines_are_judged(scenario: Scenario) -> None:
    """A delivery anywhere in the batch that arrives after the deadline prevents the breach."""
    scenario.at("0s", paid("o1"))
    scenario.at("180000ms", tick())
    scenario.at("180001ms", paid("o2"), delivered("o1", "179s")).expect()


def test_order_delivered_late_between_two_ticks_breaches(scenario: Scenario) -> None:
    """What happened after the promise cannot undo it, even if it arrives with the tick."""
    scenario.at("0s", paid("o1", channel="auto")).at("3m", tick())
    scenario.at("180001ms", delivered("o1", channel="b")).expect("breach o1 on auto")


def test_breach_counts_for_the_channel_that_held_the_order_then(scenario: Scenario) -> None:
    """The latest attempt before the deadline, whoever delivers later."""
    scenario.at("0s", paid("o1", channel="a")).at("1m", attempted("o1", channel="b"))
    scenario.at("4m", tick()).expect("breach o1 on b", "tier o1 L1")
    scenario.at("4m30s", attempted("o1", channel="c")).at("5m", delivered("o1", channel="c"))
    assert scenario.engine.channel_of(scenario.engine.shard.orders["o1"]) == "b"


def test_unpaid_order_has_no_promise_clock(scenario: Scenario) -> None:
    """An abandoned checkout is not a late order."""
    scenario.at("0s", created("o1")).at("2h", tick()).expect()


# --- tiers --------------------------------------------------------------------------------------


def test_each_tier_is_reached_once_in_its_order(scenario: Scenario) -> None:
    """L1 at the promise, L2 after 5 min, L3 after 30 min, each one millisecond later."""
    scenario.at("0s", paid("o1")).at("3h", tick())
    reached = [one for one in scenario.decisions() if isinstance(one, TierReached)]
    assert [(one.tier, one.decided_ms - START_MS) for one in reached] == [
        (1, 180_001), (2, 300_001), (3, 1_800_001),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tiers", "promise_ms", "minutes"),
    [
        (Tiers(), 60_000, (1, 5, 30)),
        (Tiers(), 1_800_000, (30, 50, 300)),
        (Tiers(l1_after_ms=120_000), 1_800_000, (2, 50, 300)),
    ],
)
def test_tiers_stretch_with_long_promises_and_never_shrink(
    tiers: Tiers, promise_ms: int, minutes: tuple[int, int, int]
) -> None:
    """L2 and L3 are multiplied by max(1, promise / default)."""
    story = Scenario(Settings(tiers=tiers)).at("0s", paid("o1", promise_ms=promise_ms))
    story.at("10h", tick())
    reached = [one for one in story.decisions() if isinstance(one, TierReached)]
    assert [(one.decided_ms - START_MS - 1) / MINUTE_MS for one in reached] == list(minutes)


def test_done_order_reaches_no_further_tier(scenario: Scenario) -> None:
    """A refund ends the wait as a delivery does."""
    scenario.at("0s", paid("o1")).at("4m", refunded("o1")).skip().at("5h", tick()).expect()


def test_tier_is_told_to_webhooks_and_from_l2_on_to_people() -> None:
    """L1 is for machines; L2 and L3 also go to the default receiver."""
    settings = Settings(
        receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
        default_receiver="ops",
        webhooks=(
            WebhookSettings("webhooks/0", ("order.*",)),
            WebhookSettings("webhooks/1", ("x",)),
        ),
    )
    story = Scenario(settings).at("0s", paid("o1")).at("4m", tick())
    story.expect("breach o1 on external", "tier o1 L1", "webhook webhooks/0 order.tier_changed")
    story.at("6m", tick()).expect(
        "tier o1 L2",
        "notify ops/dingtalk/0 order.tier_changed info",
        "webhook webhooks/0 order.tier_changed",
    )


# --- backlog ------------------------------------------------------------------------------------


def test_order_first_seen_overdue_starts_nothing_for_a_minute(scenario: Scenario) -> None:
    """It is judged late at once, but breach and tiers wait for what the backlog still brings."""
    scenario.at("1h", paid("o1", "10m")).at("1h59s", tick()).expect()
    order = scenario.engine.shard.orders["o1"]
    assert order_details(scenario.engine, order, scenario.now_ms).verdict == "late_pending"
    scenario.at("1h1m", tick()).expect("breach o1 on external", "tier o1 L3")


@pytest.mark.parametrize("fallback", ["observe", "advise", "enforce"])
def test_backlog_with_its_delivery_does_nothing(fallback: str) -> None:
    """A backfill that brings paid and then, within the minute, delivered in time: no decision ever."""
    settings = Settings(fallback=FallbackSettings(mode=fallback, has_shop=True))
    story = Scenario(settings).at("1h", paid("o1", "10m"))
    story.at("1h30s", delivered("o1", "11m")).at("9h", tick()).expect()


def test_backlog_delivered_late_is_a_breach_without_tier(scenario: Scenario) -> None:
    """It was late when it happened; nobody needs to act on it."""
    scenario.at("1h", paid("o1", "10m")).at("1h30s", delivered("o1", "20m")).at("9h", tick())
    scenario.expect("breach o1 on external")


def test_late_fact_about_an_order_known_in_time_is_not_a_backlog(scenario: Scenario) -> None:
    """Only an order first seen overdue is held."""
    scenario.at("0s", paid("o1")).at("179s", attempted("o1")).at("181s", tick())
    scenario.expect("breach o1 on external", "tier o1 L1")


def test_held_order_is_not_taken_over_before_the_minute_is_over() -> None:
    """A takeover is the last thing a backlog may start."""
    story = Scenario(ARMED).at("1h", paid("o1", "10m"), heartbeat())
    story.at("1h59s", tick()).expect()
    story.at("1h61s", tick()).expect_decisions(
        "breach o1 on external", "tier o1 L3", "case o1 claiming"
    )


# --- stuck orders -------------------------------------------------------------------------------


def test_stuck_order_is_taken_over_although_the_shop_keeps_reporting_attempts() -> None:
    """Events every half a minute must not push the takeover away for ever."""
    story = Scenario(ARMED).at("0s", paid("o1"))
    for index in range(1, 15):
        story.at(f"{index * 30}s", attempt_failed("o1"))
    opened = [at_ms - START_MS for at_ms, _ in story.commands_like("case o1 claiming")]
    assert opened == [5 * MINUTE_MS]


def test_takeover_that_a_limit_forbade_is_tried_again_in_a_minute() -> None:
    """Once an hour allows one more, the waiting order gets it."""
    settings = msgspec.structs.replace(
        ARMED, fallback=FallbackSettings(mode="enforce", has_shop=True, max_per_hour=1)
    )
    story = Scenario(settings).at("0s", paid("o1")).at("1s", paid("o2"))
    for minute in range(1, 70):
        story.at(f"{minute}m", heartbeat())
    opened = {
        name: [at for at, _ in story.commands_like(f"case {name} claiming")]
        for name in ("o1", "o2")
    }
    assert opened["o1"] == [START_MS + 5 * MINUTE_MS]
    (later,) = opened["o2"]
    assert START_MS + 65 * MINUTE_MS <= later <= START_MS + 66 * MINUTE_MS


# --- silent sources -----------------------------------------------------------------------------


def test_silent_source_makes_no_breach_and_orders_unconfirmed() -> None:
    """A dead emitter must never look like a delivery outage."""
    story = Scenario(ARMED).at("0s", heartbeat()).at("1m", paid("o1"), paid("o2"))
    story.at("3h", tick()).expect("source shop silent")
    for order_id in ("o1", "o2"):
        details = order_details(story.engine, story.engine.shard.orders[order_id], story.now_ms)
        assert (details.verdict, details.unconfirmed) == ("late_pending", True)
        assert details.breached_at is None


def test_order_of_a_silent_source_in_time_is_not_unconfirmed() -> None:
    """What is not overdue needs no confirmation."""
    story = Scenario(BEATING).at("0s", paid("o1", promise_ms=86_400_000)).at("1h", tick())
    details = order_details(story.engine, story.engine.shard.orders["o1"], story.now_ms)
    assert (details.verdict, details.unconfirmed) == ("undecided", False)


def test_no_takeover_or_tier_rests_on_a_silent_source_before_the_promise_either() -> None:
    """Long promises reach the takeover age first; a silent source forbids that as well."""
    settings = msgspec.structs.replace(ARMED, tiers=Tiers(l1_after_ms=6 * MINUTE_MS))
    story = Scenario(settings).at("0s", paid("o1", promise_ms=7_200_000))
    story.at("1h", tick()).expect("source shop silent")


def test_returned_source_is_judged_by_the_times_of_its_events() -> None:
    """After the return and a minute for the backlog: delivered in time is good, the rest breaches."""
    story = Scenario(BEATING).at("0s", *(paid(name) for name in ("good", "late", "open")))
    story.at("1h", tick()).expect("source shop silent")
    story.at("1h1s", delivered("good", "2m")).expect("source shop back")
    story.at("1h20s", delivered("late", "8m")).at("1h1m", tick()).expect()
    story.at("1h2m", heartbeat()).expect(
        "breach late on external", "breach open on external", "tier open L3"
    )
    assert story.engine.shard.orders["open"].breach_ms == START_MS + 180_000


def test_late_delivery_that_ends_the_silence_itself_is_a_breach() -> None:
    """The event that brings the source back is judged like those behind it."""
    story = Scenario(BEATING).at("0s", paid("o1")).at("1h", tick()).skip()
    story.at("1h1s", delivered("o1", "50m")).at("1h2m", heartbeat())
    story.expect("source shop back", "breach o1 on external")


def test_held_rows_are_released_once_the_source_is_back() -> None:
    """Signals see the judged order again."""
    story = Scenario(BEATING).at("0s", paid("o1")).at("1h", tick())
    assert story.engine.shard.observe().is_held.tolist() == [True]
    story.at("1h1s", delivered("o1", "50m")).at("1h2m", heartbeat())
    assert story.engine.shard.observe().is_held.tolist() == [False]


def test_learned_silence_holds_orders_of_a_source_without_heartbeat(scenario: Scenario) -> None:
    """An order a minute for two hours, then nothing: the last ones are unconfirmed, not late."""
    for minute in range(120):
        scenario.at(f"{minute}m", paid(f"o{minute}"), delivered(f"o{minute}"))
    scenario.at("120m", paid("last", promise_ms=3_600_000)).skip()
    scenario.at("8h", tick()).expect("source shop silent", "learned * 120", "learned external 120")


def test_silence_of_one_source_does_not_hold_the_orders_of_another() -> None:
    """Each shop speaks for its own orders."""
    story = Scenario(BEATING).at("0s", paid("o1"), paid("o2", source="other")).at("4m", tick())
    story.expect("source shop silent", "breach o2 on external", "tier o2 L1")


def test_source_never_heard_is_not_silent() -> None:
    """Configured but not connected yet: nothing to worry about, nothing to hold."""
    Scenario(BEATING).at("9h", tick()).expect()
