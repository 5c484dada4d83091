"""Have people check the new orders of a scope first, for a while.

A scope is '*' (every order), channel:NAME, sku:NAME, customer_tier:vip or speed:express. Switching
needs a token with scope operate: --key-file data/admin.token.

Examples:
  delivery-monitor review
  delivery-monitor review on sku:gold --for 2h --reason "odd callbacks" --key-file data/admin.token
  delivery-monitor review off sku:gold --key-file data/admin.token
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.adapters.clock import SystemClock
from monitor.cli.client import add_client_arguments, call
from monitor.cli.output import say, say_json, table
from monitor.model.errors import InputError
from monitor.model.times import format_rfc3339, parse_duration

ACTIONS = ("list", "on", "off")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument("scope", nargs="?", metavar="SCOPE", help="'*' is every order")
    parser.add_argument("--for", dest="length", metavar="2h", help="how long (default: 4h)")
    parser.add_argument("--reason", default="")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do what was asked, and say what is under review now."""
    if options.action == "list":
        answer = call(options, "GET", "/v1/review", has="reviews")
    else:
        if options.scope is None:
            raise InputError(f"review {options.action} needs a scope", hint="'*' is every order")
        body: dict[str, Any] = {"scope": options.scope, "on": options.action == "on"}
        if options.reason:
            body["reason"] = options.reason
        if options.length is not None:
            body["until"] = _until(options.length)
        answer = call(options, "POST", "/v1/review", body, has="reviews")
    if options.json:
        say_json(answer)
    elif not answer["reviews"]:
        say("nothing is under review")
    else:
        rows = [[one["scope"], one["until"] or "-", one["actor"], one["reason"]]
                for one in answer["reviews"]]  # fmt: skip
        table(rows, ["scope", "until", "by", "reason"])
    return 0


def _until(length: str) -> str:
    try:
        return format_rfc3339(SystemClock().now_ms() + parse_duration(length))
    except (ValueError, OverflowError):
        raise InputError(f"--for {length!r} is no duration", hint="write 30m, 2h or 1d") from None
