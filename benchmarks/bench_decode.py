"""What decoding a request costs, and where the CPU time of an event goes, without any HTTP.

Best of many repetitions of process CPU time, so neighbours on the machine change it least. The parts
are those of one event on its way through the service, in groups as the loop would make them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.load_events import SOURCE, Shop
from benchmarks.row import Row
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.api.decode import DecodeContext, decode
from monitor.cli.serve import calm_collector
from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.core.rules.lookback import settings_for
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.settings import ChannelSettings, Settings, SourceSettings
from monitor.ports import Checkpoint
from monitor.runtime.order_rows import row_of
from monitor.runtime.segments import segment_of

GROUP = "decode"
EVENTS = 1_000
NOW_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
SETTINGS = Settings(
    sources=(SourceSettings(SOURCE),),
    channels=(ChannelSettings("auto"), ChannelSettings("supplier")),
)
CONTEXT = DecodeContext(NOW_MS + 60_000, SOURCE, {SOURCE: SETTINGS.sources[0]})
JSON, LINES = "application/json", "application/x-ndjson"
_BESIDE = ("type", "id", "source", "time", "traceparent")


def rows(scale: float) -> Iterator[Row]:
    """The figures of decoding, then the parts."""
    calm_collector()  # as the service does
    repetitions = max(5, round(60 * scale))
    texts = Shop("d").take(EVENTS, NOW_MS)
    for what, sent, target in _bodies(texts):
        cost_us = _best(lambda sent=sent: _logged(sent), repetitions)  # type: ignore[misc]  # bound
        yield Row(
            GROUP, f"{what}: decoded, and written as a line of the log", cost_us, "us/event",
            target, "lower" if target else "info", "best of process CPU time",
        )  # fmt: skip
    odd = [(text.replace(b'"attempt"', b'"colour":"red","attempt"'), JSON) for text in texts]
    cost_us = _best(lambda: _logged(odd), max(3, repetitions // 10))
    yield Row(GROUP, "events with a field that is not ours, one a request", cost_us, "us/event")
    for group in (64, 1_000):
        yield from _parts(group, max(2, round(30 * scale)))


def _bodies(texts: Sequence[bytes]) -> Iterator[tuple[str, list[tuple[bytes, str]], float | None]]:
    nested = [
        json.dumps(_nested(json.loads(text)), separators=(",", ":")).encode() for text in texts
    ]
    yield "lines, 1,000 a request", [(b"\n".join(texts), LINES)], 2.0
    yield "array, 1,000 a request", [(b"[" + b",".join(texts) + b"]", JSON)], 2.0
    yield "CloudEvents, 1,000 a request", [(b"[" + b",".join(nested) + b"]", JSON)], None
    yield "one event a request", [(text, JSON) for text in texts], None


def _nested(event: dict[str, object]) -> dict[str, object]:
    outside = {name: event[name] for name in _BESIDE}
    rest = {name: value for name, value in event.items() if name not in _BESIDE}
    return outside | {"specversion": "1.0", "subject": rest.pop("order_id"), "data": rest}


def _decoded(sent: Sequence[tuple[bytes, str]]) -> list[OrderEvent]:
    events: list[OrderEvent] = []
    for body, kind in sent:
        events += decode(body, kind, {}, CONTEXT).events
    return events


def _logged(sent: Sequence[tuple[bytes, str]]) -> None:
    events = _decoded(sent)
    assert len(events) == EVENTS
    segment_of("entries", events)


def _best(work: Callable[[], None], repetitions: int) -> float:
    """The least CPU microseconds per event that a run of the work took."""
    spent: list[float] = []
    for _ in range(repetitions):
        began_s = time.process_time()
        work()
        spent.append(time.process_time() - began_s)
    return min(spent) / EVENTS * 1e6


def _parts(group: int, seconds: int) -> Iterator[Row]:
    """Where the time of an event goes in groups of so many, saved once a second as by the loop."""
    base = Path(__file__).resolve().parents[1] / ".bench"
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        spent, events = asyncio.run(_walk(Path(folder), group, seconds))
    whole_us = sum(spent.values()) / events * 1e6
    for part, part_s in spent.items():
        cost_us = part_s / events * 1e6
        note = f"{cost_us / whole_us:.0%} of {whole_us:.1f} us"
        yield Row(GROUP, f"groups of {group:,}: {part}", cost_us, "us/event", note=note)


async def _walk(folder: Path, group: int, seconds: int) -> tuple[dict[str, float], int]:
    store = await open_sqlite(folder)
    lease = await store.acquire("loop", "benchmark", NOW_MS, 10**9)
    assert lease is not None
    rules = load_shipped()
    engine = Engine(settings_for(SETTINGS, rules), rules)
    shop, spent, events = Shop("w"), dict[str, float](), 0
    groups_a_second = max(4, 10_000 // group)
    for step in range(seconds * groups_a_second):
        now_ms = CONTEXT.received_ms + step * 1_000 // groups_a_second
        texts = shop.take(group, now_ms - 60_000)
        sent = [(text, JSON) for text in texts] if group < 100 else [(b"\n".join(texts), LINES)]
        watch = _Watch(spent)
        entries = tuple(_decoded(sent))
        watch.lap("decoding")
        segment = segment_of("entries", entries)
        watch.lap("line of the log")
        position = await store.append(segment)
        watch.lap("append and sync, all threads")
        engine.handle(Batch(entries), now_ms)
        watch.lap("fold, judge, look at rules (core)")
        if step % groups_a_second == groups_a_second - 1:
            changed = tuple(map(row_of, engine.shard.drain_dirty()))
            watch.lap("rows of orders")
            await store.commit(lease, Checkpoint(position, position, orders=changed))
            watch.lap("saving the rows, all threads")
        events += group
    await store.close()
    return spent, events


class _Watch:
    """Adds up process CPU time by part."""

    def __init__(self, spent: dict[str, float]) -> None:
        self._spent = spent
        self._began_s = time.process_time()

    def lap(self, part: str) -> None:
        now_s = time.process_time()
        self._spent[part] = self._spent.get(part, 0.0) + now_s - self._began_s
        self._began_s = time.process_time()
