"""Rules over many orders: alerts across ticks, by instance, shadow, review, and what is told."""

from typing import Any

import msgspec
import pytest

from monitor.core.rules.parse import parse
from monitor.model.alerts import Alert
from monitor.model.effects import Notify
from monitor.model.records import AlertMoved
from monitor.model.rules import Action, Rule, RuleSet
from monitor.model.settings import ReceiverSettings, Settings, SourceSettings, WebhookSettings
from monitor.testing.scenario import START_MS, Scenario, delivered, failed, heartbeat, paid, tick

TOLD = Settings(
    receivers=(ReceiverSettings("ops", ("dingtalk/0", "webhook/0")),),
    default_receiver="ops",
    webhooks=(WebhookSettings("webhooks/0", ("alert.*",)),),
    language="en",
)


def rule(expr: str, resolve: str | None = None, alert: str = "R", **fields: object) -> Rule:
    fields = {"group": "g", "interval_ms": 15_000, **fields}
    return Rule(
        alert, expr, parse(expr).node, resolve_when=resolve and parse(resolve).node, **fields  # type: ignore[arg-type]  # fields of a Rule
    )  # fmt: skip


def moves(story: Scenario) -> list[tuple[float, str, str]]:
    """(seconds, alert, new state) of every alert that moved."""
    return [
        ((one.at_ms - START_MS) / 1000, one.alert.key, one.alert.state)
        for one in story.decisions()
        if isinstance(one, AlertMoved)
    ]


def outage(story: Scenario, start_s: int, end_s: int, channel: str = "auto") -> Scenario:
    """Every 10 s an order is paid; between the two times none is delivered."""
    for second in range(0, end_s + 600, 10):
        order_id = f"o{second}"
        given = [paid(order_id, channel=channel)]
        if not start_s <= second < end_s:
            given.append(delivered(order_id))
        story.at(f"{second}s", *given)
    return story


# --- for, keep_firing_for, resolve ------------------------------------------------------------


def test_alert_waits_for_its_duration_and_keeps_firing_for_another() -> None:
    """Pending with the third order, firing after `for`, resolved after `keep_firing_for`."""
    rules = RuleSet((rule("open_orders > 2", for_ms=60_000, keep_firing_for_ms=120_000),))
    story = Scenario(Settings(), rules).at("0s", tick()).at("1s", paid("a"), paid("b"), paid("c"))
    story.at("5m", delivered("a"), delivered("b"), delivered("c")).at("20m", tick())
    assert moves(story) == [
        (1, "R{}", "pending"),
        (61, "R{}", "firing"),
        (300, "R{}", "firing"),  # no longer true: the time to keep firing begins
        (420, "R{}", "inactive"),
    ]


def test_condition_that_passes_before_its_duration_is_forgotten() -> None:
    """A short peak tells nobody."""
    rules = RuleSet((rule("open_orders > 1", for_ms=60_000),))
    story = (
        Scenario(TOLD, rules)
        .at("0s", tick())
        .at("1s", paid("a"), paid("b"))
        .at("40s", delivered("a"))
    )
    story.at("20m", tick())
    assert moves(story) == [(1, "R{}", "pending"), (40, "R{}", "inactive")]
    assert [one for one in story.effects() if "alert" in getattr(one, "event_type", "")] == []


def test_firing_alert_stays_until_its_own_condition_resolves_it() -> None:
    """Between the two limits nothing changes."""
    rules = RuleSet((rule("open_orders > 2", "open_orders < 1"),))
    story = Scenario(Settings(), rules).at("1s", paid("a"), paid("b"), paid("c"))
    story.at("1m", delivered("a"), delivered("b")).at("10m", tick())
    assert [state for _, _, state in moves(story)] == ["firing", "firing"]
    story.at("10m1s", delivered("c")).at("11m", tick())
    assert moves(story)[-1] == (601, "R{}", "inactive")


def test_what_time_alone_makes_true_is_found_at_fixed_instants_of_the_interval() -> None:
    """A replay and the service evaluate at the same times, whenever they started."""
    for start in ("0s", "7s", "14999ms"):
        story = Scenario(Settings(), RuleSet((rule("oldest_age > 20s", interval_ms=30_000),)))
        story.at(start, tick()).at("15s", paid("a")).at("2m", tick())
        assert moves(story) == [(60, "R{}", "firing")]


