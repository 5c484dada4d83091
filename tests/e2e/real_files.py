"""The two real files as events, and what pandas and lifelines say of them.

Nothing here goes through our own statistics: `truth` reads the CSV files again, on its own path.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from lifelines import KaplanMeierFitter

from monitor.api.decode import EVENTS_MAX, DecodeContext, decode
from monitor.model.events import OrderEvent
from tests.shared_data import SHARED

ROOT = Path(__file__).resolve().parents[2]
ORDERS = SHARED / "data" / "olist_orders_subset.csv"
PAYMENTS = SHARED / "data" / "olist_order_payments_subset.csv"
CALLS = SHARED / "data" / "anonymous_bank_calls_one_day.csv"
DAY = "1999-08-02"
NEVER_S = 1e12
FAR_MS = 4_102_444_800_000  # 2100: no recorded time lies ahead of the arrival


def run_example(script: str, *arguments: Path) -> list[bytes]:
    """Lines that an example writes."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / script, *arguments],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def decoded(lines: list[bytes]) -> list[OrderEvent]:
    """Events as the HTTP edge would take them; every line must be good and need no warning."""
    context = DecodeContext(FAR_MS, "default", {})
    events: list[OrderEvent] = []
    for start in range(0, len(lines), EVENTS_MAX):
        body = b"\n".join(lines[start : start + EVENTS_MAX])
        found = decode(body, "application/x-ndjson", {}, context)
        assert not found.rejected
        assert not found.warnings
        events += found.events
    return events


class Truth(msgspec.Struct, frozen=True, eq=False):
    """One row per order: `paid`, `delivered`, `closed` (pandas times, NaT where not), `channel`."""

    table: pd.DataFrame
    promise: pd.Timedelta
    at: pd.Timestamp

    def of(self, channel: str) -> Truth:
        """The same for one channel."""
        return Truth(self.table[self.table.channel == channel], self.promise, self.at)

    def verdicts(self) -> dict[str, int]:
        """Counts by the table of contract §2, first match wins."""
        table = self.table
        left = table.paid.notna()
        counts = {"unpaid": int((~left).sum()), "failed": 0, "refunded": 0}
        for name, holds in (
            ("good", table.delivered - table.paid <= self.promise),
            ("late_delivered", table.delivered.notna()),
            ("cancelled", table.closed.notna()),
            ("late_pending", self.at - table.paid > self.promise),
            ("undecided", table.paid.notna()),
        ):
            counts[name] = int((left & holds).sum())
            left &= ~holds
        return counts

    def breached(self) -> int:
        """Orders that were neither delivered nor closed at paid + promise, and that lies behind."""
        deadline = self.table.paid + self.promise
        done = self.table[["delivered", "closed"]].min(axis=1)
        return int(((deadline < self.at) & (done.isna() | (done > deadline))).sum())

    def curve(self) -> KaplanMeierFitter:
        """Product-limit by lifelines; closed undelivered orders are at risk to the very end."""
        paid = self.table[self.table.paid.notna()]
        seconds = (paid.delivered.fillna(self.at) - paid.paid).dt.total_seconds().clip(lower=0)
        is_lost = paid.delivered.isna() & paid.closed.notna()
        return KaplanMeierFitter().fit(seconds.mask(is_lost, NEVER_S), paid.delivered.notna())

    def mean_lower_bound_s(self) -> float:
        """Mean of delays and of what has been waited so far."""
        paid = self.table[self.table.paid.notna()]
        waits = (paid.delivered.fillna(self.at) - paid.paid).dt.total_seconds().clip(lower=0)
        return float(waits.mean())


def olist_truth() -> Truth:
    """The Olist file read by pandas."""
    orders = pd.read_csv(ORDERS)
    times = {
        name: pd.to_datetime(orders[column])
        for name, column in (
            ("created", "order_purchase_timestamp"),
            ("approved", "order_approved_at"),
            ("carried", "order_delivered_carrier_date"),
            ("delivered", "order_delivered_customer_date"),
        )
    }
    is_handled = times["carried"].notna() | times["delivered"].notna()
    paid = times["approved"].fillna(times["created"].where(is_handled))
    is_dropped = orders.order_status.isin(["canceled", "unavailable"]) & times["delivered"].isna()
    known = pd.DataFrame(times)[["created", "approved", "carried"]].max(axis=1)
    payments = pd.read_csv(PAYMENTS).sort_values("payment_sequential")
    channel = payments.groupby("order_id").payment_type.first()
    table = pd.DataFrame(
        {
            "paid": paid,
            "delivered": times["delivered"],
            "closed": known.where(is_dropped),
            "channel": orders.order_id.map(channel),
        }
    )
    latest = pd.DataFrame(times).max().max()
    return Truth(table, pd.Timedelta(days=30), latest)


def calls_truth() -> Truth:
    """The call centre file read by pandas."""
    calls = pd.read_csv(CALLS)

    def moments(column: str) -> Any:
        of_day = pd.to_timedelta(calls[column])
        return (pd.Timestamp(DAY) + of_day).where(of_day > pd.Timedelta(0))

    is_served = calls.outcome == "AGENT"
    served = moments("ser_start").where(is_served)
    queued = moments("q_start")
    left = moments("q_exit").fillna(moments("vru_exit")).where(~is_served)
    table = pd.DataFrame(
        {
            # Served without queueing: a delivery implies payment, at the same moment.
            "paid": queued.fillna(served),
            "delivered": served,
            "closed": left,
            "channel": calls.type,
        }
    )
    latest = pd.concat([queued, served, left]).max()
    return Truth(table, pd.Timedelta(minutes=3), latest)
