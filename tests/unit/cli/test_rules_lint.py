"""`rules lint` names file, line and column of every finding, and its exit code tells of any."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.cli.main import main

RULES = """groups:
  - name: g
    rules:
      - alert: Pages
        expr: oldest_age > 1h
        severity: critical
      - alert: Never
        expr: open_orders > 5 and open_orders < 3
      - alert: Noisy
        expr: delayed_ratio{channel="auto"}[10m] > 20%
"""
STORY = """
rule_files: [../r.yaml]
start: 2026-01-05T10:00:00+08:00
tests:
  - name: one order waits
    events:
      - {at: 1m, order: A1, channel: auto, delay: never}
    expect:
      - {at: 2m, alert: Pages, state: inactive}
      - {at: 2m, firing: [Never]}
    expect_notifications:
      - {alert: Noisy, count: 0}
"""


def written(folder: Path, *, is_tested: bool = True) -> Path:
    """The rule file, with or without tests beside it."""
    path = folder / "r.yaml"
    path.write_text(RULES, encoding="utf-8")
    if is_tested:
        (folder / "tests").mkdir()
        (folder / "tests" / "t.yaml").write_text(STORY, encoding="utf-8")
    return path


def recorded(path: Path) -> Path:
    """A hundred orders in a day, every fourth of them late."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    lines = []
    for number in range(100):
        paid = start + timedelta(minutes=14 * number)
        done = paid + timedelta(minutes=5 if number % 4 == 0 else 0, seconds=8)
        for kind, at in (("order.paid", paid), ("delivery.delivered", done)):
            event = {"type": kind, "order_id": f"A{number}", "channel": "auto"}
            lines.append(json.dumps({**event, "time": at.isoformat()}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def findings(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int, str]]:
    """Alert, line and code of the findings printed as JSON."""
    answer = json.loads(capsys.readouterr().out)
    return [(one["alert"], one["line"], one["code"]) for one in answer["findings"]]


def test_findings_are_named_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`file:line:col: code: message`, where editors look for it."""
    path = written(tmp_path)
    assert main(["rules", "lint", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}:4:16: no-owner: ")
    assert lines[1].startswith(f"{path}:4:16: no-runbook: ")
    assert lines[2] == (
        f"{path}:8:15: never-can-fire: 'open_orders > 5' and 'open_orders < 3' contradict each "
        "other; correct the limit or the window"
    )
    assert lines[3:] == ["3 rules, 3 findings"]


def test_rules_without_tests_are_found_and_tests_elsewhere_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alert counts as tested by `alert`, `firing` or a count of messages."""
    path = written(tmp_path, is_tested=False)
    main(["rules", "lint", str(path), "--json"])
    assert [code for _, _, code in findings(capsys)].count("no-tests") == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "t.yaml").write_text(STORY, encoding="utf-8")
    main(["rules", "lint", str(path), "--tests", str(tmp_path / "elsewhere"), "--json"])
    assert "no-tests" not in [code for _, _, code in findings(capsys)]


def test_ignored_codes_are_left_out_and_a_clean_file_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt code is bad input: it would silently ignore nothing."""
    path = written(tmp_path)
    ignored = ["--ignore", "no-owner", "--ignore", "no-runbook", "--ignore", "never-can-fire"]
    assert main(["rules", "lint", str(path), *ignored]) == 0
    assert capsys.readouterr().out == "3 rules clean\n"
    assert main(["rules", "lint", "--ignore", "no-ower"]) == 2
    assert "unknown code 'no-ower'; did you mean 'no-owner'?" in capsys.readouterr().err


def test_limits_are_compared_with_a_rate_and_with_recorded_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 orders a day leave ten minutes empty; a quarter late is above a limit of 20 %."""
    path = written(tmp_path)
    main(["rules", "lint", str(path), "--orders-per-day", "100", "--json"])
    assert ("Noisy", 10, "window-shorter-than-one-expected-order") in findings(capsys)
    events = recorded(tmp_path / "e.ndjson")
    main(["rules", "lint", str(path), "--events", str(events), "--json"])
    found = findings(capsys)
    assert ("Noisy", 10, "window-shorter-than-one-expected-order") in found
    assert ("Noisy", 10, "threshold-inside-noise") in found


def test_channels_of_the_configuration_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule for a channel nobody configured never fires."""
    path = written(tmp_path)
    config = tmp_path / "monitor.yaml"
    config.write_text("channels:\n  - {name: pool, kind: external}\n", encoding="utf-8")
    main(["rules", "lint", str(path), "--config", str(config), "--json"])
    assert ("Noisy", 10, "never-can-fire") in findings(capsys)


def test_wrong_files_and_options_end_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lint looks only at rules that are right; a wrong one is told as `check` does."""
    path = tmp_path / "r.yaml"
    path.write_text(RULES.replace("open_orders > 5", "open_ordrs > 5"), encoding="utf-8")
    assert main(["rules", "lint", str(path)]) == 2
    assert f"{path}:8:15 unknown signal 'open_ordrs'" in capsys.readouterr().err
    assert main(["rules", "lint", "--orders-per-day", "0"]) == 2


def test_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and as JSON."""
    assert main(["rules", "lint", "--codes"]) == 0
    assert "never-can-fire " in capsys.readouterr().out
    assert main(["rules", "lint", "--codes", "--json"]) == 0
    assert "no-tests" in json.loads(capsys.readouterr().out)


def test_shipped_rules_are_clean_but_for_owner_and_runbook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who is woken, and where the steps are, only the shop knows."""
    arguments = ["--ignore", "no-owner", "--ignore", "no-runbook", "--json"]
    main(["rules", "lint", *arguments])
    assert findings(capsys) == []