def test_rules_are_looked_at_as_soon_as_orders_change_but_at_most_once_a_second() -> None:
    """The third of three orders fires the rule one second after the first made it look."""
    story = Scenario(Settings(), RuleSet((rule("open_orders > 2", interval_ms=30_000),)))
    story.at("0s", tick()).at("10s", paid("a")).at("10100ms", paid("b")).at("10200ms", paid("c"))
    story.at("20s", tick())
    assert moves(story) == [(11, "R{}", "firing")]


def test_replay_of_years_looks_at_fixed_instants_only() -> None:
    """With a floor under the interval a change waits for the next instant."""
    settings = Settings(evaluation_floor_ms=60_000)
    story = Scenario(settings, RuleSet((rule("open_orders > 0"),)))
    story.at("0s", tick()).at("10s", paid("a")).at("5m", tick())
    assert moves(story) == [(60, "R{}", "firing")]


# --- instances ----------------------------------------------------------------------------------


def test_rule_by_channel_fires_for_the_channel_that_is_late() -> None:
    """Each channel is an instance of its own."""
    rules = RuleSet((rule("delayed_ratio > 2%", by=("channel",)),))
    story = Scenario(Settings(), rules)
    for n in range(12):
        story.at(
            f"{n}s", paid(f"a{n}", channel="a"), paid(f"b{n}", channel="b"), delivered(f"b{n}")
        )
    story.at("5m", tick())
    assert {key for _, key, _ in moves(story)} == {"R{channel=a}"}


def test_alert_of_a_source_that_is_gone_is_still_looked_after() -> None:
    """An active alert is evaluated although nothing of its channel is left in the signals."""
    settings = Settings(sources=(SourceSettings("shop", heartbeat_ms=60_000),))
    rules = RuleSet((rule("source_silent > 0", by=("source",)),))
    story = (
        Scenario(settings, rules).at("0s", heartbeat()).at("5m", heartbeat()).at("5m30s", tick())
    )
    assert [(key, state) for _, key, state in moves(story)] == [
        ("R{source=shop}", "firing"), ("R{source=shop}", "inactive"),
    ]  # fmt: skip


def test_ratio_without_evidence_does_not_fire() -> None:
    """One late of ten is no incident, three of ten are (contract §4)."""
    for late, expected in ((1, []), (3, ["firing"])):
        story = Scenario(Settings(), RuleSet((rule("delayed_ratio[10m] > 2%"),)))
        story.at("0s", *(paid(f"o{n}") for n in range(10)))
        story.at("1m", *(delivered(f"o{n}") for n in range(late, 10))).at("6m", tick())
        assert [state for _, _, state in moves(story)] == expected


def test_twenty_good_orders_end_a_ratio_alert_of_their_own_scope_only() -> None:
    """Good orders on channel b say nothing about channel a."""
    rules = RuleSet(
        (
            rule('delayed_ratio{channel="a"}[10m:20:6h] > 2%', alert="OnA"),
            rule("delayed_ratio[10m:20:6h] > 2%", alert="Everywhere"),
        )
    )
    story = Scenario(Settings(), rules).at("0s", *(paid(f"a{n}", channel="a") for n in range(5)))
    story.at("4m", *(delivered(f"a{n}") for n in range(5))).skip()
    for n in range(25):
        story.at(f"{250 + n}s", paid(f"b{n}", channel="b"), delivered(f"b{n}"))
    story.at("5m", tick())
    states = {key: state for _, key, state in moves(story)}
    assert states == {"OnA{}": "firing", "Everywhere{}": "inactive"}


# --- outage and recovery ------------------------------------------------------------------------


def test_outage_fires_and_recovery_resolves_with_one_message_each() -> None:
    """A whole story on a ratio rule: two messages per integration, and only two."""
    text = "delayed_ratio[5m:20:6h]"
    rules = RuleSet((rule(f"{text} > 2%", f"{text} < 1%", for_ms=60_000),))
    story = outage(Scenario(TOLD, rules), 600, 900)
    told = [(one.integration, one.status) for one in story.effects()
            if isinstance(one, Notify) and one.event_type.startswith("alert")]  # fmt: skip
    assert told == [
        ("dingtalk/0", "firing"), ("webhook/0", "firing"),
        ("dingtalk/0", "resolved"), ("webhook/0", "resolved"),
    ]  # fmt: skip
    fired_s = next(at for at, _, state in moves(story) if state == "firing")
    assert 600 + 180 + 60 <= fired_s <= 600 + 180 + 60 + 60


