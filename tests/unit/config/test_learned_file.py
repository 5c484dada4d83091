"""The proposed file says where its limits come from, and what differs from the one before."""

from pathlib import Path

import msgspec
import pytest
import yaml

from monitor.config.learned_file import (
    Change,
    LearnedChannel,
    changes,
    render_learned,
    shown_duration,
)
from monitor.config.rules_file import load_rules
from monitor.core.signals.thresholds import Thresholds

HOURS = tuple(90.0 + hour / 10 for hour in range(168))


def learned(channel: str = "auto", overall_s: float = 95.2) -> LearnedChannel:
    """A proposal of one channel."""
    limits = Thresholds("pot", 0.01, 812, 800, overall_s, HOURS, (5,) * 168)
    excluded = ((1_767_571_200_000, 1_767_574_800_000),)
    return LearnedChannel(
        "p95_delay", channel, limits, 1_767_225_600_000, 1_769_904_000_000, excluded
    )


def test_file_holds_limits_with_their_provenance() -> None:
    """Read back by an independent YAML reader, Monday first."""
    (entry,) = yaml.safe_load(render_learned([learned()], "Asia/Shanghai"))["learned"]
    hours = entry.pop("by_hour")
    assert entry == {
        "signal": "p95_delay",
        "channel": "auto",
        "method": "pot",
        "target": "1%",
        "n": 812,
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-02-01T00:00:00Z",
        "excluded": [{"from": "2026-01-05T00:00:00Z", "to": "2026-01-05T01:00:00Z"}],
        "overall": "95.2s",
    }
    assert list(hours) == ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert hours["mon"][:2] == ["90s", "90.1s"]
    assert hours["sun"][23] == "106.7s"
    assert {len(day) for day in hours.values()} == {24}


def test_file_says_that_nothing_was_excluded_and_whose_hours_these_are() -> None:
    """Provenance is whole also when there is nothing to tell."""
    text = render_learned([msgspec.structs.replace(learned(), excluded=())], "Asia/Shanghai")
    assert yaml.safe_load(text)["learned"][0]["excluded"] == []
    assert "Asia/Shanghai" in text


def test_file_is_one_that_rules_are_read_from(tmp_path: Path) -> None:
    """What is proposed can be taken over as it is: limits in seconds, rules that ask for them."""
    path = tmp_path / "learned.yaml"
    path.write_text(
        render_learned([learned("auto"), learned("pool")], "Asia/Shanghai"), encoding="utf-8"
    )
    rules = load_rules([path])
    limit = rules.learned[0]
    assert (limit.signal, limit.channel, limit.n, limit.method) == ("p95_delay", "auto", 812, "pot")
    assert limit.target == 0.01
    assert limit.by_hour == pytest.approx(HOURS)
    assert limit.excluded == ((1_767_571_200_000, 1_767_574_800_000),)
    assert [(rule.alert, rule.mode) for rule in rules.rules] == [("P95DelayAboveLearned", "shadow")]


def test_proposed_rules_are_in_shadow_and_use_the_baseline() -> None:
    """One rule per signal for all its channels; odd names of channels cannot break the file."""
    (group,) = yaml.safe_load(
        render_learned([learned("auto"), learned("it's: #1")], "Asia/Shanghai")
    )["groups"]
    (rule,) = group["rules"]
    assert rule["mode"] == "shadow"
    assert rule["by"] == ["channel"]
    assert rule["expr"] == (
        'p95_delay{channel=~"auto|it\'s: #1"}[30m:40:24h] > baseline(p95_delay)'
    )
    (group,) = yaml.safe_load(render_learned([learned('a|b"')], "Asia/Shanghai"))["groups"]
    assert group["rules"][0]["expr"] == "p95_delay[30m:40:24h] > baseline(p95_delay)"


def test_changes_compare_limits_channel_by_channel(tmp_path: Path) -> None:
    """One moved, one is new, one is no longer there."""
    path = tmp_path / "learned.yaml"
    path.write_text(
        render_learned([learned("auto"), learned("old", 10.0)], "Asia/Shanghai"), encoding="utf-8"
    )
    slower = learned("auto", 190.4)
    assert changes(path, [slower, learned("new")]) == [
        Change("p95_delay", "auto", 95.2, 190.4, 0),
        Change("p95_delay", "new", None, 95.2, 0),
        Change("p95_delay", "old", 10.0, None, 0),
    ]


def test_file_without_limits_has_nothing_to_compare(tmp_path: Path) -> None:
    """Somebody's rule file, or entries of another shape."""
    path = tmp_path / "r.yaml"
    path.write_text("groups: []\nlearned: [{signal: p95_delay}, 3]\n", encoding="utf-8")
    assert changes(path, [learned()]) == [Change("p95_delay", "auto", None, 95.2)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(95.21, "95.2s"), (95.0, "95s"), (0.25, "250ms"), (0.0, "1ms"), (7200.04, "7200s")],
)
def test_limits_are_written_as_durations(seconds: float, text: str) -> None:
    """Tenths of seconds are finer than any clock of a shop."""
    assert shown_duration(seconds) == text
