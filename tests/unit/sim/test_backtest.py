"""Back-tests: episodes, time to detect, messages and actions of one or two versions of rules."""

from pathlib import Path

import msgspec
import pytest

from monitor.config.rules_file import load_rules
from monitor.model.alerts import Evidence
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS, format_rfc3339
from monitor.sim.backtest import (
    GRACE_MS,
    Episode,
    Incident,
    Outcome,
    backtest,
    detections_ms,
    firing_ms,
    missed,
    without_counterpart,
)
from monitor.sim.backtest_report import build_report
from monitor.sim.backtest_text import render_report
from monitor.sim.player import Tape, record

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z
EAGER = """
groups:
  - name: g
    rules:
      - {alert: Open, expr: "open_orders > 2", min_count: 1, by: [channel],
         actions: [{type: manual_review}]}
      - {alert: Quiet, expr: "open_orders > 1000"}
"""
SLOW = """
groups:
  - name: g
    rules:
      - {alert: Open, expr: "open_orders > 2", min_count: 1, by: [channel], for: 20m}
      - {alert: New, expr: "open_orders{channel='b'} > 0", min_count: 1, severity: critical}
"""


def rules(folder: Path, text: str) -> RuleSet:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return load_rules([path])


def event(kind: str, order_id: str, after_ms: int, channel: str) -> OrderEvent:
    at_ms = START_MS + after_ms
    return OrderEvent(kind, order_id, "shop", f"{order_id}/{kind}", at_ms, at_ms, channel=channel)


def tape() -> Tape:
    """Five orders wait on `a` from 10 min to 20 min; one on `b` from 40 min to 41 min; 1 h."""
    events = [event("order.paid", "first", 0, "a"), event("order.created", "last", HOUR_MS, "a")]
    events.append(event("delivery.delivered", "first", SECOND_MS, "a"))
    for number in range(5):
        paid_ms = 10 * MINUTE_MS + number * SECOND_MS
        events.append(event("order.paid", f"a{number}", paid_ms, "a"))
        events.append(event("delivery.delivered", f"a{number}", 20 * MINUTE_MS, "a"))
    events.append(event("order.paid", "b", 40 * MINUTE_MS, "b"))
    events.append(event("delivery.delivered", "b", 41 * MINUTE_MS, "b"))
    return record(events)


def play(
    given: RuleSet, incidents: list[Incident] | None = None, settings: Settings | None = None
) -> Outcome:
    settings = settings or Settings()
    rare = msgspec.structs.replace(settings, breaker_every_ms=MINUTE_MS)  # not what is tested here
    return backtest("P", tape(), rare, given, incidents, lambda share: None)


def episode(firing: int, resolved: int | None, rule: str = "R", **more: object) -> Episode:
    return Episode(
        rule, (), "warning", None, firing, resolved, Evidence(), "threshold",
        **more,  # type: ignore[arg-type]  # a test's own words
    )  # fmt: skip


def test_episode_has_its_times_messages_and_actions(tmp_path: Path) -> None:
    """Three waiting orders at 10 min 2 s, none at 20 min; breached 3 min after payment."""
    found = play(rules(tmp_path, EAGER))
    (one,) = found.episodes
    assert (one.rule, one.labels) == ("Open", (("channel", "a"),))
    assert one.firing_ms - START_MS == pytest.approx(10 * MINUTE_MS + 2_000, abs=1_000)
    assert one.resolved_ms == pytest.approx(START_MS + 20 * MINUTE_MS, abs=1_000)
    # It fired almost three minutes before the first promise was broken, and says so.
    assert one.detect_ms == pytest.approx(-(3 * MINUTE_MS - 2_000), abs=1_001)
    assert [(sent.rule, sent.status) for sent in found.sent if sent.rule] == [
        ("Open", "firing"), ("Open", "resolved"),
    ]  # fmt: skip
    assert [(act.type, act.target) for act in found.acted if not act.is_advice] == [
        ("manual_review", "a")
    ]
    assert (found.orders, found.breaches) == (8, 5)


def test_late_detection_counts_from_the_first_breach(tmp_path: Path) -> None:
    """`for` of four minutes: fires at 14 min 2 s, the first promise broke at 13 min."""
    found = play(rules(tmp_path, SLOW.replace("20m", "4m")))
    one = next(one for one in found.episodes if one.rule == "Open")
    assert one.detect_ms == pytest.approx(MINUTE_MS + 2_000, abs=1_001)


