"""Show one order of a running service: where it stands, why, and when the goods will come.

Examples:
  delivery-monitor order A1
  delivery-monitor order A1 --json
"""

from __future__ import annotations

import argparse

from monitor.cli.client import add_client_arguments, call, segment
from monitor.cli.output import say, say_json
from monitor.model.times import format_duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("id", metavar="ID")
    add_client_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print it; 1 if there is no such order."""
    order = call(options, "GET", f"/v1/orders/{segment(options.id)}", has="timeline")
    if options.json:
        say_json(order)
        return 0
    age = "-" if order["age_s"] is None else format_duration(round(order["age_s"] * 1000))
    say(f"{order['order_id']}  {order['state']}  on {order['channel']}  verdict {order['verdict']}")
    say(f"paid {order['paid_at'] or '-'}  age {age}  promised in "
        f"{format_duration(round(order['promise_s'] * 1000))}  tier {order['tier'] or '-'}")  # fmt: skip
    for event in order["timeline"]:
        reason = f"  {event['reason']}" if event.get("reason") else ""
        say(f"  {event['time']}  {event['type']}  {event.get('channel') or ''}{reason}".rstrip())
    eta = order["eta"]
    if eta is not None:
        when = f"half of such orders by {eta['p50_at']}" if eta["p50_at"] else "no time is promised"
        reason = f" ({eta['reason']})" if eta["reason"] else ""
        say(f"eta: {when}; confidence {eta['confidence']}{reason}; "
            f"next word by {eta['next_word_at']}")  # fmt: skip
    takeover = order["takeover"]
    if takeover is not None:
        why = takeover["escalated_reason"] or takeover["resolution"] or "under way"
        say(f"takeover {takeover['id']}: {takeover['state']} ({why})")
    for one in order["playbook"]:
        why = f" ({one['reason']})" if one["reason"] else ""
        say(f"playbook L{one['level']} {one['kind']}: {one['state']}{why}")
    return 0
