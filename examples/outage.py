"""Writes a shop whose only channel in use goes silent after two hours, as events for `replay`.

    python examples/outage.py --per-hour 60 > outage.ndjson
    delivery-monitor replay outage.ndjson --config two-channels.yaml --until 2026-01-05T03:00:00Z

Every order is delivered 8 s after it was paid, until the outage at 2026-01-05T02:00:00Z; from then
on orders are still paid and none is delivered. Heartbeats every minute say that the shop itself is
alive. So the report of `replay` shows how soon an outage is noticed at this many orders an hour.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, tzinfo=UTC)
OUTAGE_S, END_S = 7_200.0, 10_800.0
DELAY_S, HEARTBEAT_S = 8.0, 60


def main() -> None:
    """Write the events to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-hour", type=float, default=60.0, help="orders an hour")
    per_hour = parser.parse_args().per_hour
    if not 1 <= per_hour <= 36_000:
        parser.error("--per-hour must be from 1 to 36000")
    for number in range(int(END_S / 3600 * per_hour)):
        paid_s = number * 3600 / per_hour
        order = {"order_id": f"O{number}", "channel": "auto"}
        write("order.paid", paid_s, order)
        if paid_s + DELAY_S < OUTAGE_S:
            write("delivery.delivered", paid_s + DELAY_S, order)
    for at_s in range(0, int(END_S), HEARTBEAT_S):
        write("source.heartbeat", at_s, {})


def write(kind: str, at_s: float, fields: dict[str, str]) -> None:
    time = (START + timedelta(seconds=at_s)).isoformat()
    print(json.dumps({"type": kind, "id": f"{kind} {at_s}", "time": time} | fields))


if __name__ == "__main__":
    main()
