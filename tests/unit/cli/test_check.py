"""`check`: problems end with 2, warnings only with --strict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.cli.main import main

TOKEN = "0123456789abcdef"
CONFIG = f"""
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, webhook: [{{url: "https://chat.example/robot?token={TOKEN}"}}]}}]
"""


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 2)])
def test_token_in_the_file_is_a_warning_and_with_strict_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int
) -> None:
    """It is named with its place and never shown; the exit code tells a pipeline."""
    file = tmp_path / "monitor.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    assert main(["check", "--config", str(file), *options, "--json"]) == code
    shown = capsys.readouterr().out
    answer = json.loads(shown)
    kind = "problems" if options else "warnings"
    assert answer["ok"] == (code == 0)
    assert [one["line"] for one in answer[kind]] == [4]
    assert TOKEN not in shown
