"""See and steer delivery channels of a running service.

Steering needs a token with scope operate: --key-file data/admin.token.

Examples:
  delivery-monitor channels
  delivery-monitor channels switch '*' --to B --reason "A is slow" --key-file data/admin.token
  delivery-monitor channels lock A --reason "maintenance" --key-file data/admin.token
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.output import say, say_json, table
from monitor.model.errors import InputError
from monitor.model.times import format_duration

ACTIONS = ("list", "switch", "lock", "unlock", "drain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument("name", nargs="?", metavar="SCOPE|CHANNEL")
    parser.add_argument("--to", metavar="CH", help="channel that gets all new orders (switch)")
    parser.add_argument("--reason", default="")
    parser.add_argument("--dry-run", action="store_true", help="show the decision, do nothing")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    if options.action == "list":
        return _list(options)
    if options.name is None:
        raise InputError(f"channels {options.action} needs a name", hint="see --help for examples")
    if options.action == "switch":
        if not options.to:
            raise InputError("channels switch needs --to CHANNEL", hint="see --help for examples")
        body = {"scope": options.name, "weights": {options.to: 100}, "reason": options.reason,
                "dry_run": options.dry_run}  # fmt: skip
        answer = call(options, "POST", "/v1/switches", body)
    else:
        path = f"/v1/channels/{segment(options.name)}/{options.action}"
        answer = call(options, "POST", path, {"reason": options.reason})
    if options.json:
        say_json(answer)
    else:
        say("would do" if options.dry_run else "done")
    return 0


def _list(options: argparse.Namespace) -> int:
    answer = call(options, "GET", "/v1/channels", has="channels")
    if options.json:
        say_json(answer)
        return 0
    table([_row(one) for one in answer["channels"]],
          ["channel", "kind", "state", "weight", "slow", "open", "oldest", "p95", "deliveries"])  # fmt: skip
    return 0


def _row(channel: dict[str, Any]) -> list[str]:
    speed = channel["speed"]
    marks = "".join(f" ({mark})" for mark in ("locked", "drained") if channel[mark] is not None)
    p95 = "-" if channel["p95_s"] is None else format_duration(round(channel["p95_s"] * 1000))
    return [
        channel["name"] + marks,
        channel["kind"],
        channel["state"],
        str(channel["weight"]),
        f"{speed['slow']} of {speed['n']}",
        str(speed["open_orders"]),
        format_duration(speed["oldest_age_ms"]),
        p95,
        _deliveries(channel["chart"]),
    ]


def _deliveries(chart: dict[str, Any]) -> str:
    """Expected and seen while they fall behind."""
    expected, seen = round(chart["expected"]), chart["observed"]
    if not chart["is_stalled"] and expected <= seen:
        return "-"
    return f"{expected} expected, {seen} seen" + (" (stalled)" if chart["is_stalled"] else "")
