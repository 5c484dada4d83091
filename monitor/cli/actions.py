"""See what playbooks have under way, and say a word to what waits for a person.

A batch of many orders is approved like an action. Words need a token with scope operate:
--key-file data/admin.token.

Examples:
  delivery-monitor actions
  delivery-monitor actions approve act_0c9a4f7be1d2a3b4c5d6 --key-file data/admin.token
  delivery-monitor actions refund act_0c9a4f7be1d2a3b4c5d6 --note "buyer wrote" --key-file data/admin.token
"""

from __future__ import annotations

import argparse
from typing import Any

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.output import say, say_json, table
from monitor.model.errors import InputError

WORDS = ("approve", "refuse", "alternative", "refund", "wait", "close")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", nargs="?", choices=("list", *WORDS), default="list")
    parser.add_argument("id", nargs="?", metavar="ID", help="of an action or a batch")
    parser.add_argument("--note", default="", help="kept in the audit")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List, or say a word; 1 if it cannot be taken."""
    if options.action == "list":
        answer = call(options, "GET", "/v1/actions", has="actions")
        if options.json:
            say_json(answer)
        else:
            _show(answer)
        return 0
    if options.id is None:
        raise InputError(f"actions {options.action} needs an ID", hint="see `actions` for them")
    body = {"decision": options.action, "note": options.note}
    answer = call(options, "POST", f"/v1/actions/{segment(options.id)}", body, has="state")
    if options.json:
        say_json(answer)
    else:
        say(f"{answer['id']}: {answer['state']}")
    return 0


def _show(answer: dict[str, Any]) -> None:
    rows = [[one["id"], one["order_id"], f"L{one['level']} {one['kind']}",
             f"{one['state']} {one['reason'] or ''}".strip(), ", ".join(one["words"]) or "-"]
            for one in answer["actions"]]  # fmt: skip
    rows += [[one["id"], f"{one['orders']} orders", f"L{one['level']} batch", one["state"],
              ", ".join(one["words"]) or "-"] for one in answer["batches"]]  # fmt: skip
    if rows:
        table(rows, ["id", "order", "what", "state", "words"])
    else:
        say("nothing is under way")