def test_firing_message_is_followed_by_a_resolved_one() -> None:
    """Who was told that it began is told that it ended."""
    rules = RuleSet((rule("open_orders > 0"),))
    story = Scenario(TOLD, rules).at("0s", paid("a")).at("1m", delivered("a")).at("2m", tick())
    firing, resolved = [
        one for one in story.effects() if isinstance(one, Notify) and one.integration == "webhook/0"
    ]
    assert (firing.status, resolved.status) == ("firing", "resolved")
    assert resolved.key != firing.key
    assert msgspec.json.decode(resolved.payload)["resolved_at"] == "2026-01-01T00:01:00Z"


def test_end_of_an_alert_withdraws_its_firing_message_to_people_that_never_left() -> None:
    """A robot that was down must not tell the outage after its end; programs get both."""
    rules = RuleSet((rule("open_orders > 0"),))
    story = Scenario(TOLD, rules).at("0s", paid("a"))
    firing = [one.key for one in story.effects()]
    assert [key.split("/", 1)[1] for key in firing] == ["dingtalk/0", "webhook/0", "webhooks/0"]
    story.skip().at("1m", delivered("a")).expect(
        "alert R{} firing > inactive",
        f"cancel {firing[0]}",
        "notify ops/dingtalk/0 alert.resolved resolved",
        "notify ops/webhook/0 alert.resolved resolved",
        "webhook webhooks/0 alert.resolved",
    )


def test_silent_source_neither_fires_nor_resolves_rules_about_orders() -> None:
    """What the silent shop's orders do is unknown; the alert that fires stays."""
    settings = Settings(sources=(SourceSettings("shop", heartbeat_ms=120_000),))
    text = "delayed_ratio[10m:20:6h]"
    rules = RuleSet((rule(f"{text} > 2%", f"{text} < 1%"),))
    story = Scenario(settings, rules)
    for second in range(0, 400, 20):
        story.at(f"{second}s", paid(f"o{second}"))
    fired = moves(story)
    assert [state for _, _, state in fired] == ["firing"]
    story.at("2h", tick())
    assert moves(story) == fired
    quiet = Scenario(settings, rules).at("0s", *(paid(f"o{n}") for n in range(20))).at("2h", tick())
    assert moves(quiet) == []


def test_shadow_rule_records_everything_and_tells_nobody() -> None:
    """Its alert fires and resolves in the log alone."""
    rules = RuleSet((rule("open_orders > 0", mode="shadow"),))
    story = Scenario(TOLD, rules).at("0s", paid("a")).at("1m", delivered("a")).at("2m", tick())
    assert [state for _, _, state in moves(story)] == ["firing", "inactive"]
    assert story.effects() == []


def test_failing_orders_fire_the_rule_about_them() -> None:
    """`failed_ratio` needs no promise to pass."""
    story = Scenario(Settings(), RuleSet((rule("failed_ratio[10m] > 5%"),)))
    story.at("0s", *(paid(f"o{n}") for n in range(6))).at(
        "10s", *(failed(f"o{n}") for n in range(6))
    )
    story.at("20s", tick())
    assert moves(story) == [(10, "R{}", "firing")]


@pytest.mark.parametrize("action", ["manual_review", "failover"])
def test_review_is_asked_for_only_by_a_firing_rule_with_that_action(action: str) -> None:
    """`/v1/route` will say so while it fires."""
    rules = RuleSet((rule("open_orders > 0", actions=(Action(action),)),))
    story = Scenario(Settings(), rules).at("0s", tick())
    assert not story.engine.control.asked_reviews()
    story.at("1s", paid("a"))
    assert bool(story.engine.control.asked_reviews()) is (action == "manual_review")
    story.at("30s", delivered("a")).at("1m", tick())
    assert not story.engine.control.asked_reviews()


def test_alert_survives_a_restart_in_the_middle_of_its_duration() -> None:
    """Pending since then, not since the restart."""
    rules = RuleSet((rule("open_orders > 0", for_ms=60_000),))
    story = Scenario(Settings(), rules).at("1s", paid("a")).at("20s", tick())
    again = Scenario(Settings(), rules).at("0s", tick())
    again.engine.restore(story.engine.snapshot(), story.now_ms)
    again.at("2m", tick())
    assert moves(again) == [(61, "R{}", "firing")]


