"""Turns one day of a bank's call centre into events, one JSON object per line, for `replay`.

    python examples/callcentre.py CALLS.csv > calls.ndjson
    delivery-monitor replay calls.ndjson        # the default promise is 3 min

A caller who waits for an agent is a buyer who waits for goods: the wait starts when the call enters
the queue (paid), ends well when an agent picks up (delivered) and badly when the caller hangs up
(cancelled). The channel is the type of service asked for (column `type`).

Each row gives what it has; `0:00:00` stands for "did not happen":

| event              | when the row has                           | time                            |
|--------------------|--------------------------------------------|---------------------------------|
| order.paid         | a queue entry                              | q_start                         |
| delivery.delivered | outcome AGENT and a service start          | ser_start                       |
| order.cancelled    | outcome HANG or PHANTOM                    | q_exit, vru_exit if not queued  |

What that means for the odd rows (numbers of the file anonymous_bank_calls_one_day.csv):
* 268 calls went to an agent without queueing: only *delivered*. A delivery implies payment, so the
  monitor counts them as good with no wait.
* 118 callers hung up in the voice menu and never asked for an agent: only *cancelled*. Without
  payment there is no promise; they are `unpaid`.
* 18 calls are PHANTOM and 5 are HANG although they have service times: `server` is NO_SERVER. The
  caller was gone when the phone was picked up; nobody was served, so they gave up.
* 1 call of an agent has no service start: it entered the queue and nothing more is known of it.
* call_id repeats; an order is `<vru+line>-<call_id>`, which does not.

The file names no date: the day is an argument. Times carry no zone and are written as UTC. The data
states no licence: bring your own copy, it does not come with this program.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

SOURCE = "/examples/callcentre"
NEVER = "0:00:00"
SERVED = "AGENT"
GAVE_UP = ("HANG", "PHANTOM")


def read_events(calls: Path, day: date) -> Iterator[dict[str, str]]:
    """Yield the events of every call, in the order of the file."""
    with calls.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            is_queued = row["q_start"] != NEVER
            if is_queued:
                yield event_of("order.paid", row, row["q_start"], day)
            if row["outcome"] == SERVED and row["ser_start"] != NEVER:
                yield event_of("delivery.delivered", row, row["ser_start"], day)
            if row["outcome"] in GAVE_UP:
                left = row["q_exit"] if is_queued else row["vru_exit"]
                yield event_of("order.cancelled", row, left, day)


def event_of(kind: str, row: dict[str, str], time: str, day: date) -> dict[str, str]:
    """One event in the flat form of `POST /v1/events`; each type occurs once per call."""
    call = f"{row['vru+line']}-{row['call_id']}"
    hours, minutes, seconds = (int(part) for part in time.split(":"))
    of_day = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    moment = datetime(day.year, day.month, day.day) + of_day  # noqa: DTZ001 - the file names no zone
    return {
        "type": kind,
        "order_id": call,
        "id": f"{call}/{kind}",
        "source": SOURCE,
        "time": moment.isoformat() + "Z",
        "channel": row["type"],
    }


def main() -> int:
    """Read one CSV file, write NDJSON to standard output."""
    parser = argparse.ArgumentParser(
        description="Turn one day of call centre records into events (NDJSON on standard output).",
        epilog="Queue entry = paid, service start = delivered, hang-up = cancelled; the channel is "
        "the type of service. The default promise of 3 min fits.",
    )
    parser.add_argument("calls", type=Path, help="anonymous_bank_calls_one_day.csv")
    parser.add_argument(
        "--date",
        type=date.fromisoformat,
        default=date(1999, 8, 2),
        help="day to write the times on, YYYY-MM-DD (default: %(default)s; the file names none)",
    )
    arguments = parser.parse_args()
    try:
        for event in read_events(arguments.calls, arguments.date):
            sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        parser.exit(2, f"error: {error.filename}: {error.strerror}; give the path of the file\n")
    except KeyError as error:
        parser.exit(2, f"error: column {error} is missing; is this the call centre file?\n")
    except (ValueError, csv.Error) as error:
        parser.exit(2, f"error: {error}; is this the call centre file?\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
