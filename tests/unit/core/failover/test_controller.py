"""Switches: decided on evidence, capped, fenced by epochs, and never to nothing."""

import msgspec
import pytest

from monitor.core.failover.breaker import ChannelSpeed
from monitor.core.failover.controller import Controller
from monitor.model.records import ChannelSteered, SwitchAnswered, SwitchDecided, SwitchOrdered
from monitor.model.settings import ChannelSettings, FailoverSettings, Settings
from monitor.model.times import HOUR_MS, MINUTE_MS

NOW_MS = 1_000 * HOUR_MS
CHANNELS = (ChannelSettings("a"), ChannelSettings("b"), ChannelSettings("c"),
            ChannelSettings("staff", kind="manual"))  # fmt: skip


def controller(mode: str = "enforce", **fields: object) -> Controller:
    failover = FailoverSettings(mode=mode, **fields)  # type: ignore[arg-type]  # its fields
    return Controller(Settings(channels=CHANNELS, failover=failover))


def speeds(**slow_of_twenty: int) -> dict[str, ChannelSpeed]:
    """How many of the latest twenty were slow (20 have tripped); only `a` is used if unnamed."""
    found = {}
    for name in ("a", "b", "c", "staff"):
        slow, n = slow_of_twenty.get(name, 0), 20 if name in ("a", *slow_of_twenty) else 0
        found[name] = ChannelSpeed(name, 60_000, slow == 20, slow, n, 0, 5 if slow == 20 else 0)
    return found


def decide(control: Controller, now_ms: int = NOW_MS, **slow: int) -> SwitchDecided | None:
    decided = control.decide(speeds(**slow), now_ms, asked_by={})
    if decided is not None:
        control.apply(decided)
    return decided


def test_first_routable_channel_has_all_weight_before_the_first_decision() -> None:
    """People get orders by other ways than a route."""
    assert controller().weights(["a", "b", "c", "staff"]) == {"a": 100, "b": 0, "c": 0}
    assert controller().weights([]) == {}


def test_tripped_channel_hands_its_share_to_the_next_one() -> None:
    """The command carries the whole desired state, and the evidence."""
    control = controller()
    decided = decide(control, a=20)
    assert decided is not None
    assert (decided.weights, decided.previous) == (
        {"a": 0, "b": 100, "c": 0}, {"a": 100, "b": 0, "c": 0},
    )  # fmt: skip
    assert (decided.epoch, decided.prev_epoch, decided.mode) == (1, 0, "enforce")
    assert decided.valid_until_ms == NOW_MS + 10 * MINUTE_MS
    assert decided.inflight == 5
    assert msgspec.json.decode(decided.evidence)["channels"]["a"]["slow"] == 20
    assert control.route.epoch == 1


@pytest.mark.parametrize(
    ("slow", "target"),
    [
        ({"a": 20, "b": 20}, "c"),
        ({"a": 20, "b": 19}, "b"),
        ({"a": 20, "b": 20, "c": 20}, None),
        ({"b": 20}, "a"),
        ({"a": 19}, None),
    ],
)
def test_switch_goes_only_to_a_channel_that_is_not_as_bad(
    slow: dict[str, int], target: str | None
) -> None:
    """Nothing better, nothing decided: never to nothing."""
    decided = decide(controller(), **slow)
    assert (decided and next(n for n, w in decided.weights.items() if w)) == target


def test_alternative_that_is_worse_is_no_alternative() -> None:
    """Four in a row were slow here, but nineteen of twenty there."""
    control = controller()
    found = speeds(b=19, c=4) | {"a": ChannelSpeed("a", 60_000, True, 4, 20, 0, 1)}
    found["c"] = ChannelSpeed("c", 60_000, False, 4, 20, 0, 0)
    assert control.decide(found, NOW_MS, asked_by={}) is None
    found["c"] = ChannelSpeed("c", 60_000, False, 3, 20, 0, 0)
    decided = control.decide(found, NOW_MS, asked_by={})
    assert decided is not None
    assert decided.weights == {"a": 0, "b": 33, "c": 67}


def test_channel_tripped_only_by_a_silent_source_is_neither_left_nor_chosen() -> None:
    """A dead emitter looks exactly like a dead channel; nor is it known to be a better one."""
    found = speeds(a=20, b=20)
    unproven = msgspec.structs.replace(found["a"], rests_on_silence=True)
    assert (
        controller().decide(found | {"a": unproven, "b": speeds()["b"]}, NOW_MS, asked_by={})
        is None
    )
    unproven = msgspec.structs.replace(found["b"], rests_on_silence=True)
    decided = controller().decide(speeds(a=20) | {"b": unproven}, NOW_MS, asked_by={})
    assert decided is not None
    assert (decided.weights["b"], decided.weights["c"]) == (50, 50)


def test_switches_are_ten_minutes_apart() -> None:
    """Also after a switch by hand, and exactly ten minutes are enough."""
    control = controller()
    assert decide(control, a=20) is not None
    assert decide(control, NOW_MS + 10 * MINUTE_MS - 1, b=20) is None
    assert decide(control, NOW_MS + 10 * MINUTE_MS, b=20) is not None
    ordered = SwitchOrdered("*", {"a": 100, "b": 0, "c": 0}, "test", "ann", NOW_MS)
    later_ms = NOW_MS + 30 * MINUTE_MS
    control.apply(control.order(ordered, speeds(), later_ms))
    assert decide(control, later_ms + 9 * MINUTE_MS, a=20) is None


