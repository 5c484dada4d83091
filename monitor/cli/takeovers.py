"""The queue of people: takeovers of a running service that need somebody.

Claiming and resolving need a token with scope operate: --key-file data/admin.token.

Examples:
  delivery-monitor takeovers
  delivery-monitor takeovers show tko_1
  delivery-monitor takeovers claim tko_1 --minutes 20 --key-file data/admin.token
  delivery-monitor takeovers resolve tko_1 --as delivered --note "sent by mail" --key-file data/admin.token
  delivery-monitor takeovers cancel tko_1 --note "we deliver it by hand" --key-file data/admin.token

Cancelling gives the order back to its shop while nothing can have been bought for it.

What a resolution means: delivered, refunded or alternative (other goods): you did it; not_delivered:
the open attempt brought nothing, the next channel may be tried.
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.output import say, say_json, table
from monitor.model.errors import InputError

ACTIONS = ("list", "show", "claim", "resolve", "cancel")
RESOLUTIONS = ("delivered", "refunded", "alternative", "not_delivered")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument("id", nargs="?", metavar="ID")
    parser.add_argument("--state", default="escalated", help="which to list (default: escalated; "
                        "all lists every one)")  # fmt: skip
    parser.add_argument(
        "--minutes", type=int, default=30, help="how long you claim it (default: 30)"
    )
    parser.add_argument("--release", action="store_true", help="give a claimed one back")
    parser.add_argument(
        "--as", dest="resolution", choices=RESOLUTIONS, help="what was done (resolve)"
    )
    parser.add_argument("--note", default="", help="why, for the audit")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    if options.action == "list":
        return _list(options)
    if options.id is None:
        raise InputError(f"takeovers {options.action} needs an ID", hint="see takeovers list")
    path = f"/v1/takeovers/{segment(options.id)}"
    match options.action:
        case "show":
            case = call(options, "GET", path, has="state")
        case "claim":
            body = {"minutes": options.minutes, "release": options.release, "note": options.note}
            case = call(options, "POST", f"{path}/claim", body)
        case "cancel":
            case = call(options, "POST", f"{path}/cancel", {"note": options.note})
        case _:
            if options.resolution is None:
                raise InputError(
                    "takeovers resolve needs --as", hint=f"one of {', '.join(RESOLUTIONS)}"
                )
            body = {"resolution": options.resolution, "note": options.note}
            case = call(options, "POST", f"{path}/resolution", body)
    if options.json:
        say_json(case)
    else:
        _show(case)
    return 0


def _list(options: argparse.Namespace) -> int:
    wanted = "" if options.state == "all" else f"?state={segment(options.state)}"
    answer = call(options, "GET", f"/v1/takeovers{wanted}", has="takeovers")
    if options.json:
        say_json(answer)
    elif answer["takeovers"]:
        table([_row(one) for one in answer["takeovers"]],
              ["takeover", "order", "state", "why", "who has it", "until", "opened"])  # fmt: skip
    else:
        say("nothing waits for people" if options.state == "escalated" else "none")
    return 0


def _row(case: dict[str, Any]) -> list[str]:
    holder, until = case["holder"] or "-", case["held_until"] or "-"
    return [
        case["id"],
        case["order_id"],
        case["state"],
        _why(case),
        holder,
        until,
        case["opened_at"],
    ]


def _why(case: dict[str, Any]) -> str:
    why = case["escalated_reason"] or case["resolution"] or "-"
    return f"{why} (first word: {case['first_word_of']})" if case["first_word_of"] else why


def _show(case: dict[str, Any]) -> None:
    """The case, and what is known of every attempt."""
    say(f"{case['id']}  order {case['order_id']}  {case['state']}  {_why(case)}")
    if case["holder"]:
        say(f"{case['holder']} has it until {case['held_until']}")
    rows = [
        [one.get("ref") or "-", one["channel"], one["state"], one.get("code") or "-",
         one.get("reason") or "-"]
        for one in case["attempts"]
    ]  # fmt: skip
    if rows:
        table(rows, ["attempt", "channel", "state", "code", "reason"])
