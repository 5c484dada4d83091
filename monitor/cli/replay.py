"""Run recorded events through the real engine in virtual time and report what it saw and did.

Files hold one event per line (NDJSON) or a JSON array, in any order; `-` reads standard input. Time
is that of the events: nothing is sent, and the same files always give the same answer. Lines that
are no event are named on standard error and counted.

Examples:
  delivery-monitor replay events.ndjson
  delivery-monitor replay monday.ndjson tuesday.ndjson --config monitor.yaml --rules rules/ --json
  zcat events.ndjson.gz | delivery-monitor replay - --until 2026-01-05T12:00:00+08:00
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from monitor.cli.output import say, say_json, warn
from monitor.cli.recording import Recording, read_recording
from monitor.config.load import load
from monitor.config.rules_file import load_rules, load_shipped
from monitor.core.rules.lookback import settings_for
from monitor.model.errors import InputError
from monitor.model.times import UnixMs, from_datetime, parse_rfc3339
from monitor.sim.replay import replay
from monitor.sim.report import build_report
from monitor.sim.report_text import render_report

REJECTED_SHOWN_MAX = 20
LONG = 100_000  # events after which a terminal is told that work goes on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="+", metavar="EVENTS", help="NDJSON or JSON array, - stdin")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--rules", type=Path, action="append", metavar="P", default=[],
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--until", metavar="T",
                        help="judge at this time, with its zone (default: that of the last event)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Replay and report; bad input is an InputError."""
    loaded = load(options.config)
    rules = load_rules(options.rules) if options.rules else load_shipped()
    until_ms = None if options.until is None else _until(options.until)
    recording = read_recording(options.files, loaded.settings.sources)
    _say_problems(recording)
    if not recording.events:
        raise InputError(
            f"not one valid event in {', '.join(options.files)}",
            code="no_events",
            hint="an event is a line like "
            '{"type":"order.paid","order_id":"A1","time":"2026-01-05T10:00:00Z"}',
        )
    if len(recording.events) >= LONG and sys.stderr.isatty():
        warn(f"replaying {len(recording.events):,} events")
    settings = settings_for(loaded.settings, rules)
    replayed = replay(recording.events, settings, rules, until_ms=until_ms)
    report = build_report(replayed, rejected=recording.rejected)
    if options.json:
        lines = msgspec.to_builtins(recording.lines)
        warnings = [*recording.warnings, *report["warnings"]]
        say_json({**report, "rejected_lines": lines, "warnings": warnings})
    else:
        say(render_report(report).rstrip("\n"))
    return 0


def _until(text: str) -> UnixMs:
    """Read `--until`; without a zone it could mean any of 24 hours."""
    try:
        moment = parse_rfc3339(text)
        is_zoned = moment.tzinfo is not None
        until_ms = from_datetime(moment) if is_zoned else UnixMs(-1)
    except (ValueError, OverflowError):
        is_zoned, until_ms = True, UnixMs(-1)
    if until_ms < 0:
        problem = "is not a time" if is_zoned else "has no time zone"
        hint = "write for example 2026-01-05T10:00:00+08:00"
        raise InputError(f"--until {text!r} {problem}", hint=hint)
    return until_ms


def _say_problems(recording: Recording) -> None:
    for line in recording.lines[:REJECTED_SHOWN_MAX]:
        warn(str(line))
    if recording.rejected > REJECTED_SHOWN_MAX:
        warn(f"… {recording.rejected} lines were not taken; --json names more")
    for warning in recording.warnings:
        warn(f"warning: {warning}")