def test_alert_of_a_deleted_rule_ends() -> None:
    """Nobody would ever resolve it otherwise."""
    story = (
        Scenario(TOLD, RuleSet((rule("open_orders > 0"),))).at("0s", paid("a")).at("20s", tick())
    )
    story.skip().engine.configure(TOLD, RuleSet())
    firing = [one.key for one in story.effects()]
    story.at("40s", tick()).expect(
        "alert R{} firing > inactive",
        f"cancel {firing[0]}",
        "notify ops/dingtalk/0 alert.resolved resolved",
        "notify ops/webhook/0 alert.resolved resolved",
        "webhook webhooks/0 alert.resolved",
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"by": ("channel",)}, {}),
        ({}, {"by": ("channel",)}),
        ({"by": ("channel",)}, {"by": ("source",)}),
        ({"labels": (("team", "x"),)}, {"labels": (("team", "y"),)}),
        ({"labels": (("team", "x"),)}, {}),
    ],
)
def test_alert_its_changed_rule_no_longer_produces_ends(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Its key is never evaluated again; the rule's own instances begin anew and fire."""
    story = Scenario(TOLD, RuleSet((rule("open_orders > 0", **before),)))
    story.at("0s", paid("a")).at("20s", tick())
    (old,) = story.engine.control.alerts
    story.engine.configure(TOLD, RuleSet((rule("open_orders > 0", **after),)))
    story.at("40s", tick())
    alerts = story.engine.control.alerts
    assert (alerts[old].state, alerts[old].reason) == ("inactive", "rule_changed")
    assert [one.state for key, one in alerts.items() if key != old] == ["firing"]


def test_alert_stays_when_its_rule_changes_anything_but_its_labels() -> None:
    """Another limit or duration is the same alert."""
    fields: dict[str, Any] = {"by": ("channel",), "labels": (("team", "x"),)}
    story = Scenario(TOLD, RuleSet((rule("open_orders > 0", **fields),)))
    story.at("0s", paid("a")).at("20s", tick()).skip()
    story.engine.configure(TOLD, RuleSet((rule("open_orders > 0.5", **fields),)))
    story.at("40s", tick()).expect()


# --- what is told -------------------------------------------------------------------------------


def test_alert_message_carries_value_limit_and_evidence() -> None:
    """The payload of `alert.firing`, and the summary rendered with the same numbers."""
    annotations = (("summary", "{{ count }} of {{ total }} *late* on {{ channel }} ({{ value }})"),)
    rules = RuleSet((rule("delayed_ratio > 2%", by=("channel",), annotations=annotations),))
    story = Scenario(TOLD, rules).at("0s", *(paid(f"o{n}", channel="a_[b]") for n in range(4)))
    story.at("5m", tick())
    message = next(one for one in story.effects() if isinstance(one, Notify))
    payload = msgspec.json.decode(message.payload)
    assert payload["summary"] == "4 of 4 *late* on a_[b] (100%)"
    # The rule's own markup stays, a channel's name is none.
    assert r"4 of 4 *late* on a\_\[b\] (100%)" in message.text.splitlines()
    assert payload["labels"] == {"channel": "a_[b]"}
    assert (payload["value"], payload["evidence"]["k"], payload["evidence"]["n"]) == (1.0, 4, 4)
    assert payload["firing_at"] == "2026-01-01T00:03:01Z"
    assert payload["expr"] == "delayed_ratio > 2%"


def test_effect_keys_are_named_after_their_cause_and_never_collide() -> None:
    """The same story gives the same keys; every effect of it has its own."""
    text = "delayed_ratio[5m:20:6h]"
    rules = RuleSet((rule(f"{text} > 2%", f"{text} < 1%"),))
    first, second = (outage(Scenario(TOLD, rules), 300, 700).effects() for _ in range(2))
    keys = [effect.key for effect in first]
    assert keys == [effect.key for effect in second]
    assert len(keys) == len(set(keys))
    assert len(keys) > 50


def test_second_episode_of_an_alert_has_its_own_messages() -> None:
    """A key that was sent once would swallow the next outage."""
    story = Scenario(TOLD, RuleSet((rule("open_orders > 0"),)))
    for minute in (0, 10):
        story.at(f"{minute}m", paid(f"o{minute}")).at(f"{minute + 1}m", delivered(f"o{minute}"))
    story.at("15m", tick())
    keys = [one.key for one in story.effects() if isinstance(one, Notify)]
    assert len(keys) == len(set(keys)) == 8


def test_alert_key_is_rule_and_sorted_labels() -> None:
    """Identity does not depend on the order in which labels were given."""
    assert Alert("R", (("a", "1"), ("b", "2")), "firing", "info").key == "R{a=1,b=2}"
