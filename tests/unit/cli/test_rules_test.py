"""`rules test` runs stories against rules and says in which line an expectation failed."""

import json
from pathlib import Path

import pytest

from monitor.cli.main import main

RULES = """
groups:
  - name: g
    rules:
      - {alert: Waiting, expr: "open_orders > 0", min_count: 1}
"""
STORY = """
rule_files: [../r.yaml]
start: 2026-01-05T10:00:00+08:00
tests:
  - name: one order waits
    events:
      - {{at: 1m, order: A1, channel: auto, delay: never}}
    expect:
      - {{at: 2m, alert: Waiting, state: {state}}}
"""


def written(folder: Path, state: str) -> Path:
    """A folder of rules with a test that expects a state."""
    (folder / "r.yaml").write_text(RULES, encoding="utf-8")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "t.yaml").write_text(STORY.format(state=state), encoding="utf-8")
    return folder


def test_story_that_ends_as_expected_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder's tests are found, with the rules that the file names."""
    assert main(["rules", "test", str(written(tmp_path, "firing"))]) == 0
    assert capsys.readouterr().out == "ok    one order waits\n1 test passed\n"


def test_failed_expectation_ends_with_1_and_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the expectation is named, as text and as JSON."""
    path = written(tmp_path, "inactive") / "tests" / "t.yaml"
    assert main(["rules", "test", str(path)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith(f"FAIL  one order waits\n      {path}:9:9 at 2m: ")
    assert shown.endswith("1 test, 1 failed\n")
    assert main(["rules", "test", str(path), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    (test,) = answer["tests"]
    assert (test["name"], test["passed"], test["messages"][0]["line"]) == (
        "one order waits",
        False,
        9,
    )


def test_results_are_written_for_build_servers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside what is printed; a file that cannot be written is said."""
    path = str(written(tmp_path, "inactive"))
    assert main(["rules", "test", path, "--junit", str(tmp_path / "out.xml")]) == 1
    assert 'tests="1" failures="1"' in (tmp_path / "out.xml").read_text(encoding="utf-8")
    assert main(["rules", "test", path, "--junit", str(tmp_path / "no" / "out.xml")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_given_rules_replace_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule that the given file does not have cannot be expected."""
    folder = written(tmp_path, "firing")
    (tmp_path / "other.yaml").write_text(RULES.replace("Waiting", "Other"), encoding="utf-8")
    assert main(["rules", "test", str(folder), "--rules", str(tmp_path / "other.yaml")]) == 2
    assert f"{folder / 'tests' / 't.yaml'}:9:" in capsys.readouterr().err


def test_bad_files_end_with_2_and_every_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file and one of another kind are both named; an empty folder is said."""
    (tmp_path / "r.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert main(["rules", "test", str(tmp_path / "none"), str(tmp_path / "r.yaml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'none'}:1:1 cannot be read")
    assert any(line.startswith(f"{tmp_path / 'r.yaml'}:2:1 ") for line in lines)
    assert main(["rules", "test", str(tmp_path / "empty")]) == 2
    assert "holds no *.yaml test file" in capsys.readouterr().err
