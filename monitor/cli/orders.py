"""List orders of a running service, the most urgent first.

Examples:
  delivery-monitor orders --state late
  delivery-monitor orders --state open --channel auto --json
"""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from monitor.cli.client import add_client_arguments, call
from monitor.cli.output import say, say_json, table
from monitor.model.times import format_duration

STATES = ("open", "late", "at_risk", "delivered", "failed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--state", choices=STATES, default="open")
    parser.add_argument("--channel")
    parser.add_argument("--sku")
    parser.add_argument("--limit", type=int, default=50)
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    query = {"state": options.state, "limit": options.limit}
    query |= {name: getattr(options, name) for name in ("channel", "sku") if getattr(options, name)}
    answer = call(
        options, "GET", f"/v1/orders?{urlencode(query, errors='surrogateescape')}", has="orders"
    )
    if options.json:
        say_json(answer)
        return 0
    table([_row(one) for one in answer["orders"]],
          ["order", "channel", "state", "age", "breach in", "verdict", "tier", "takeover"])  # fmt: skip
    if answer.get("next"):
        say("… more; use --limit")
    return 0


def _row(order: dict[str, Any]) -> list[str]:
    breach = order["breach_in_s"]
    return [
        order["order_id"],
        order["channel"],
        order["state"],
        format_duration(round(order["age_s"] * 1000)),
        "-" if breach is None else format_duration(round(breach * 1000)),
        order["verdict"],
        order["tier"] or "-",
        order["takeover"] or "-",
    ]
