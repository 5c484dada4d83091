"""Find rules that are correct and still will not do what their author wants.

Each finding is `file:line:col: code: message`; --codes lists the codes. With --events (healthy
recorded orders) or --orders-per-day limits and windows are compared with what usually happens.
Tests are looked for in the folder `tests` beside each file. Exit 1 with findings, 2 when a file is
wrong.

Examples:
  delivery-monitor rules lint
  delivery-monitor rules lint rules/ --config monitor.yaml --orders-per-day 300
  delivery-monitor rules lint rules/ --events march.ndjson --ignore no-runbook --json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from monitor.cli.history import parse_span, read_history
from monitor.cli.output import say, say_json, table
from monitor.config.load import load
from monitor.config.rules_file import shipped_path
from monitor.config.rules_lint import Found, lint_files
from monitor.core.rules.lint import CODES
from monitor.core.rules.noise import SHOP, Healthy
from monitor.model.errors import InputError
from monitor.model.settings import Settings
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS
from monitor.sim.history import History

# What orders are counted for that name no channel, or one too many.
UNCONFIGURED = ("external", "other")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules lint`."""
    parser.add_argument("rules", nargs="*", type=Path, metavar="P",
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml: known channels")
    parser.add_argument("--tests", type=Path, action="append", default=[], metavar="P",
                        help="rule tests elsewhere; may repeat")  # fmt: skip
    parser.add_argument("--events", action="append", default=[], metavar="F",
                        help="recorded orders of healthy days; may repeat")  # fmt: skip
    parser.add_argument("--exclude", action="append", default=[], metavar="FROM/TO",
                        help="an incident in --events; may repeat")  # fmt: skip
    parser.add_argument("--orders-per-day", type=float, metavar="N", help="without --events")
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE",
                        help="leave a code out; may repeat")  # fmt: skip
    parser.add_argument("--codes", action="store_true", help="list the codes and end")


def run(options: argparse.Namespace) -> int:
    """Lint; 1 with findings."""
    if options.codes:
        _list_codes(as_json=options.json)
        return 0
    for code in options.ignore:
        if code not in CODES:
            hint = did_you_mean(code, CODES) or "see --codes"
            raise InputError(f"unknown code {code!r}", code="usage", hint=hint)
    settings = load(options.config).settings
    names = tuple(channel.name for channel in settings.channels)
    channels = (*names, *UNCONFIGURED) if options.config is not None and names else None
    paths = options.rules or [shipped_path()]
    rules, found = lint_files(paths, channels, options.tests, _scopes(options, settings))
    found = [one for one in found if one.code not in options.ignore]
    if options.json:
        say_json({"ok": not found, "findings": msgspec.to_builtins(found)})
    else:
        _report(found, len(rules.rules))
    return 1 if found else 0


def _scopes(options: argparse.Namespace, settings: Settings) -> Mapping[str, Healthy] | None:
    """What is known of healthy days: from a recording, else from a rate, else nothing."""
    per_day: float | None = options.orders_per_day
    if per_day is not None and (options.events or not per_day > 0.0):
        raise InputError(
            "--orders-per-day is a number above 0, and goes without --events", code="usage"
        )
    if not options.events:
        return None if per_day is None else {SHOP: Healthy(per_day)}
    spans = [parse_span(text, "--exclude") for text in options.exclude]
    past = read_history(options.events, settings, spans)
    if not past.paid_ms.size:
        raise InputError("no paid order was recorded", code="no_events")
    return {SHOP: _healthy(past, None)} | {name: _healthy(past, name) for name in past.channels}


def _healthy(past: History, channel: str | None) -> Healthy:
    rows = past.of(channel)
    n = int(rows.sum())
    durations_ms = past.durations_ms[rows]
    # An order that still waits, but is in time, is not judged yet.
    is_judged = past.is_delivered[rows] | past.is_bad[rows]
    judged = max(1, int(is_judged.sum()))
    return Healthy(
        orders_per_day=n * DAY_MS / past.span_ms,
        ratios={
            "delayed_ratio": int(past.is_late[rows].sum()) / judged,
            "bad_ratio": int(past.is_bad[rows].sum()) / judged,
            "failed_ratio": int(past.is_failed[rows].sum()) / judged,
        },
        durations_ms=np.sort(durations_ms[is_judged]),
    )


def _report(found: list[Found], n_rules: int) -> None:
    for one in found:
        say(str(one))
    rules = f"{n_rules} rule{'' if n_rules == 1 else 's'}"
    findings = f"{len(found)} finding{'' if len(found) == 1 else 's'}"
    say(f"{rules}, {findings}" if found else f"{rules} clean")


def _list_codes(*, as_json: bool) -> None:
    if as_json:
        say_json(CODES)
    else:
        table([[code, what] for code, what in CODES.items()], ["CODE", "WHAT"])
