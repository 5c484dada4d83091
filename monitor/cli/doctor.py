"""Self-test: disk, SQLite, clock, egress, listener, sources, receivers, key files.

Needs no running service and disturbs none. Exit 0 when all is well, 1 with findings; `waiting` is
not a finding.

Examples:
  delivery-monitor doctor
  delivery-monitor doctor --config monitor.yaml
  delivery-monitor doctor --config monitor.yaml --json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.cli.doctor_disk import look_at_disk
from monitor.cli.doctor_outside import look_outside
from monitor.cli.doctor_shops import look_at_shops
from monitor.cli.finding import BAD, OK, Finding
from monitor.cli.output import line_of, say, say_json, table
from monitor.config.load import Loaded, load
from monitor.config.rules_file import load_rules, load_shipped
from monitor.model.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--rules", type=Path, action="append", metavar="P", default=[],
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")


def run(options: argparse.Namespace) -> int:
    """Look at everything; 1 with findings."""
    loaded, findings = _configuration(options.config, options.data_dir)
    findings += _rules(options.rules)
    if loaded is not None:
        findings += look_at_disk(
            Path(loaded.endpoints.data_dir), loaded.endpoints.listen,
            [one.name for one in loaded.endpoints.relays],
        )  # fmt: skip
        findings += look_outside(loaded)
        findings += look_at_shops(loaded)
    bad = [finding for finding in findings if finding.state == BAD]
    if options.json:
        say_json({"ok": not bad, "checks": findings})
        return 1 if bad else 0
    table(
        [[one.check, _mark(one), one.found] for one in findings],
        ["check", "result", "what was found"],
    )
    advice = [finding for finding in findings if finding.advice]
    if advice:
        say("\nwhat to do:")
    for finding in advice:
        say(f"  {finding.check}: {finding.advice}")
    say(f"\n{len(bad)} finding{'' if len(bad) == 1 else 's'}" if bad else "\nall is well")
    return 1 if bad else 0


def _mark(finding: Finding) -> str:
    return finding.state.upper() if finding.state == BAD else finding.state


def _configuration(path: Path | None, data_dir: str | None) -> tuple[Loaded | None, list[Finding]]:
    try:
        loaded = load(path, data_dir=data_dir)
    except ConfigError as error:
        found = [_problem("configuration", line_of(problem)) for problem in error.problems]
        advice = "correct the configuration first; the rest was not looked at"
        return None, [*found[:-1], Finding("configuration", BAD, found[-1].found, advice)]
    name = "embedded defaults" if loaded.path is None else str(loaded.path)
    findings = [Finding("configuration", OK, name)]
    for warning in loaded.warnings:
        place = f"{warning.path}:{warning.line}:{warning.column}"
        findings.append(Finding("configuration", BAD, f"{place} {warning.message}", warning.hint))
    return loaded, findings


def _rules(paths: list[Path]) -> list[Finding]:
    try:
        rules = load_rules(paths) if paths else load_shipped()
    except ConfigError as error:
        return [_problem("rules", line_of(problem)) for problem in error.problems]
    return [Finding("rules", OK, f"{len(rules.rules)} {'given' if paths else 'shipped'} rules")]


def _problem(check: str, text: str) -> Finding:
    return Finding(check, BAD, text)
