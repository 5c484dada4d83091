"""Explain a rule: why it fires or does not, and why nobody was told.

For every instance: the condition as a tree, each comparison with its reading (value, window, k of
n, p), the gate it had to pass, and the limit; the alert's state and since when, how far `for` has
come, and every reason why no message left or nobody was woken.

With --events a recording is played up to T; without, a running service is asked.

Examples:
  delivery-monitor rules explain DelayedOver2Percent --at 2026-01-05T14:30:00+08:00 --events e.ndjson
  delivery-monitor rules explain DelayedOver2Percent --label channel=auto
  delivery-monitor rules explain DeliveryStalled --at 2026-01-05T14:30:00+08:00 --json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.explanation_text import render_explanation
from monitor.cli.output import say, say_json, warn
from monitor.cli.recording import read_recording
from monitor.config.load import load
from monitor.config.rules_file import load_rules, load_shipped
from monitor.core.rules.lookback import settings_for
from monitor.core.views.explanation import Explanation, explain_rule
from monitor.model.commands import Command
from monitor.model.errors import InputError, MonitorError
from monitor.model.rules import RuleSet
from monitor.model.spelling import did_you_mean
from monitor.model.times import HOUR_MS, UnixMs, format_rfc3339, from_datetime, parse_rfc3339
from monitor.sim.gaps import gap_warnings
from monitor.sim.player import Player, cut, floor_ms, record

REJECTED_SHOWN_MAX = 20
# From so long before the last event up to T rules are evaluated as often as in the service, however
# long the recording is; a later T changes nothing of what came before.
EXACT_MS = HOUR_MS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules explain`."""
    parser.add_argument("rule", metavar="RULE", help="the alert's name")
    parser.add_argument("--at", metavar="T", help="a time with its zone (default: now, or the end "
                        "of the recording)")  # fmt: skip
    parser.add_argument("--label", action="append", metavar="NAME=VALUE", default=[],
                        help="only instances with this label")  # fmt: skip
    parser.add_argument("--events", nargs="+", metavar="F", help="recorded events, - stdin")
    parser.add_argument("--rules", type=Path, action="append", metavar="P", default=[],
                        help="with --events: rule files (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="F", help="with --events: monitor.yaml")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation; bad input is an InputError."""
    at_ms = None if options.at is None else _at_ms(options.at)
    labels = dict(_label(text) for text in options.label)
    explanation = (
        _of_recording(options, at_ms, labels)
        if options.events
        else _of_service(options, at_ms, labels)
    )
    if options.json:
        say_json(explanation)
    else:
        say(render_explanation(explanation).rstrip("\n"))
    return 0


def _of_recording(
    options: argparse.Namespace, at_ms: int | None, labels: dict[str, str]
) -> Explanation:
    settings = load(options.config).settings
    rules = load_rules(options.rules) if options.rules else load_shipped()
    _check_name(options.rule, rules)
    recording = read_recording(options.events, settings.sources)
    for line in recording.lines[:REJECTED_SHOWN_MAX]:
        warn(str(line))
    if recording.rejected > REJECTED_SHOWN_MAX:
        warn(f"… {recording.rejected} lines were not taken")
    tape = record(recording.events, until_ms=at_ms)
    if not tape.taken:
        until = f" until {format_rfc3339(at_ms)}" if at_ms is not None else ""
        raise InputError(
            f"not one valid event in {', '.join(options.events)}{until}",
            code="no_events",
            hint="name a recording that begins before --at",
        )
    for warning in gap_warnings(tape):
        warn(f"warning: {warning}")
    exact = settings_for(settings, rules)
    before, after = cut(tape, (tape.last_ms or 0) - EXACT_MS)
    floor = floor_ms(before, exact, len(rules.rules))
    coarse = msgspec.structs.replace(exact, evaluation_floor_ms=floor)
    player = Player(coarse if before.taken else exact, rules, _ignore)
    if before.taken:
        player.play(before)
        player.engine.configure(exact, rules)
    player.play(after)
    return explain_rule(player.engine, options.rule, tape.at_ms, labels)


def _of_service(
    options: argparse.Namespace, at_ms: int | None, labels: dict[str, str]
) -> Explanation:
    """The service answers with the very object that `--json` prints."""
    query: list[tuple[str, str]] = [("label", f"{name}={value}") for name, value in labels.items()]
    if at_ms is not None:
        query.append(("at", format_rfc3339(at_ms)))
    path = f"/v1/rules/{segment(options.rule)}/explanation"
    answer = call(options, "GET", path + (f"?{urlencode(query)}" if query else ""), has="instances")
    try:
        return msgspec.convert(answer, Explanation)
    except msgspec.ValidationError as error:
        raise MonitorError(
            f"the answer of the service is not understood ({error})",
            code="not_a_monitor",
            hint="use the delivery-monitor of the same version as the service",
        ) from error


def _ignore(command: Command) -> None:
    """Only the state at the end is asked for."""


def _check_name(name: str, rules: RuleSet) -> None:
    """Say a misspelt name before a long recording is played."""
    known = [rule.alert for rule in rules.rules]
    if name not in known:
        hint = did_you_mean(name, known) or f"known are {', '.join(known) or 'none'}"
        raise InputError(f"no rule is called '{name[:100]}'", code="not_found", hint=hint)


def _label(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise InputError(f"--label {text!r} is not a label", hint="write --label channel=auto")
    return name, value


def _at_ms(text: str) -> int:
    """Read `--at`; without a zone it could mean any of 24 hours."""
    try:
        moment = parse_rfc3339(text)
        at_ms = from_datetime(moment) if moment.tzinfo is not None else UnixMs(-1)
    except (ValueError, OverflowError):
        at_ms = UnixMs(-1)
    if at_ms < 0:
        raise InputError(
            f"--at {text!r} is not a time with a zone",
            hint="write for example 2026-01-05T10:00:00+08:00",
        )
    return at_ms
