"""`rules explain` over a recording: the tree as text, the object as JSON, and bad input."""

import json
from pathlib import Path

import pytest

from monitor.cli.main import main

RULES = """
groups:
  - name: g
    rules:
      - {alert: Open, expr: "open_orders > 2 and oldest_age > 1h", by: [channel], min_count: 1}
"""
EVENTS = "".join(
    f'{{"type":"order.paid","order_id":"o{n}","time":"2026-01-05T02:0{n}:00Z","channel":"a"}}\n'
    for n in range(5)
)


def written(folder: Path) -> list[str]:
    """A rule and five orders that wait; the common arguments."""
    (folder / "r.yaml").write_text(RULES, encoding="utf-8")
    (folder / "e.ndjson").write_text(EVENTS, encoding="utf-8")
    return ["rules", "explain", "Open", "--rules", str(folder / "r.yaml"),
            "--events", str(folder / "e.ndjson")]  # fmt: skip


def test_tree_state_and_reasons_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four orders wait at 3 min, none for an hour; at 1 h 5 min both parts hold."""
    arguments = written(tmp_path)
    assert main([*arguments, "--at", "2026-01-05T10:03:30+08:00"]) == 0
    shown = capsys.readouterr().out
    assert "Open (warning) at 2026-01-05T02:03:30Z" in shown
    assert "channel=a: inactive" in shown
    assert "  no  open_orders > 2 and oldest_age > 1h\n" in shown
    assert "    yes open_orders > 2: is 4, n 4 (threshold)\n" in shown
    assert "    no  oldest_age > 1h: is 3m30s, n 4 (below)\n" in shown
    assert "not told: the condition does not hold [below]" in shown
    assert main([*arguments, "--at", "2026-01-05T03:05:00Z", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (instance,) = answer["instances"]
    assert (instance["state"], instance["condition"]["outcome"]) == ("firing", "true")
    assert [why["code"] for why in instance["untold"]] == ["no_receiver", "severity"]


def test_end_of_the_recording_is_the_default_and_labels_choose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last order is paid at 02:04."""
    assert main([*written(tmp_path), "--label", "channel=other"]) == 0
    shown = capsys.readouterr().out
    assert "at 2026-01-05T02:04:00Z" in shown
    assert "no instance" in shown


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--at", "2026-01-05T10:00:00"], "is not a time with a zone"),
        (["--at", "2020-01-05T10:00:00Z"], "not one valid event"),
        (["--label", "channel"], "is not a label; write --label channel=auto"),
    ],
)
def test_bad_input_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], problem: str
) -> None:
    """One line that says what to write."""
    assert main([*written(tmp_path), *more]) == 2
    assert problem in capsys.readouterr().err


def test_misspelt_rule_is_corrected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the recording is played."""
    arguments = written(tmp_path)
    arguments[2] = "Opne"
    assert main(arguments) == 2
    assert capsys.readouterr().err == ("error: no rule is called 'Opne'; did you mean 'Open'?\n")


def test_far_end_changes_nothing_of_what_was_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third order is paid at 02:02, whether that is asked at once or three weeks later."""
    arguments = written(tmp_path)
    rules = RULES.replace(" and oldest_age > 1h", "")
    (tmp_path / "r.yaml").write_text(rules, encoding="utf-8")
    for at in ("2026-01-05T02:30:00Z", "2026-01-05T09:00:00Z", "2026-01-25T00:00:00Z"):
        assert main([*arguments, "--json", "--at", at]) == 0
        (instance,) = json.loads(capsys.readouterr().out)["instances"]
        assert (instance["state"], instance["since"]) == ("firing", "2026-01-05T02:02:00Z")
