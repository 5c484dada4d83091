"""The pure core: CPU per event, replay of a log, memory and collection with many open orders.

Best of several repetitions of process CPU time, so neighbours on the machine change it least.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from benchmarks.bench_decode import CONTEXT, LINES, NOW_MS, SETTINGS
from benchmarks.load_events import Shop
from benchmarks.load_server import ROOT
from benchmarks.open_orders import Cost
from benchmarks.row import Row
from monitor.api.decode import decode
from monitor.cli.serve import calm_collector
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.records import record_decoder
from monitor.runtime.segments import segment_of

GROUP = "engine"
RUNS = 5
A_SECOND = 10_000  # events; changed orders are drained and rules looked at once a second
SECONDS = 4
OPEN_ORDERS = 1_000_000
COUNTED_EVENTS = 2  # of each open order: created, paid
SLICE_MS = 60_000


class _Spent(msgspec.Struct):
    """CPU seconds by part."""

    decoded_s: float = 0.0
    logged_s: float = 0.0
    handled_s: float = 0.0
    replayed_s: float = 0.0


def rows(scale: float) -> Iterator[Row]:
    """The figures of the core; scale 1 takes about three minutes, most of it for the memory."""
    calm_collector()
    runs = max(1, round(RUNS * scale))
    for group in (64, 1_000):
        spent = [_walked(group) for _ in range(runs)]
        yield from _event_rows(group, spent)
    yield from _memory_rows(max(10_000, round(OPEN_ORDERS * scale)))


def _event_rows(group: int, spent: list[_Spent]) -> Iterator[Row]:
    each = 1e6 / (A_SECOND * SECONDS // group * group)
    decode_us, log_us, handle_us, replay_us = (
        min(getattr(one, name) for one in spent) * each for name in _Spent.__struct_fields__
    )
    note = f"decode {decode_us:.1f}, line of the log {log_us:.1f}, core {handle_us:.1f}"
    yield Row(GROUP, f"groups of {group:,}: decode, dedupe, state, signals, log",
              decode_us + log_us + handle_us, "us/event", 5.0, "lower", note)  # fmt: skip
    yield Row(GROUP, f"groups of {group:,}: replay, decode and fold of the log", 1e6 / replay_us,
              "events/s/core", 400_000, "higher", f"{replay_us:.1f} us/event")  # fmt: skip


def _walked(group: int) -> _Spent:
    rules = load_shipped()
    engine = Engine(settings_for(SETTINGS, rules), rules)
    again = Engine(settings_for(SETTINGS, rules), rules)
    shop, spent, drained_ms = Shop("w"), _Spent(), 0
    for step in range(A_SECOND * SECONDS // group):
        now_ms = CONTEXT.received_ms + step * group * 1_000 // A_SECOND
        body = b"\n".join(shop.take(group, now_ms - SLICE_MS))
        began_s = time.process_time()
        entries = tuple(decode(body, LINES, {}, CONTEXT).events)
        decoded_s = time.process_time()
        segment = segment_of("entries", entries)
        logged_s = time.process_time()
        engine.handle(Batch(entries), now_ms)
        handled_s = time.process_time()
        _refold(again, segment.body)
        spent.replayed_s += time.process_time() - handled_s
        spent.decoded_s += decoded_s - began_s
        spent.logged_s += logged_s - decoded_s
        spent.handled_s += handled_s - logged_s
        if now_ms - drained_ms >= 1_000:
            drained_ms = now_ms
            for one in (engine, again):
                one.shard.drain_dirty()
    assert again.state_hash(NOW_MS) == engine.state_hash(NOW_MS)
    return spent


def _refold(engine: Engine, body: bytes) -> None:
    """What a restart does with a segment of the log."""
    records = [record_decoder.decode(line) for line in body.splitlines()]
    engine.refold(*(one for one in records if isinstance(one, OrderEvent)))


def _memory_rows(orders: int) -> Iterator[Row]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.open_orders", str(orders), str(COUNTED_EVENTS)],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    cost = msgspec.json.decode(done.stdout, type=Cost)
    note = f"{orders:,} open orders of {COUNTED_EVENTS} events"
    yield Row(GROUP, "memory per open order", cost.bytes_each, "bytes", 750, "lower", note)
    yield Row(GROUP, "full collection", cost.collection_ms, "ms", 20.0, "lower", note)
