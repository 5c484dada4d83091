"""The example scripts on small files written by hand: what becomes an event, and what does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ORDERS = """\
order_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,\
order_delivered_customer_date
a,delivered,2017-07-09 21:57:05,2017-07-09 22:10:13,2017-07-11 14:58:04,2017-07-26 10:57:55
b,canceled,2017-07-09 10:00:00,2017-07-09 11:00:00,,
c,canceled,2017-07-09 10:00:00,,2017-07-12 09:00:00,2017-07-13 09:00:00
"""
PAYMENTS = """\
order_id,payment_sequential,payment_type
a,2,voucher
a,1,credit_card
b,2,boleto
b,3,voucher
"""
CALLS = """\
vru+line,call_id,type,vru_entry,vru_exit,q_start,q_exit,outcome,ser_start,server
A1,1,PS,9:00:00,9:00:06,9:00:06,9:00:40,AGENT,9:00:39,ANAT
A1,2,NW,9:00:00,9:00:06,0:00:00,0:00:00,AGENT,9:00:05,ANAT
A1,3,PS,9:00:00,9:00:06,0:00:00,0:00:00,HANG,0:00:00,NO_SERVER
A1,4,PS,9:00:00,9:00:06,9:00:06,9:02:00,PHANTOM,9:02:00,NO_SERVER
A1,5,PS,9:00:00,9:00:06,9:00:06,9:02:00,AGENT,0:00:00,ANAT
"""


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def told(done: subprocess.CompletedProcess[str], *names: str) -> list[tuple[str, ...]]:
    """The chosen fields of every event."""
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [tuple(event.get(name, "") for name in names) for event in events]


def test_olist_orders_become_events_of_their_first_payment(tmp_path: Path) -> None:
    """Times as UTC; cancelled at the last known time, unless it was delivered all the same."""
    orders = written(tmp_path / "orders.csv", ORDERS)
    payments = written(tmp_path / "payments.csv", PAYMENTS)
    found = told(run("olist.py", orders, payments), "order_id", "type", "time", "channel")
    assert found == [
        ("a", "order.created", "2017-07-09T21:57:05Z", "credit_card"),
        ("a", "order.paid", "2017-07-09T22:10:13Z", "credit_card"),
        ("a", "delivery.attempted", "2017-07-11T14:58:04Z", "credit_card"),
        ("a", "delivery.delivered", "2017-07-26T10:57:55Z", "credit_card"),
        ("b", "order.created", "2017-07-09T10:00:00Z", "boleto"),
        ("b", "order.paid", "2017-07-09T11:00:00Z", "boleto"),
        ("b", "order.cancelled", "2017-07-09T11:00:00Z", "boleto"),
        ("c", "order.created", "2017-07-09T10:00:00Z", ""),
        ("c", "delivery.attempted", "2017-07-12T09:00:00Z", ""),
        ("c", "delivery.delivered", "2017-07-13T09:00:00Z", ""),
    ]


def test_calls_become_events_of_what_their_row_has(tmp_path: Path) -> None:
    """Served from the queue, at once, gone in the menu, gone before the phone was picked up, open."""
    calls = written(tmp_path / "calls.csv", CALLS)
    found = told(run("callcentre.py", calls, "--date", "2026-01-05"), "order_id", "type", "time")
    assert found == [
        ("A1-1", "order.paid", "2026-01-05T09:00:06Z"),
        ("A1-1", "delivery.delivered", "2026-01-05T09:00:39Z"),
        ("A1-2", "delivery.delivered", "2026-01-05T09:00:05Z"),
        ("A1-3", "order.cancelled", "2026-01-05T09:00:06Z"),
        ("A1-4", "order.paid", "2026-01-05T09:00:06Z"),
        ("A1-4", "order.cancelled", "2026-01-05T09:02:00Z"),
        ("A1-5", "order.paid", "2026-01-05T09:00:06Z"),
    ]


@pytest.mark.parametrize("script", ["olist.py", "callcentre.py"])
@pytest.mark.parametrize("content", [None, b"a,b\n1,2\n", b"\x7fELF\xd0\x00"])
def test_wrong_file_is_one_line_and_exit_2(
    tmp_path: Path, script: str, content: bytes | None
) -> None:
    """No traceback for a missing, a foreign or a binary file."""
    path = tmp_path / "file.csv"
    if content is not None:
        path.write_bytes(content)
    done = run(script, path, *([path] if script == "olist.py" else []))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
