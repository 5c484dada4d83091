"""Recorded events through the engine in virtual time: any order of lines, any repetition."""

import random
from typing import Any

import msgspec
import pytest

from monitor.config.rules_file import load_shipped
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import PromiseTable, Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.sim.player import EVALUATIONS_MAX, evaluations, floor_ms, record
from monitor.sim.replay import Replayed, replay
from monitor.sim.report import build_report
from monitor.sim.report_text import render_report

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
SHIPPED = load_shipped()


def event(
    kind: str, order_id: str, after_ms: int, channel: str = "auto", **more: Any
) -> OrderEvent:
    at_ms = START_MS + after_ms
    return OrderEvent(
        kind, order_id, "shop", f"{order_id}/{kind}", at_ms, at_ms, channel=channel, **more
    )


def story() -> list[OrderEvent]:
    """Seven orders with a promise of three minutes, one per verdict, judged after an hour.

    late: delivered after 4 min, on "slow"; stuck: never; unpaid: only created; gone: cancelled after
    10 min, so its promise broke first; back: refunded in time; young: paid a minute before the end.
    """
    return [
        event("order.paid", "good", 0),
        event("delivery.delivered", "good", 10 * SECOND_MS),
        event("order.paid", "late", MINUTE_MS, "slow"),
        event("delivery.delivered", "late", 5 * MINUTE_MS, "slow"),
        event("order.paid", "stuck", 2 * MINUTE_MS),
        event("order.created", "unpaid", 2 * MINUTE_MS),
        event("order.paid", "gone", 3 * MINUTE_MS),
        event("order.cancelled", "gone", 13 * MINUTE_MS),
        event("order.paid", "back", 3 * MINUTE_MS),
        event("order.refunded", "back", 4 * MINUTE_MS),
        event("order.paid", "young", 59 * MINUTE_MS),
        event("order.created", "last", HOUR_MS),
    ]


def run(
    events: list[OrderEvent],
    until_ms: int | None = None,
    rules: RuleSet = SHIPPED,
    floor_ms: int = 0,
) -> Replayed:
    return replay(events, Settings(evaluation_floor_ms=floor_ms), rules, until_ms=until_ms)


def test_report_of_one_order_per_verdict() -> None:
    """Every number of the contract's object, counted by hand."""
    report = build_report(run(story()), rejected=2)
    assert (report["events"], report["accepted"], report["duplicates"]) == (14, 12, 0)
    assert (report["rejected"], report["orders"]) == (2, 8)
    assert report["first_event_at"] == "2026-01-05T02:00:00Z"
    assert report["last_event_at"] == report["judged_at"] == "2026-01-05T03:00:00Z"
    assert report["verdicts"] == {
        "good": 1, "late_delivered": 1, "late_pending": 1, "failed": 0, "refunded": 1,
        "cancelled": 1, "undecided": 1, "unpaid": 2,
    }  # fmt: skip
    assert report["breached"] == 3  # late, stuck, gone
    delays = report["delay_s"]
    assert (delays["n_events"], delays["n_censored"]) == (2, 4)
    # Six paid. 10 s: S = 5/6. 60 s: `young` leaves. 240 s: 4 at risk, S = 5/6 * 3/4 = 0.625.
    assert (delays["p50"], delays["p90"]) == (None, None)
    # 10 s * 1 + 230 s * 5/6 + 1560 s * 0.625
    assert delays["mean_restricted"] == pytest.approx(10 + 230 * 5 / 6 + 1560 * 0.625)
    # 10 + 240 + 58 min + 57 min (gone) + 57 min (back) + 1 min, over six
    assert delays["mean_lower_bound"] == pytest.approx((250 + (58 + 57 + 57 + 1) * 60) / 6)
    # Weigh: good 0, late (4 min: ln 4 / ln 5 / 2), stuck 1, gone 1, back 1, young (60 s) 0; of six.
    assert report["health_index"]["value"] == pytest.approx(100 * (6 - 3 - 0.430677) / 6, abs=1e-3)
    assert set(report["by_channel"]) == {"auto", "slow"}
    assert report["by_channel"]["slow"]["verdicts"]["late_delivered"] == 1
    assert report["by_channel"]["slow"]["delay_s"]["p99"] == 240.0
    assert sum(report["by_channel"]["auto"]["verdicts"].values()) == 7
    tiers = {one["tier"]: one["count"] for one in report["actions"] if "tier" in one}
    assert tiers == {"L1": 3, "L2": 2, "L3": 1}
    assert report["evaluated_every_s"] == 5.0


def test_rendered_report_says_verdicts_percentiles_and_hash() -> None:
    """One screen of text with the same numbers."""
    replayed = run(story())
    text = render_report(build_report(replayed))
    assert "12 events: 12 accepted, 0 duplicates, 0 rejected" in text
    assert "good 1, late_delivered 1, late_pending 1, refunded 1, cancelled 1" in text
    assert "p50 not reached" in text
    assert "breached   3" in text
    assert replayed.state_hash in text


def test_empty_file_is_a_report_too() -> None:
    """No event, no order, no crash."""
    report = build_report(run([]))
    assert (report["orders"], report["first_event_at"], report["health_index"]["state"]) == (
        0, None, "idle",
    )  # fmt: skip
    assert "no orders" in render_report(report)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_lines_gives_the_same_hashes(seed: int) -> None:
    """Also when an event comes long after what follows from it."""
    shuffled = random.Random(seed).sample(story(), len(story()))
    found, expected = run(shuffled), run(story())
    assert (found.state_hash, found.engine_hash) == (expected.state_hash, expected.engine_hash)


