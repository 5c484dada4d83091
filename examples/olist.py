"""Turns the Olist order data set into events, one JSON object per line, ready for `replay`.

    python examples/olist.py ORDERS.csv PAYMENTS.csv > olist.ndjson
    delivery-monitor replay olist.ndjson --config olist.yaml     # promise: {default: 30d}

| event              | time                            | column                           |
|--------------------|---------------------------------|----------------------------------|
| order.created      | purchase                        | order_purchase_timestamp         |
| order.paid         | payment approved                | order_approved_at                |
| delivery.attempted | handed to the carrier           | order_delivered_carrier_date     |
| delivery.delivered | in the buyer's hands            | order_delivered_customer_date    |
| order.cancelled    | latest of purchase, approval    | order_status is canceled or      |
|                    | and carrier                     | unavailable, no customer date    |

What the file leaves open, and what is done about it:
* An empty column gives no event, and an order is never completed by guessing.
* An order that was cancelled and delivered all the same is delivered, not cancelled.
* An order can be paid in several ways. Its channel is the type of its first payment, the row with
  the smallest payment_sequential (it starts at 2 for a few orders).
* The times name no zone; they are written as UTC. Delays are differences, so only a change to
  daylight saving time (twice a year, one hour) could show.
* No event is put in order or cleaned: the carrier sometimes comes before the approval, which is
  what real data looks like.

The data set states no licence: bring your own copy, it does not come with this program.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = "/examples/olist"
TIMES = {
    "order.created": "order_purchase_timestamp",
    "order.paid": "order_approved_at",
    "delivery.attempted": "order_delivered_carrier_date",
    "delivery.delivered": "order_delivered_customer_date",
}
CLOSED = ("canceled", "unavailable")


def read_channels(payments: Path) -> dict[str, str]:
    """Type of the first payment of every order."""
    first: dict[str, tuple[int, str]] = {}
    with payments.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            payment = (int(row["payment_sequential"]), row["payment_type"])
            known = first.get(row["order_id"], payment)
            first[row["order_id"]] = min(known, payment)
    return {order_id: channel for order_id, (_, channel) in first.items()}


def read_events(orders: Path, channels: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the events of every order, in the order of the file."""
    with orders.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            times = {kind: row[column].strip() for kind, column in TIMES.items()}
            if row["order_status"] in CLOSED and not times["delivery.delivered"]:
                times["order.cancelled"] = max(times.values())  # ISO times sort as text
            for kind, time in times.items():
                if time:
                    yield event_of(kind, row["order_id"], time, channels.get(row["order_id"]))


def event_of(kind: str, order_id: str, time: str, channel: str | None) -> dict[str, str]:
    """One event in the flat form of `POST /v1/events`; each type occurs once per order."""
    event = {
        "type": kind,
        "order_id": order_id,
        "id": f"{order_id}/{kind}",
        "source": SOURCE,
        "time": time.replace(" ", "T") + "Z",
    }
    if channel:
        event["channel"] = channel
    return event


def main() -> int:
    """Read two CSV files, write NDJSON to standard output."""
    parser = argparse.ArgumentParser(
        description="Turn the Olist order data set into events (NDJSON on standard output).",
        epilog="Replay them with a promise of 30 days:  promise: {default: 30d}  in monitor.yaml.",
    )
    parser.add_argument("orders", type=Path, help="olist_orders_dataset.csv or a part of it")
    parser.add_argument("payments", type=Path, help="olist_order_payments_dataset.csv or a part")
    arguments = parser.parse_args()
    try:
        for event in read_events(arguments.orders, read_channels(arguments.payments)):
            sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        parser.exit(2, f"error: {error.filename}: {error.strerror}; give the paths of the files\n")
    except KeyError as error:
        parser.exit(2, f"error: column {error} is missing; is this the Olist data set?\n")
    except (ValueError, csv.Error) as error:
        parser.exit(2, f"error: {error}; is this the Olist data set?\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
