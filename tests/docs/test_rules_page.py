"""docs/rules.md: its rules load, its conditions parse, its commands print what it shows."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from contextlib import chdir
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.cli.rules import VERBS
from monitor.config.rules_file import load_rules
from monitor.config.rules_schema import RuleFile, SloFile
from monitor.core.rules.lint import CODES
from monitor.core.rules.parse import parse
from monitor.model.rules import SIGNALS
from tests.e2e.serving import ROOT

PAGE = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    """Contents of the code blocks of one kind."""
    return [found[2] for found in BLOCK.finditer(PAGE) if found[1] == kind]


def section(title: str) -> str:
    """The text under one heading."""
    return re.split(r"^##+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """Every word in back-ticks in the first column of the tables."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def files(folder: Path) -> None:
    """Write the files of the page, and a month of orders."""
    for body in blocks("yaml"):
        name = body.splitlines()[0].removeprefix("# ")
        (folder / name).write_text(body, encoding="utf-8")
    rng = random.Random(3)
    start = datetime.fromisoformat("2026-03-02T00:00:00+08:00")
    lines = []
    for number in range(1_000):
        paid = start + timedelta(minutes=10 * number)
        delay_s = rng.lognormvariate(2.3, 0.6) * (2 if paid.hour < 6 else 1)
        done = paid + timedelta(seconds=round(delay_s, 3))
        for kind, at in (("order.paid", paid), ("delivery.delivered", done)):
            event = {"type": kind, "order_id": f"A{number}", "channel": "auto"}
            lines.append(json.dumps({**event, "time": at.isoformat()}))
    (folder / "march.ndjson").write_text("\n".join(lines), encoding="utf-8")
    (command,) = blocks("sh")
    program, *options = command.partition(" > ")[0].split()[1:]
    with (folder / "outage.ndjson").open("wb") as file:
        subprocess.run(
            [sys.executable, ROOT / program, *options], stdout=file, check=True, timeout=60
        )


def test_rules_of_the_page_load(tmp_path: Path) -> None:
    """Objectives and defaults included."""
    files(tmp_path)
    rules = load_rules([tmp_path / "late.yaml"])
    assert [rule.alert for rule in rules.rules][:2] == ["DelayedOver2Percent", "QueueGrows"]
    assert [slo.name for slo in rules.slos] == ["delivery"]


def test_conditions_of_the_page_parse() -> None:
    """Each line of its list."""
    lines = [line for body in blocks("text") for line in body.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        parse(line, ["delivery"])


def test_commands_of_the_page_print_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output and standard error together, as a terminal shows them."""
    files(tmp_path)
    shown = blocks("console")
    assert len(shown) >= 3
    for body in shown:
        command, *expected = body.splitlines()
        with chdir(tmp_path):
            main(command.removeprefix("$ delivery-monitor ").split())
        printed = capsys.readouterr()
        assert (printed.out + printed.err).splitlines() == expected, command


def test_page_names_every_signal_field_code_and_verb() -> None:
    """And none that does not exist, but for verbs that come."""
    assert sorted(set(first_cells(section("Conditions"))) - {"[10m]", "[10m:20]"}) == sorted(
        {*SIGNALS, "[10m:20:6h]", "[last 50]"}
    )
    fields = [field.alias or name for name, field in RuleFile.model_fields.items()]
    assert sorted(first_cells(section("Fields of a rule"))) == sorted(fields)
    assert sorted(first_cells(section("lint"))) == sorted(CODES)
    assert {f"rules {verb}" for verb in VERBS} <= set(first_cells(section("Tools")))
    told = section("Fields of a rule")
    assert all(f"`{name}`" in told or f"`{name}: " in told for name in SloFile.model_fields)
