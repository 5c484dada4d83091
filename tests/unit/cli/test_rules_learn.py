"""`rules learn` proposes limits, says what it left out, and never overwrites by itself."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from monitor.cli.main import main

START = datetime(2026, 1, 5, tzinfo=UTC)  # Monday 00:00 UTC, 08:00 in Shanghai


def recorded(path: Path, orders: int, delay_s: float = 10.0, channel: str = "auto") -> Path:
    """Orders every ten minutes, each delivered; every hundredth takes ten times as long."""
    lines = []
    for number in range(orders):
        at = START + timedelta(minutes=10 * number)
        late_s = delay_s * (10 if number % 100 == 50 else 1 + number % 7 / 10)
        for kind, when in (
            ("order.paid", at),
            ("delivery.delivered", at + timedelta(seconds=late_s)),
        ):
            event = {"type": kind, "order_id": f"{channel}{number}", "channel": channel,
                     "time": when.isoformat()}  # fmt: skip
            lines.append(json.dumps(event))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_limits_are_printed_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the file, standard error what was done."""
    events = recorded(tmp_path / "e.ndjson", 200)
    assert main(["rules", "learn", "--events", str(events), "--target", "2%"]) == 0
    shown = capsys.readouterr()
    (entry,) = yaml.safe_load(shown.out)["learned"]
    assert (entry["channel"], entry["n"], entry["method"]) == ("auto", 200, "pot")
    assert entry["target"] == "2%"
    assert shown.err.startswith("auto: 200 orders, pot, p95_delay limit ")


def test_hours_are_those_of_the_shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Midnight UTC is eight in the morning in Shanghai, where the orders were counted."""
    events = recorded(tmp_path / "e.ndjson", 60)  # ten hours, six orders each
    assert main(["rules", "learn", "--events", str(events), "--json"]) == 0
    (channel,) = json.loads(capsys.readouterr().out)["learned"]
    assert [hour for hour, n in enumerate(channel["hour_n"]) if n] == list(range(8, 18))


def test_incident_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An excluded hour holds six orders."""
    events = recorded(tmp_path / "e.ndjson", 120)
    span = "2026-01-05T09:00+08:00/2026-01-05T10:00+08:00"
    out = tmp_path / "l.yaml"
    command = ["rules", "learn", "--events", str(events), "--exclude", span, "-o", str(out)]
    assert main(command) == 0
    shown = capsys.readouterr().err
    assert "excluded 2026-01-05T01:00:00Z to 2026-01-05T02:00:00Z" in shown
    assert "excluded 6 orders paid in incidents" in shown
    (entry,) = yaml.safe_load(out.read_text(encoding="utf-8"))["learned"]
    assert entry["n"] == 114
    assert entry["excluded"] == [{"from": "2026-01-05T01:00:00Z", "to": "2026-01-05T02:00:00Z"}]


def test_whole_shop_gets_a_limit_and_a_rule_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two channels of 60 and 40 orders are 100 orders; 40 alone are too few."""
    first = recorded(tmp_path / "a.ndjson", 60)
    second = recorded(tmp_path / "b.ndjson", 40, channel="pool")
    command = ["rules", "learn", "--events", str(first), "--events", str(second), "--whole-shop"]
    assert main(command) == 0
    shown = capsys.readouterr()
    file = yaml.safe_load(shown.out)
    assert [(entry["channel"], entry["n"]) for entry in file["learned"]] == [
        ("auto", 60),
        ("", 100),
    ]
    rules = file["groups"][0]["rules"]
    assert [(rule["alert"], rule["by"]) for rule in rules] == [
        ("P95DelayAboveLearned", ["channel"]),
        ("P95DelayOfShopAboveLearned", []),
    ]
    assert "whole shop: 100 orders, pot, " in shown.err


def test_existing_file_is_compared_and_only_replaced_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit never changes silently."""
    out = tmp_path / "l.yaml"
    fast, slow = recorded(tmp_path / "f.ndjson", 200), recorded(tmp_path / "s.ndjson", 200, 20.0)
    assert main(["rules", "learn", "--events", str(fast), "-o", str(out)]) == 0
    before = out.read_text(encoding="utf-8")
    capsys.readouterr()
    again = ["rules", "learn", "--events", str(slow), "-o", str(out)]
    assert main(again) == 1
    shown = capsys.readouterr().err
    assert "(+100%), 168 of 168 hours move by more than 10%" in shown
    assert f"{out} exists and was not changed; --force replaces it" in shown
    assert out.read_text(encoding="utf-8") == before
    assert main([*again, "--force"]) == 0
    assert out.read_text(encoding="utf-8") != before


def test_too_little_data_is_said_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """49 orders; beside a channel with enough they are only named."""
    out = tmp_path / "l.yaml"
    few = recorded(tmp_path / "few.ndjson", 49, channel="rare")
    assert main(["rules", "learn", "--events", str(few), "-o", str(out)]) == 2
    assert "rare: 49 orders are too few; at least 50 are needed" in capsys.readouterr().err
    assert not out.exists()
    many = recorded(tmp_path / "many.ndjson", 100)
    both = ["rules", "learn", "--events", str(few), "--events", str(many), "--json"]
    assert main(both) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["channel"] for one in answer["learned"]] == ["auto"]
    assert [one["channel"] for one in answer["skipped"]] == ["rare"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "6%"], "--target '6%' is not above 0 and at most 5%"),
        (["--target", "x"], "--target 'x' is not above 0"),
        (
            ["--signal", "p95_dely"],
            "no limit can be learned for 'p95_dely'; did you mean 'p95_delay'?",
        ),
        (["--channel", "autp"], "no order of channel 'autp' was recorded; did you mean 'auto'?"),
        (["--exclude", "yesterday"], "--exclude 'yesterday' is not FROM/TO"),
        (["--exclude", "2026-01-05T09:00/2026-01-05T10:00"], "has no time zone"),
        (["--exclude", "2026-01-05T09:00Z/2026-01-05T08:00Z"], "is not a time and a later one"),
    ],
)
def test_bad_options_end_with_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is one line that says what to write instead."""
    events = recorded(tmp_path / "e.ndjson", 60)
    assert main(["rules", "learn", "--events", str(events), *arguments]) == 2
    assert message in capsys.readouterr().err
