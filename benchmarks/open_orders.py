"""A process that holds open orders, and says what they cost: bytes each, and a full collection.

Run by `bench_engine.py` in a process of its own, so that nothing else is in its memory.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.load_events import Shop
from monitor.api.decode import DecodeContext, decode
from monitor.cli.serve import calm_collector
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.settings import ChannelSettings, Settings, SourceSettings

START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
SETTINGS = Settings(
    sources=(SourceSettings("main-shop"),),
    channels=(ChannelSettings("auto"), ChannelSettings("supplier")),
)
BATCH = 1_000
A_SECOND = 10  # batches; changed orders are stored once a second, as by the loop


class Cost(msgspec.Struct, frozen=True):
    """Of so many open orders with so many events each."""

    orders: int
    bytes_each: float
    collection_ms: float


def cost(orders: int, events_each: int) -> Cost:
    """Fill an engine and weigh it."""
    rules = load_shipped()
    calm_collector()  # before there is an engine, as the service does: what it holds is looked at
    engine = Engine(settings_for(SETTINGS, rules), rules)
    shop = Shop("m", side_by_side=orders)
    now_ms = START_MS + 60_000
    engine.handle(Tick(), now_ms)
    empty = _resident_bytes()
    for batch in range(orders * events_each // BATCH):
        now_ms += 1
        engine.handle(Batch(_events(shop, now_ms)), now_ms)
        if batch % A_SECOND == A_SECOND - 1:
            engine.shard.drain_dirty()
    engine.shard.drain_dirty()
    engine.shard.observe()
    gc.collect()
    is_open = sum(order.is_open for order in engine.shard.orders.values())
    assert is_open == orders
    return Cost(orders, (_resident_bytes() - empty) / orders, min(_collected() for _ in range(3)))


def _events(shop: Shop, now_ms: int) -> tuple[OrderEvent, ...]:
    context = DecodeContext(now_ms, "main-shop", {"main-shop": SETTINGS.sources[0]})
    body = b"\n".join(shop.take(BATCH, START_MS))
    return tuple(decode(body, "application/x-ndjson", {}, context).events)


def _collected() -> float:
    began_s = time.process_time()
    gc.collect()
    return (time.process_time() - began_s) * 1_000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(cost(int(sys.argv[1]), int(sys.argv[2]))))
