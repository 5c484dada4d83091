"""Stuck orders delivered by the whole service over its HTTP client: what a delivery costs it.

A claim, a purchase and a hand-over each: three requests, signed, to a shop and a supplier in a process
of their own (`takeover_world.py`), goods sealed in between. The CPU is that of the service's process,
all threads, from when the first order is stuck; theirs is not in it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.row import Row
from monitor.app import Monitor
from monitor.config.load import load
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.takeovers import CaseState
from monitor.model.times import MINUTE_MS, UnixMs

ORDERS, CPU_MS = 3_000, 0.8
START_MS = 1_767_225_600_000
STUCK_MS = MINUTE_MS
CONFIG = """
currency: CNY
data_dir: {folder}/data
listen: 127.0.0.1:0
disk_reserve_mib: 1
promise: {{default: 1h}}
channels:
  - {{name: auto, kind: external}}
  - name: supplier
    kind: http
    capability: idempotent
    submit: {{method: POST, url: "{world}/buy", timeout: 10s,
             json: {{ref: "{{{{ attempt_ref }}}}", order: "{{{{ order_id }}}}"}}}}
    answer: {{delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}}}
fallback: {{mode: enforce, after: 1m, order: [supplier],
           max_per_hour: 1000000, max_value_per_day_minor: 1000000000000}}
shop: {{claim_url: "{world}/claim", deliver_url: "{world}/deliver", secret_file: {folder}/secret}}
"""


class Clock:
    """Stands still until the orders are there, then goes on with real time."""

    def __init__(self) -> None:
        self.ms = START_MS
        self.began_s: float | None = None

    def now_ms(self) -> UnixMs:
        """UTC milliseconds."""
        passed_s = 0.0 if self.began_s is None else time.perf_counter() - self.began_s
        return UnixMs(self.ms + int(passed_s * 1_000))


def row(group: str, folder: Path, scale: float) -> Row:
    """The CPU of a delivery, its three requests included."""
    orders = max(200, round(ORDERS * scale))
    world = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.takeover_world"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert world.stdout is not None
    assert world.stdin is not None
    try:
        url = f"http://127.0.0.1:{int(world.stdout.readline())}"
        cpu_s = asyncio.run(_delivered(folder, url, orders))
    finally:
        world.stdin.close()
        world.wait(10)
        world.stdout.close()
    note = f"{orders:,} orders, three signed requests each on loopback, no connection used twice"
    return Row(group, "CPU of a delivery with the HTTP client", 1e3 * cpu_s / orders, "ms", CPU_MS,
               "lower", note)  # fmt: skip


async def _delivered(folder: Path, world: str, orders: int) -> float:
    """Deliver so many orders; seconds of CPU."""
    (folder / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (folder / "secret").chmod(0o600)
    path = folder / "monitor.yaml"
    path.write_text(CONFIG.format(folder=folder, world=world))
    clock = Clock()
    monitor = Monitor(load(path), RuleSet(), clock=clock)
    await monitor.start()
    try:
        await monitor.wait_until_ready()
        for start in range(0, orders, 500):
            await monitor.ingest(
                tuple(_paid(number) for number in range(start, min(start + 500, orders)))
            )
        clock.ms += STUCK_MS
        clock.began_s, cpu_s = time.perf_counter(), time.process_time()
        cases = monitor.engine.desk.cases
        while sum(one.state == CaseState.DELIVERED for one in cases.values()) < orders:  # noqa: ASYNC110 - whoever told us would be measured, too
            await asyncio.sleep(0.25)
        return time.process_time() - cpu_s
    finally:
        await monitor.stop()


def _paid(number: int) -> OrderEvent:
    return OrderEvent(
        EventType.PAID, f"o{number}", "shop", f"e{number}", START_MS, START_MS, channel="auto",
        sku="steam-50", amount_minor=4_800, currency="CNY",
    )  # fmt: skip