def test_repeated_lines_are_counted_and_change_nothing_of_the_orders() -> None:
    """Doubled lines are duplicates, whatever time they arrived."""
    doubled = run(story() + story()[3:7])
    assert (doubled.accepted, doubled.duplicates) == (12, 4)
    assert doubled.state_hash == run(story()).state_hash


def test_arrival_times_of_the_recording_do_not_count() -> None:
    """A file decoded today gives the engine of the day it is about."""
    late = [
        OrderEvent(one.type, one.order_id, one.source, one.event_id, one.time_ms,
                   START_MS + 900 * DAY_MS, channel=one.channel)
        for one in story()
    ]  # fmt: skip
    assert run(late).engine_hash == run(story()).engine_hash


def test_events_after_until_are_left_out_and_time_goes_on_to_it() -> None:
    """A promise is judged at that very millisecond; `later` counts what came after."""
    found = run(story(), START_MS + 5 * MINUTE_MS)
    report = build_report(found)
    assert (found.later, found.accepted, report["events"]) == (2 + 1, 9, 12)
    assert report["verdicts"]["late_pending"] == 0  # stuck has waited for exactly its 3 min
    later = build_report(run(story(), START_MS + 5 * MINUTE_MS + 1))
    assert later["verdicts"]["late_pending"] == 1
    assert later["judged_at"] == "2026-01-05T02:05:00.001Z"
    after_the_end = build_report(run(story(), START_MS + 3 * HOUR_MS, SHIPPED, MINUTE_MS))
    assert after_the_end["verdicts"]["undecided"] == 0  # young has become late


def test_events_without_a_time_of_their_own_are_rejected() -> None:
    """They would be placed at the moment the file was read."""
    untimed = event("order.paid", "x", 0, is_inferred=True, is_unique=True)
    report = build_report(run([*story(), untimed]))
    assert (report["events"], report["accepted"], report["rejected"]) == (13, 12, 1)


def test_orders_that_left_memory_are_in_the_report() -> None:
    """Two days later the engine has let them go; the report still has all of them."""
    found = run([*story(), event("order.paid", "days-later", 2 * DAY_MS)], None, RuleSet(), HOUR_MS)
    report = build_report(found)
    assert report["orders"] == 9
    assert report["verdicts"]["good"] == 1
    assert report["breached"] == 4  # young too


def test_late_event_finds_its_order_again_after_it_left_memory() -> None:
    """A refund a day after delivery belongs to the old order, not to a new one."""
    report = build_report(
        run([*story(), event("order.refunded", "good", DAY_MS)], None, RuleSet(), HOUR_MS)
    )
    assert report["orders"] == 8
    assert report["verdicts"]["good"] == 1


def test_years_are_evaluated_more_coarsely_and_say_so() -> None:
    """An event a day for two years makes the rules look every minute, an order each breach exactly."""
    settings = Settings(promise=PromiseTable(default_ms=60 * DAY_MS))
    events = [event("order.paid", "a", 0)]
    events += [event("order.created", f"d{day}", day * DAY_MS) for day in range(1, 731)]
    tape = record(events)
    fitting = 60_000_000 // 1_400  # nothing else to do, no rules: more than are ever made
    assert fitting > EVALUATIONS_MAX
    assert floor_ms(tape, settings, 0) == 730 * DAY_MS // 20_000 // SECOND_MS * SECOND_MS
    assert floor_ms(tape, settings, 0, every_ms=HOUR_MS) == HOUR_MS
    coarse = msgspec.structs.replace(settings, evaluation_floor_ms=DAY_MS)
    found = replay(events, coarse, RuleSet(), until_ms=None)
    assert (found.counts["breach"], found.evaluation_floor_ms) == (1, DAY_MS)


def test_more_events_or_rules_leave_room_for_fewer_evaluations() -> None:
    """A minute or a fifth of it, by hand: 45 µs an event, 1.4 ms a look, 0.2 ms a rule in it."""
    fitting = [evaluations(events, 8) for events in (0, 100_000, 1_000_000, 10_000_000)]
    assert fitting == [20_000, 18_500, 5_000, 4_000]
    assert evaluations(2_212, 2_000) == 149
    assert evaluations(10_000_000, 100_000) == 100


def test_outage_shows_as_alert_with_times_and_evidence() -> None:
    """Twenty good orders, then ten that are never delivered: pending, firing, not resolved."""
    good = [event("order.paid", f"g{n}", n * MINUTE_MS) for n in range(20)]
    good += [event("delivery.delivered", f"g{n}", n * MINUTE_MS + 8_000) for n in range(20)]
    bad = [event("order.paid", f"b{n}", (20 + n) * MINUTE_MS) for n in range(10)]
    report = build_report(run(good + bad))
    (alert,) = [one for one in report["alerts"] if one["rule"] == "DelayedOver2Percent"]
    # b0 b1 b2 break their promise at 23, 24 and 25 min: 3 of 20 is the first proof, `for` is 1 min.
    assert alert["labels"] == {"channel": "auto"}
    assert alert["pending_at"] == "2026-01-05T02:25:01Z"
    assert alert["firing_at"] == "2026-01-05T02:26:01Z"
    assert alert["resolved_at"] is None
    assert alert["evidence"]["k"] == 4
    assert alert["severity"] == "warning"
