"""Back-test rules: what they would have done over recorded events.

The events go through the real engine in virtual time, once for P and once for Q; nothing is sent.
Printed are, for each rule, its episodes, how soon it noticed, how long it fired, messages and
actions, and with --incidents which real trouble it missed and which of its episodes were false.

Rules are evaluated at most every --every; without it so that a long recording takes a minute.
--incidents is a YAML file:

  incidents:
    - {from: 2026-01-05T14:00:00+08:00, to: 2026-01-05T15:30:00+08:00, channel: auto}

Examples:
  delivery-monitor rules backtest rules/ --events last-month.ndjson
  delivery-monitor rules backtest old.yaml --against new.yaml --events may.ndjson june.ndjson
  delivery-monitor rules backtest rules/ --events all.ndjson --incidents incidents.yaml --json
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.cli.output import say, say_json, warn
from monitor.cli.recording import read_recording
from monitor.config.incidents_file import load_incidents
from monitor.config.load import load
from monitor.config.rules_file import load_rules, load_shipped
from monitor.core.rules.lookback import settings_for
from monitor.model.errors import InputError
from monitor.model.settings import SourceSettings
from monitor.model.times import DAY_MS, SECOND_MS, format_duration, parse_duration
from monitor.sim.backtest import Incident, backtest
from monitor.sim.backtest_report import build_report
from monitor.sim.backtest_text import render_report
from monitor.sim.player import Tape, floor_ms, record

REJECTED_SHOWN_MAX = 20
SAY_EVERY_S = 0.5
SHIPPED = "shipped rules"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules backtest`."""
    parser.add_argument("rules", nargs="*", type=Path, metavar="P",
                        help="rule files or folders (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--events", nargs="+", metavar="F", required=True,
                        help="NDJSON or JSON array, - stdin")  # fmt: skip
    parser.add_argument("--against", type=Path, action="append", metavar="Q", default=[],
                        help="another version of the rules, beside P")  # fmt: skip
    parser.add_argument("--incidents", type=Path, metavar="FILE", help="labelled incidents")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--every", metavar="D", help="evaluate rules at most so often, e.g. 60s")


def run(options: argparse.Namespace) -> int:
    """Play the recording to every version and report; bad input is an InputError."""
    every_ms = None if options.every is None else _every_ms(options.every)
    settings = load(options.config).settings
    versions = [
        (_name(options.rules), load_rules(options.rules) if options.rules else load_shipped())
    ]
    if options.against:
        versions.append((_name(options.against), load_rules(options.against)))
    incidents = None
    if options.incidents is not None:
        incidents = [Incident(*one) for one in load_incidents(options.incidents)]
    tape, rejected = _tape(options.events, settings.sources)
    for _, rules in versions:  # every version sees the same orders
        settings = settings_for(settings, rules)
    every_ms = floor_ms(tape, settings, max(len(rules.rules) for _, rules in versions), every_ms)
    settings = msgspec.structs.replace(settings, evaluation_floor_ms=every_ms)
    outcomes = [
        backtest(name, tape, settings, rules, incidents, _Progress(name, tape).step)
        for name, rules in versions
    ]
    intervals = [rule.interval_ms for _, rules in versions for rule in rules.rules]
    report = build_report(
        outcomes, tape, incidents, rejected=rejected,
        evaluated_every_ms=max(every_ms, min(intervals, default=0)),
    )  # fmt: skip
    if options.json:
        say_json(report)
    else:
        say(render_report(report).rstrip("\n"))
    return 0


def _tape(names: Sequence[str], sources: Sequence[SourceSettings]) -> tuple[Tape, int]:
    recording = read_recording(names, sources)
    for line in recording.lines[:REJECTED_SHOWN_MAX]:
        warn(str(line))
    if recording.rejected > REJECTED_SHOWN_MAX:
        warn(f"… {recording.rejected} lines were not taken")
    for warning in recording.warnings:
        warn(f"warning: {warning}")
    if not recording.events:
        raise InputError(
            f"not one valid event in {', '.join(names)}",
            code="no_events",
            hint="an event is a line like "
            '{"type":"order.paid","order_id":"A1","time":"2026-01-05T10:00:00Z"}',
        )
    return record(recording.events), recording.rejected


def _every_ms(text: str) -> int:
    try:
        every_ms = parse_duration(text)
    except ValueError as error:
        raise InputError(f"--every: {error}", hint="write --every 60s") from error
    if not SECOND_MS <= every_ms <= DAY_MS:
        raise InputError("--every must be 1s to 1d", hint="write --every 60s")
    return every_ms


def _name(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths)) or SHIPPED


class _Progress:
    """Says on a terminal how far playing has come and how long it will take; silent elsewhere."""

    def __init__(self, name: str, tape: Tape) -> None:
        self._name = name
        self._events = tape.taken
        self._is_shown = sys.stderr.isatty()
        self._began_s = self._said_s = time.monotonic()
        self._has_written = False

    def step(self, share: float) -> None:
        """Take note of a share, 0..1."""
        now_s = time.monotonic()
        is_over = share >= 1.0
        if not self._is_shown or (now_s - self._said_s < SAY_EVERY_S and not is_over):
            return
        if is_over and not self._has_written:
            return
        self._said_s = now_s
        left_s = (now_s - self._began_s) * (1.0 - share) / share if share else 0.0
        eta = f", {format_duration(round(left_s) * SECOND_MS)} left" if left_s >= 1.0 else ""
        text = f"{self._name}: {share:4.0%} of {self._events:,} events{eta}"
        print(f"\r{text:<78}", end="\n" if is_over else "", file=sys.stderr, flush=True)
        self._has_written = True