def test_at_most_four_switches_an_hour() -> None:
    """The fifth waits until the first is an hour old."""
    control = controller(min_dwell_ms=MINUTE_MS)
    for index in range(4):
        holder = next(name for name, share in control.weights(["a", "b", "c"]).items() if share)
        assert decide(control, NOW_MS + index * MINUTE_MS, **{holder: 20}) is not None
    holder = next(name for name, share in control.weights([]).items() if share)
    assert decide(control, NOW_MS + HOUR_MS - 1, **{holder: 20}) is None
    assert decide(control, NOW_MS + HOUR_MS, **{holder: 20}) is not None


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_unarmed_controller_says_what_it_would_do_and_changes_nothing(mode: str) -> None:
    """No epoch, no route; the same advice is not repeated for six hours."""
    control = controller(mode)
    decided = decide(control, a=20)
    assert decided is not None
    assert (decided.mode, decided.epoch, decided.prev_epoch) == (mode, 0, 0)
    assert control.weights(["a", "b", "c"]) == {"a": 100, "b": 0, "c": 0}
    assert control.route.epoch == 0
    control.apply(decided)
    assert decide(control, NOW_MS + 6 * HOUR_MS - 1, a=20) is None
    assert decide(control, NOW_MS + 6 * HOUR_MS, a=20) is not None


def test_other_advice_is_given_after_the_dwell_time() -> None:
    """What was advised first fails too: that is news, ten minutes later at the earliest."""
    control = controller("advise")
    first = decide(control, a=20)
    assert first is not None
    control.apply(first)
    assert decide(control, NOW_MS + 10 * MINUTE_MS - 1, a=20, b=20) is None
    second = decide(control, NOW_MS + 10 * MINUTE_MS, a=20, b=20)
    assert second is not None
    assert second.weights != first.weights


def test_locked_channel_is_neither_left_nor_entered() -> None:
    """A person said: no automatic change."""
    control = controller()
    control.steer(ChannelSteered("a", "lock", "ann", NOW_MS))
    assert decide(control, a=20) is None
    control.steer(ChannelSteered("a", "unlock", "ann", NOW_MS))
    control.steer(ChannelSteered("b", "lock", "ann", NOW_MS))
    decided = decide(control, a=20)
    assert decided is not None
    assert decided.weights == {"a": 0, "b": 0, "c": 100}


def test_share_of_a_locked_channel_stays_when_another_trips_beside_it() -> None:
    """Two channels in use fail together; only the unlocked one is left."""
    control = controller()
    half = SwitchOrdered("*", {"a": 50, "b": 50}, "split", "ann", NOW_MS)
    control.apply(control.order(half, speeds(), NOW_MS - HOUR_MS))
    control.steer(ChannelSteered("a", "lock", "ann", NOW_MS))
    decided = decide(control, a=20, b=20)
    assert decided is not None
    assert decided.weights == {"a": 50, "b": 0, "c": 50}


def test_drained_channel_gets_nothing() -> None:
    """Draining moves its share to the best other one, and keeps it out of later switches."""
    control = controller()
    control.steer(ChannelSteered("b", "drain", "ann", NOW_MS))
    decided = decide(control, a=20)
    assert decided is not None
    assert decided.weights == {"a": 0, "b": 0, "c": 100}
    assert control.without("c", speeds(a=20)) == {"a": 100, "b": 0, "c": 0}
    assert control.without("b", speeds()) is None


def test_last_channel_cannot_be_drained_to_nothing() -> None:
    """Somebody has to deliver."""
    control = Controller(Settings(channels=CHANNELS[:1]))
    assert control.without("a", {"a": speeds()["a"]}) is None


def test_channel_that_appears_after_a_switch_can_be_switched_to() -> None:
    """The route of yesterday does not know the channel configured today."""
    control = Controller(Settings(failover=FailoverSettings(mode="enforce")))
    two = {name: speeds(a=20)[name] for name in ("a", "b")}
    decided = control.decide(two, NOW_MS, asked_by={})
    assert decided is not None
    control.apply(decided)
    three = {name: speeds(a=20, b=20)[name] for name in ("a", "b", "c")}
    later_ms = NOW_MS + HOUR_MS
    decided = control.decide(three, later_ms, asked_by={})
    assert decided is not None
    assert decided.weights == {"a": 0, "b": 0, "c": 100}


def test_asking_rule_is_named_in_the_reason() -> None:
    """A rule with a failover action agrees with the breaker; alone it switches nothing."""
    control = controller()
    asked = {"a": "DelayedOver2Percent"}
    assert control.decide(speeds(), NOW_MS, asked_by=asked) is None
    decided = control.decide(speeds(a=20), NOW_MS, asked_by=asked)
    assert decided is not None
    assert decided.reason == "four_slow_in_a_row, rule DelayedOver2Percent"


def test_answer_is_noted_for_the_current_epoch_until_it_is_applied() -> None:
    """Outdated answers, and whatever comes after `applied`, change nothing."""
    control = controller()
    decide(control, a=20)

    def answer(status: str, epoch: int = 1) -> bool:
        return control.answered(SwitchAnswered("k", epoch, status, epoch, NOW_MS))

    assert not answer("applied", epoch=0)
    assert answer("refused")
    assert control.route.answer == "refused"
    assert answer("applied")
    assert not answer("expired")
    assert control.route.answer == "applied"


def test_stale_answer_lifts_the_next_epoch_above_that_of_the_shop() -> None:
    """After a restore from an old backup every command would be stale for ever otherwise."""
    control = controller()
    decide(control, a=20)
    control.answered(SwitchAnswered("k", 1, "stale", 41, NOW_MS))
    decided = decide(control, NOW_MS + HOUR_MS, b=20)
    assert decided is not None
    assert (decided.epoch, decided.prev_epoch) == (42, 1)
