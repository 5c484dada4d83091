"""Payment callbacks through the relay: what is lost, what is repeated, what it adds, what it spares.

Real processes and SIGKILL for the first, virtual time for hours of an absent shop.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.relay import Stage, drained, duplicates, paced, send, wreck
from benchmarks.relay_sim import HOUR_S, SimShop, run_one_try_each, run_storm
from benchmarks.row import Row

GROUP = "relay"
CALLBACKS, KILLS = 100_000, 20
PAID_ORDERS = 10_000
PACED = 2_000
DUPLICATES, COPIES = 100, 50
SEED = 20260101
RELAY, SHOP = "/relay/main/epay", "/notify"


def rows(scale: float) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="relay-") as name:
        yield from asyncio.run(_killed(Path(name), scale))
    with tempfile.TemporaryDirectory(prefix="relay-") as name:
        yield from asyncio.run(_at_rest(Path(name), scale))
    yield from _virtual(scale)


async def _killed(folder: Path, scale: float) -> list[Row]:
    count, kills = max(200, int(CALLBACKS * scale)), max(2, int(KILLS * scale))
    stage = Stage(folder)
    await stage.open()
    try:
        orders = [f"o{number:06d}" for number in range(count)]
        began_s = time.perf_counter()
        wrecking = asyncio.create_task(wreck(stage, SEED, kills, count))
        _, failures = await send(stage.port, RELAY, orders)
        sent_s = time.perf_counter() - began_s
        await wrecking
        missing = await drained(stage, count, 120)
        book = stage.book()
    finally:
        stage.close()
    note = f"{count:,} callbacks, relay and shop each kill -9'd {kills} times, {failures} tries refused"
    repeated = f"of {count:,}; a kill between the shop's processing and the relay's record of it"
    return [
        Row(GROUP, "acknowledged callbacks lost", missing, "", 0, "lower", note),
        Row(GROUP, "orders processed again after a kill", book.repeated, "", None, "info", repeated),
        Row(GROUP, "callbacks a second", count / sent_s, "/s", None, "info", "kills included"),
    ]  # fmt: skip


async def _at_rest(folder: Path, scale: float) -> list[Row]:
    count, orders = max(100, int(PACED * scale)), max(5, int(DUPLICATES * scale))
    stage = Stage(folder)
    await stage.open()
    try:
        await paced(stage.port, RELAY, "warm", 50, 0.002)
        direct, relayed, syncs = [], [], []
        for part in range(5):  # in turns, so that both see the same machine
            direct += await paced(stage.shop_port, SHOP, f"d{part}-", count // 5, 0.002)
            relayed += await paced(stage.port, RELAY, f"r{part}-", count // 5, 0.002)
            syncs += sync_times(folder, count // 5)
        await duplicates(stage.port, RELAY, orders, COPIES)
        book = stage.book()
    finally:
        stage.close()
    most = max(book.orders[f"dup{number}"] for number in range(orders))
    straight, through, sync = (
        [float(at) * 1_000 for at in np.percentile(times, [50, 99])]
        for times in (direct, relayed, syncs)
    )
    note = (
        f"p99 {through[1]:.2f} ms through the relay, {straight[1]:.2f} ms without; {count:,} each"
    )
    return [
        Row(GROUP, "added to a callback, p99", through[1] - straight[1], "ms", 10, "lower", note),
        Row(GROUP, "added to a callback, p50", through[0] - straight[0], "ms", None, "info", note),
        Row(GROUP, "one sync of the same disk, p99", sync[1], "ms", None, "info",
            f"4 KiB, alone, in turns with the callbacks; p50 {sync[0]:.2f} ms"),
        Row(
            GROUP, f"processings of an order under {COPIES} duplicates at once", most, "", 1,
            "lower", f"the most of {orders} orders",
        ),
    ]  # fmt: skip


def sync_times(folder: Path, count: int) -> list[float]:
    """Seconds that the disk takes for one durable write of a page."""
    times = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(count):
            os.write(descriptor, bytes(4_096))
            began_s = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - began_s)
    finally:
        os.close(descriptor)
    return times


def _virtual(scale: float) -> Iterator[Row]:
    count = max(100, int(PAID_ORDERS * scale))
    with tempfile.TemporaryDirectory() as name:
        shop, _ = run_one_try_each(Path(name), count, restarts=2)
    note = f"{count:,} paid orders, gateway calls once, relay restarted twice; virtual time"
    yield Row(
        GROUP, "lost while the shop is down 6 h", count - len(shop.processed), "", 0, "lower", note
    )
    with tempfile.TemporaryDirectory() as name:
        bare = run_storm(SimShop(HOUR_S, is_hanging=True), Path(name), 20, with_relay=False)
    most = {}
    for orders in (1, 20):
        with tempfile.TemporaryDirectory() as name:
            shop = run_storm(
                SimShop(HOUR_S, is_hanging=orders > 1), Path(name), orders, with_relay=True
            )
        most[orders] = (max(shop.in_hour.values()), max(shop.most_at_once.values()))
    note = f"BEpusdt, shop down 1 h; without the relay {max(bare.in_hour.values()):,}, virtual time"
    yield Row(GROUP, "requests an order and hour", max(one[0] for one in most.values()), "", 20,
              "lower", note)  # fmt: skip
    note = f"without the relay {max(bare.most_at_once.values())}"
    yield Row(GROUP, "requests of an order at once", max(one[1] for one in most.values()), "", 1,
              "lower", note)  # fmt: skip
