"""Send one event to a running service.

TYPE is a full name (`order.paid`) or its last word (`paid`, `created`, `attempted`, `delivered`,
`failed`, `refunded`, `cancelled`, `heartbeat`).

Examples:
  delivery-monitor emit paid A1 --channel auto --sku steam-50 --amount-minor 5000
  delivery-monitor emit delivered A1
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.cli.client import add_client_arguments, call
from monitor.cli.output import say, say_json, warn
from monitor.model.errors import InputError
from monitor.model.events import TYPE_OF_WORD, EventType
from monitor.model.spelling import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("order", metavar="ORDER", nargs="?", help="order id (none for heartbeat)")
    for name in ("channel", "sku", "source", "id", "time", "reason", "provider", "currency"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--amount-minor", type=int)
    parser.add_argument("--quantity", type=int)
    parser.add_argument("--promise-s", type=float)
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Send it; 0 when it was accepted or known already."""
    names = [kind.value for kind in EventType]
    kind = options.type if options.type in names else TYPE_OF_WORD.get(options.type)
    if kind is None:
        hint = (
            did_you_mean(options.type, [*names, *TYPE_OF_WORD])
            or f"one of {', '.join(sorted(TYPE_OF_WORD))}"
        )
        raise InputError(f"unknown event type {options.type!r}", hint=hint)
    event: dict[str, Any] = {"type": kind}
    if options.order is not None:
        event["order_id"] = options.order
    elif kind != EventType.HEARTBEAT:
        raise InputError(f"{kind} needs an order id", hint="delivery-monitor emit paid A1")
    for name in ("channel", "sku", "source", "id", "time", "reason", "provider", "currency",
                 "amount_minor", "quantity", "promise_s"):  # fmt: skip
        value = getattr(options, name)
        if value is not None:
            event[name] = value
    answer = call(options, "POST", "/v1/events", event, has="accepted")
    for warning in answer.get("warnings", []):
        warn(f"warning: {warning}")
    if options.json:
        say_json(answer)
    else:
        say("duplicate" if answer["duplicates"] else "accepted")
    return 0
