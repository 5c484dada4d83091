"""`rules backtest` plays a recording to one or two versions of rules and says what they did."""

import json
from pathlib import Path

import pytest

from monitor.cli.main import main

RULES = """
groups:
  - name: g
    interval: 30s
    rules:
      - {{alert: Open, expr: "open_orders > {limit}", min_count: 1, severity: critical}}
"""
EVENTS = "".join(
    f'{{"type":"order.paid","order_id":"o{n}","time":"2026-01-05T02:0{n}:00Z"}}\n' for n in range(9)
)
INCIDENTS = "incidents: [{from: 2026-01-05T02:01:00Z, to: 2026-01-05T02:09:00Z}]"


def written(folder: Path) -> list[str]:
    """Two versions of a rule and nine orders that are never delivered; the common arguments."""
    (folder / "p.yaml").write_text(RULES.format(limit=2), encoding="utf-8")
    (folder / "q.yaml").write_text(RULES.format(limit=100), encoding="utf-8")
    (folder / "e.ndjson").write_text(EVENTS, encoding="utf-8")
    (folder / "i.yaml").write_text(INCIDENTS, encoding="utf-8")
    return ["rules", "backtest", str(folder / "p.yaml"), "--events", str(folder / "e.ndjson")]


def test_two_versions_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text and as JSON, with labelled incidents and the floor that was asked for."""
    arguments = [*written(tmp_path), "--against", str(tmp_path / "q.yaml"), "--every", "60s",
                 "--incidents", str(tmp_path / "i.yaml")]  # fmt: skip
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "rules evaluated at most every 1m" in shown
    assert "~ Open: episodes 1 -> 0" in shown
    assert "missed     2026-01-05T02:01:00Z to 2026-01-05T02:09:00Z" in shown
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["totals"]["missed"] for one in report["versions"]] == [0, 1]
    assert (report["events"], report["orders"], report["evaluated_every_s"]) == (9, 9, 60.0)
    (episode,) = report["versions"][0]["episodes"]
    assert (episode["rule"], episode["resolved_at"]) == ("Open", None)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--every", "soon"], "error: --every: 'soon' is not a duration"),
        (["--every", "0s"], "error: --every must be 1s to 1d"),
        (["--incidents", "none.yaml"], "none.yaml:1:1 cannot be read"),
        (["--against", "none.yaml"], "none.yaml:1:1 cannot be read"),
    ],
)
def test_bad_input_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], problem: str
) -> None:
    """One line that says what to write."""
    assert main([*written(tmp_path), *more]) == 2
    assert problem in capsys.readouterr().err


def test_recording_without_events_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty table would look like rules that never fire."""
    arguments = written(tmp_path)
    (tmp_path / "e.ndjson").write_text("{}\n", encoding="utf-8")
    assert main(arguments) == 2
    assert "not one valid event" in capsys.readouterr().err
