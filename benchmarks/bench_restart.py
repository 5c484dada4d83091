"""A start with a million events in the log and a hundred thousand open orders, as a kill leaves it.

The directory is made by the real engine and store, four thousand events a commit: ten days, the last
snapshot twenty thousand events before the end, the last commit missing. Then a real `serve` process is started on it. Times are from the start
of the process; a bare `python -c pass` and the interpreter's imports are part of them.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from benchmarks.row import Row
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.config.load import load
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Batch, Command, Decide
from monitor.model.events import EventType, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.times import DAY_MS
from monitor.ports import Checkpoint
from monitor.runtime.assembly import OWNER
from monitor.runtime.order_rows import row_of
from monitor.runtime.segments import segment_of

EVENTS, OPEN_ORDERS = 1_000_000, 100_000
BATCH = 4_000
BATCHES, TAIL_BATCHES = EVENTS // BATCH, 5
DAYS = 10
NEVER_MS = 10**15
RULES = load_shipped()
CONFIG = "promise: {default: 60d}\nlisten: '127.0.0.1:%d'\ndata_dir: %s\n"
ACKNOWLEDGED_S, READY_S = 1.0, 5.0
STARTS = 3
GROUP = "restart"


def rows(scale: float) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="restart-") as name:
        folder = Path(name)
        port = _free_port()
        config = folder / "monitor.yaml"
        config.write_text(CONFIG % (port, folder / "data"))
        events, orders, size_mib = asyncio.run(_fill(folder / "made", config, scale))
        starts = []
        for _ in range(1 + STARTS):
            shutil.copytree(folder / "made", folder / "data")
            starts.append(_start(config, port))
            shutil.rmtree(folder / "data")
    note = f"{events:,} events in the log, {orders:,} open orders, {size_mib:.0f} MiB, after a kill"
    # The first one compiled the service.
    first_s, full_s, first_cpu_s, full_cpu_s = map(median, zip(*starts[1:], strict=True))
    yield Row(GROUP, "start to first acknowledgement", first_s, "s", ACKNOWLEDGED_S, "lower", note)
    yield Row(GROUP, "start to full state", full_s, "s", READY_S, "lower", note)
    yield Row(GROUP, "CPU of the process up to the acknowledgement", first_cpu_s, "s", note=note)
    yield Row(GROUP, "CPU of the process up to the full state", full_cpu_s, "s", note=note)


class Start(NamedTuple):
    """Seconds from the start of a process, and of its CPU up to then."""

    first_s: float
    full_s: float
    first_cpu_s: float
    full_cpu_s: float


async def _fill(data_dir: Path, config: Path, scale: float) -> tuple[int, int, float]:
    """Make the directory; returns events, open orders and MiB of the database."""
    settings, rules = settings_for(load(config).settings, RULES), RULES
    start_ms = time.time_ns() // 1_000_000 - DAYS * DAY_MS
    engine = Engine(msgspec.structs.replace(settings, breaker_every_ms=NEVER_MS), RuleSet())
    work = data_dir.with_name("work")
    store = await open_sqlite(work)
    lease = await store.acquire("loop", OWNER, start_ms, DAYS * DAY_MS)
    assert lease is not None
    batches = max(2 * TAIL_BATCHES, round(BATCHES * scale))
    for number in range(batches):
        now_ms, left = start_ms + (number + 1) * DAYS * DAY_MS // batches, batches - number
        if left == 2 * TAIL_BATCHES:  # before, looking at all orders would take most of the time
            engine.configure(settings, rules)
        batch = _events(number, now_ms)
        position = await store.append(segment_of("entries", batch))
        commands = engine.handle(Batch(batch), now_ms)
        if left > 1:  # else it is killed between acknowledgement and commit
            done = _checkpoint(engine, commands, position, with_snapshot=left == TAIL_BATCHES)
            await store.commit(lease, done)
    await store.health()  # waits in line behind the last commit
    shutil.copytree(work, data_dir, ignore=shutil.ignore_patterns("*-shm"))
    await store.close()
    shutil.rmtree(work)
    open_orders = sum(order.is_open for order in engine.shard.orders.values())
    return batches * BATCH, open_orders, (data_dir / "monitor.db").stat().st_size / (1 << 20)


def _checkpoint(
    engine: Engine, commands: Sequence[Command], position: int, *, with_snapshot: bool
) -> Checkpoint:
    """What the loop would commit of a turn: decisions, and every order that changed."""
    decisions = tuple(one.decision for one in commands if isinstance(one, Decide))
    return Checkpoint(
        cursor=position,
        position=position,
        decisions=segment_of("decisions", decisions) if decisions else None,
        orders=tuple(map(row_of, engine.shard.drain_dirty())),
        snapshot=engine.snapshot() if with_snapshot else None,
    )


def _events(batch: int, now_ms: int) -> tuple[OrderEvent, ...]:
    """Of ten orders as many stay open as in the whole; the others were delivered in a minute."""
    still_open = BATCH * OPEN_ORDERS // EVENTS
    delivered = (BATCH - still_open) // 2
    found = [
        _event(EventType.PAID, f"open-{batch}-{number}", now_ms) for number in range(still_open)
    ]
    for number in range(delivered):
        order_id = f"done-{batch}-{number}"
        paid_ms = now_ms - 60_000 + number
        found.append(_event(EventType.PAID, order_id, paid_ms))
        found.append(_event(EventType.DELIVERED, order_id, paid_ms + 20_000 + number * 8))
    return tuple(found)


def _event(kind: EventType, order_id: str, at_ms: int) -> OrderEvent:
    return OrderEvent(
        type=kind, order_id=order_id, source="shop", event_id=f"{order_id}-{kind}", time_ms=at_ms,
        received_ms=at_ms, channel="auto", sku="steam-50", amount_minor=4_800, currency="CNY",
    )  # fmt: skip


def _start(config: Path, port: int) -> Start:
    """Start a process and look at it from outside, until 200 of /readyz."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(config.with_name("compiled"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed, it is compiled
    started_s = time.perf_counter()
    with (config.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "serve", "--config", str(config)],
            stdout=log, stderr=log, cwd=config.parent, env=environment,
        )  # fmt: skip
        try:
            first_s, first_cpu_s = (
                _until(port, "POST", "/v1/events", 202, started_s),
                _cpu_s(process),
            )
            full_s, full_cpu_s = _until(port, "GET", "/readyz", 200, started_s), _cpu_s(process)
        finally:
            process.kill()
            process.wait()
    return Start(first_s, full_s, first_cpu_s, full_cpu_s)


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    used = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def _until(port: int, method: str, path: str, status: int, started_s: float) -> float:
    body = json.dumps({"type": "order.paid", "source": "shop", "order_id": "first"})
    while time.perf_counter() - started_s < 120:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, body if method == "POST" else None, headers)
            if connection.getresponse().status == status:
                return time.perf_counter() - started_s
        except OSError:
            pass  # not listening yet
        finally:
            connection.close()
        time.sleep(0.03)
    raise AssertionError(f"no {status} from {path} within two minutes")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