def test_labelled_incidents_make_episodes_true_or_false_and_count_what_was_missed(
    tmp_path: Path,
) -> None:
    """One incident on `a`, one on another channel at the same time, one hours before."""
    minutes = [(5, 20, "a"), (5, 20, "b"), (-200, -100, None)]
    incidents = [
        Incident(START_MS + start * MINUTE_MS, START_MS + end * MINUTE_MS, channel)
        for start, end, channel in minutes
    ]
    found = play(rules(tmp_path, EAGER), incidents)
    (one,) = found.episodes
    assert one.incidents == (0,)
    assert one.detect_ms == pytest.approx(5 * MINUTE_MS + 2_000, abs=1_000)
    assert missed(found.episodes, 3) == [1, 2]
    report = build_report([found], tape(), incidents, evaluated_every_ms=1_000)
    totals = report["versions"][0]["totals"]
    assert (totals["missed"], totals["false_episodes"]) == (2, 0)
    assert totals["missed_incidents"][0]["channel"] == "b"
    (none,) = play(rules(tmp_path, EAGER), []).episodes
    assert none.incidents == ()


def test_alert_soon_after_its_incident_still_belongs_to_it(tmp_path: Path) -> None:
    """The last orders break their promise when the trouble is already over."""
    fires_ms = START_MS + 10 * MINUTE_MS + 2_000
    for end_ms, is_its in (
        (fires_ms - GRACE_MS + 1_000, True),
        (fires_ms - GRACE_MS - 1_000, False),
    ):
        (one,) = play(rules(tmp_path, EAGER), [Incident(START_MS, end_ms)]).episodes
        assert bool(one.incidents) == is_its


def test_messages_are_counted_by_receiver(tmp_path: Path) -> None:
    """Two integrations of one receiver are one message."""
    settings = Settings(
        receivers=(ReceiverSettings("ops", ("dingtalk/1", "webhook/2")),), default_receiver="ops"
    )
    found = play(rules(tmp_path, EAGER), settings=settings)
    report = build_report([found], tape(), None, evaluated_every_ms=1_000)
    totals = report["versions"][0]["totals"]
    assert totals["messages_by_receiver"] == {"ops": 2}
    assert totals["actions_by_type"] == {"manual_review": 1}
    assert totals["missed"] is None


def test_two_versions_stand_beside_each_other(tmp_path: Path) -> None:
    """`Open` no longer fires, `Quiet` is gone, `New` fires for a minute at 40 min."""
    outcomes = [play(rules(tmp_path, EAGER)), play(rules(tmp_path, SLOW))]
    report = build_report(outcomes, tape(), None, evaluated_every_ms=1_000)
    difference = report["difference"]
    states = {one["rule"]: one["state"] for one in difference["rules"]}
    assert states == {"Open": "kept", "Quiet": "removed", "New": "added", "all rules": "kept"}
    changed = difference["rules"][0]["changed"]
    assert (changed["episodes"], changed["messages"], changed["actions"]) == (
        [1, 0],
        [2, 0],
        [1, 0],
    )
    assert [one["rule"] for one in difference["only_old"]] == ["Open"]
    (new,) = difference["only_new"]
    assert new["rule"] == "New"
    assert new["firing_at"] == format_rfc3339(START_MS + 40 * MINUTE_MS)
    text = render_report(report)
    assert "~ Open: episodes 1 -> 0" in text
    assert "+ New: episodes - -> 1" in text
    assert "- Quiet: episodes 0 -> -" in text
    assert "+ episode New 2026-01-05T02:40:00Z to " in text


def test_time_of_firing_is_the_union_of_episodes() -> None:
    """Two channels at once are the same minutes; one that never ends fires to the end."""
    found = [episode(0, 10), episode(5, 20), episode(30, 40), episode(90, None)]
    assert firing_ms(found, 100) == 20 + 10 + 10
    assert firing_ms([episode(90, None), episode(95, 97)], 100) == 10
    assert firing_ms([], 100) == 0


def test_only_the_first_episode_of_an_incident_says_how_soon_it_was_seen() -> None:
    """The second one is the same trouble."""
    found = [
        episode(50, 60, incidents=(0,), began_ms=10),
        episode(20, 30, incidents=(0,), began_ms=10),
        episode(99, None, incidents=(1,), began_ms=98),
        episode(70, 80),
    ]
    assert detections_ms(found) == [1, 10]


def test_episodes_at_the_same_time_are_each_others_counterpart() -> None:
    """Of the same rule; one that only touches counts."""
    old = [episode(0, 10), episode(20, 30), episode(40, None), episode(5, 6, "Other")]
    new = [episode(10, 15), episode(90, None)]
    assert without_counterpart(old, new, 100) == [old[1], old[3]]
    assert without_counterpart(new, old, 100) == []
