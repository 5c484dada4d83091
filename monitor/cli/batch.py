"""Handle many late orders of a running service at once; a dry run unless --apply is given.

What cannot be undone (refund, notify) waits 30 s, in which `batch cancel ID` takes it back. Applying
needs a token with scope operate: --key-file data/admin.token.

Examples:
  delivery-monitor batch --state late --action notify
  delivery-monitor batch --state late --channel A --action takeover --apply --key-file data/admin.token
  delivery-monitor batch cancel bat_0123456789abcdef0123 --key-file data/admin.token
  delivery-monitor batch show bat_0123456789abcdef0123
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.output import say, say_json, table, warn
from monitor.model.errors import InputError
from monitor.model.times import format_duration

VERBS = ("run", "show", "cancel")
ACTIONS = ("retry", "takeover", "refund", "notify")
STATES = ("late", "open", "at_risk")
LOOK_S = 1.0
SHOWN = 20  # orders of a preview; --json has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("verb", nargs="?", choices=VERBS, default="run")
    parser.add_argument("id", nargs="?", metavar="ID", help="batch (show, cancel)")
    parser.add_argument("--action", choices=ACTIONS)
    parser.add_argument("--state", choices=STATES, default="late")
    parser.add_argument("--channel")
    parser.add_argument("--sku")
    parser.add_argument("--older-than", default="0s", metavar="10m")
    parser.add_argument("--apply", action="store_true", help="do it; without it only a preview")
    parser.add_argument("--undo", metavar="30s", help="how long it waits before it begins")
    parser.add_argument("--reason", default="")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the end")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Preview or apply a batch, show one, or take one back."""
    if options.verb == "run":
        return _run(options)
    if options.id is None:
        raise InputError(f"batch {options.verb} needs an id", hint="see --help for examples")
    path = f"/v1/batches/{segment(options.id)}"
    if options.verb == "cancel":
        return _show(options, call(options, "POST", f"{path}/cancel", {}, has="counts"))
    return _show(options, call(options, "GET", path, has="counts"))


def _run(options: argparse.Namespace) -> int:
    if options.action is None:
        raise InputError("batch needs --action", hint=f"one of {', '.join(ACTIONS)}")
    asked = {
        "action": options.action, "state": options.state, "channel": options.channel,
        "sku": options.sku, "older_than": options.older_than, "undo": options.undo,
        "reason": options.reason,
    }  # fmt: skip
    body = {name: value for name, value in asked.items() if value}
    shown = call(options, "POST", "/v1/batches", body, has="preview")["preview"]
    if not options.apply:
        return _preview(options, shown)
    if not shown["count"]:
        raise InputError(_nothing(shown), hint="see `delivery-monitor orders`")
    body |= {"apply": True, "selection": shown["selection"]}
    begun = call(options, "POST", "/v1/batches", body, has="id")
    if not options.json:
        say(f"{begun['id']}: {options.action} of {begun['orders']} orders, "
            f"begins at {begun['starts_at']}")  # fmt: skip
    return _show(options, begun if options.no_wait else _wait(options, begun))


def _wait(options: argparse.Namespace, batch: Any) -> Any:
    """Look at the batch until nothing more becomes of it by itself."""
    path = f"/v1/batches/{segment(batch['id'])}"
    while batch["state"] in ("waiting", "running"):
        time.sleep(LOOK_S)
        batch = call(options, "GET", path, has="counts")
        ended = batch["orders"] - sum(
            batch["counts"].get(state, 0) for state in ("waiting", "under_way")
        )
        if sys.stderr.isatty():
            warn(f"{ended} of {batch['orders']} orders")
    return batch


def _preview(options: argparse.Namespace, shown: Any) -> int:
    if options.json:
        say_json(shown)
        return 0
    table([[one["order_id"], format_duration(round(one["age_s"] * 1000)), _money(one)]
           for one in shown["orders"][:SHOWN]], ["order", "age", "amount"])  # fmt: skip
    if shown["count"] > SHOWN:
        say(f"… {shown['count'] - SHOWN} more; --json shows all")
    for one in shown["left_out"][:SHOWN]:
        say(f"left out: {one['order_id']} ({one['reason']})")
    if not shown["count"]:
        say(_nothing(shown))
        return 0
    worth = ", ".join(
        f"{amount / 100:.2f} {name}" for name, amount in shown["amount_minor"].items()
    )
    say(f"would {shown['action']} {shown['count']} orders worth {worth or 'nothing known'}; "
        "--apply does it")  # fmt: skip
    return 0


def _nothing(shown: Any) -> str:
    """Why a batch is empty: no order is meant, or none of those can be dealt with like this."""
    if not shown["left_out"]:
        return "there are no such orders"
    reasons = sorted({one["reason"] for one in shown["left_out"]})
    return f"all {len(shown['left_out'])} orders are left out ({', '.join(reasons)})"


def _show(options: argparse.Namespace, batch: Any) -> int:
    if options.json:
        say_json(batch)
    else:
        table([[one["order_id"], one["state"], one["detail"]] for one in batch["items"]],
              ["order", "state", "detail"])  # fmt: skip
        counts = ", ".join(f"{count} {state}" for state, count in sorted(batch["counts"].items()))
        say(f"{batch['id']} {batch['state']}: {counts}")
    return 1 if batch["counts"].get("failed") else 0


def _money(order: Any) -> str:
    if order["amount_minor"] is None:
        return "-"
    return f"{order['amount_minor'] / 100:.2f} {order['currency'] or ''}".strip()
