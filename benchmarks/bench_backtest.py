"""A month of a shop, a million events, through decoder, engine and shipped rules in virtual time."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.month import MONTH_S, ORDERS, lines
from benchmarks.row import Row
from monitor.cli.recording import read_recording
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.orders.shard import Shard
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Batch, Command, Tick, WakeAt
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import DAY_MS, SECOND_MS
from monitor.sim.backtest import backtest
from monitor.sim.player import Player, Tape, evaluations, record

GROUP = "back-test"
TARGET_S = 60.0  # a million events, one core, decoding included
MILLION = 1_000_000
WEIGHED_ORDERS = 3_000
NEVER_MS = 10**15
RULES = len(load_shipped().rules)
EVERY_MS = int(MONTH_S / evaluations(MILLION, RULES)) * SECOND_MS  # also in a shorter month


def rows(scale: float) -> Iterator[Row]:
    """Figures of a month of `ORDERS` times `scale`; every time is of one core's own work."""
    orders = max(1_000, round(ORDERS * scale))
    written = lines(orders, span_s=MONTH_S * orders / ORDERS)
    began = time.process_time()
    events = _read(written)
    decode_s = time.process_time() - began
    note = f"{len(events):,} events of {orders:,} orders, seed 1"
    fold_s, turn_s = _folded(events), _turned(events)
    began = time.process_time()
    tape = record(events)
    record_s = time.process_time() - began
    bare_s, full_s = _played(tape, RuleSet()), _tested(tape, load_shipped())
    of_million = MILLION / len(events)
    whole_s = (decode_s + record_s + full_s) * of_million
    yield Row(GROUP, "a million events, shipped rules", whole_s, "s", TARGET_S, "lower", note)
    yield Row(GROUP, "decode", decode_s * of_million, "µs/event", note=note)
    yield Row(GROUP, "sort", record_s * of_million, "µs/event", note="once for all versions")
    yield Row(GROUP, "fold", fold_s * of_million, "µs/event", note="facts, row, deadline, counters")
    yield Row(GROUP, "turn", turn_s * of_million, "µs/event", note="fold, deadlines, next tick")
    yield Row(GROUP, "without rules", len(events) / bare_s, "events/s", note="breaker included")
    yield _weight(written[: 3 * WEIGHED_ORDERS])


def _read(written: Sequence[bytes]) -> list[OrderEvent]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "month.ndjson"
        path.write_bytes(b"\n".join(written))
        return read_recording([str(path)], ()).events


def _tested(tape: Tape, rules: RuleSet) -> float:
    settings = settings_for(Settings(evaluation_floor_ms=EVERY_MS), rules)
    began = time.process_time()
    backtest("month", tape, settings, rules, None, lambda share: None)
    return time.process_time() - began


def _played(tape: Tape, rules: RuleSet) -> float:
    began = time.process_time()
    Player(Settings(evaluation_floor_ms=EVERY_MS), rules, lambda command: None).play(tape)
    return time.process_time() - began


def _folded(events: Sequence[OrderEvent]) -> float:
    """Time to fold events alone: nothing is judged and nobody looks."""
    shard, arrived = Shard(Settings()), list(map(_arrived, events))
    began = time.process_time()
    for event in arrived:
        shard.fold(event)
        shard.settle()
    return time.process_time() - began


def _turned(events: Sequence[OrderEvent]) -> float:
    """Time of whole turns of the engine, one per event, and of the ticks that it asks for."""
    engine = Engine(Settings(breaker_every_ms=NEVER_MS), RuleSet())
    arrived, wake_ms = list(map(_arrived, events)), NEVER_MS
    began = time.process_time()
    for event in arrived:
        while wake_ms < event.time_ms:
            wake_ms = _wake_ms(engine.handle(Tick(), wake_ms))
        wake_ms = _wake_ms(engine.handle(Batch((event,)), event.time_ms))
        engine.shard.drain_dirty()
        engine.shard.history.drain()
    return time.process_time() - began


def _wake_ms(commands: Sequence[Command]) -> int:
    return next(one.at_ms for one in commands if isinstance(one, WakeAt))


def _weight(written: Sequence[bytes]) -> Row:
    """Memory of the orders of a shard that are over but still looked at."""
    shard = Shard(Settings(signal_window_ms=60 * DAY_MS))
    tracemalloc.start()
    try:
        for event in _read(written):
            shard.fold(_arrived(event))
        shard.settle()
        shard.observe()
        shard.drain_dirty()
        weight = tracemalloc.get_traced_memory()[0] / len(shard.orders)
    finally:
        tracemalloc.stop()
    return Row(GROUP, "an order in memory", weight, "bytes", note=f"{len(shard.orders):,} orders")


def _arrived(event: OrderEvent) -> OrderEvent:
    return msgspec.structs.replace(event, received_ms=event.time_ms)
