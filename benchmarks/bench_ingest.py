"""The ingest door against an empty aiohttp handler, in bursts that take turns within one run.

The service does all its work: key checked, events validated, logged and synced, folded, judged,
answered. Rates and latencies depend on the machine and its neighbours; CPU time of the server
process per event, and ratios to the empty handler, much less. The second empty handler (A/A) shows
how much of a difference means nothing.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.load import Burst, Client
from benchmarks.load_events import Shop, request
from benchmarks.load_server import KEY, Cpu, Server, empty_handler, service
from benchmarks.row import Row
from monitor.runtime.saving import SAVE_AFTER

GROUP = "ingest"
ROUNDS = 4
SINGLES, CONNECTIONS = 20_000, 64
# Events a request, requests a burst, connections: no more events under way than are taken in within
# a quarter of a second, for what is refused costs the server too and brings no events.
BATCHES = ((100, 600, 16), (1_000, 120, 3))
OPEN_RATE, OPEN_SECONDS = 4_000, 10
SETTLE_S = SAVE_AFTER + 1.3  # a changed order is stored so many seconds later: part of its cost
SYNCS = 500


class Share(msgspec.Struct, frozen=True):
    """What one burst cost the server, per event."""

    per_second: float
    cpu_us: float
    loop_us: float
    p50_ms: float
    p99_ms: float


class Contestant:
    """A server, its connections, and what its bursts cost."""

    def __init__(self, name: str, server: Server, port: int, connections: int, shop: Shop) -> None:
        self.name = name
        self._server = server
        self._client = Client("127.0.0.1", port, connections)
        self._shop = shop
        self.shares: list[Share] = []
        self.refused = 0  # requests that were too much at once: no event of theirs counts

    def burst(self, requests: int, batch: int) -> None:
        sent = _requests(self._shop, requests, batch)
        before = self._server.cpu()
        burst = self._client.closed(sent)
        time.sleep(SETTLE_S)
        taken = _taken(burst)
        self.refused += requests - taken
        self.shares.append(_share(burst, before, self._server.cpu(), taken * batch))

    def median(self, fact: str) -> float:
        return float(statistics.median(getattr(share, fact) for share in self.shares))

    def close(self) -> None:
        self._client.__exit__(None, None, None)


def rows(scale: float) -> Iterator[Row]:
    """The figures of the first table; scale 1 takes about three minutes."""
    base = Path(__file__).resolve().parents[1] / ".bench"  # a real disk, not a tmpfs
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder, ExitStack() as stack:
        place = Path(folder)
        yield from _sync_rows(place)
        served = stack.enter_context(service(place / "service"))
        empty = [stack.enter_context(empty_handler()) for _ in range(2)]
        shop = Shop("s")
        yield from _single_rows(served, empty, shop, scale)
        for batch, requests, connections in BATCHES:
            yield from _batch_rows(
                served, empty[0], shop, batch, max(20, round(requests * scale)), connections
            )
        yield from _open_rows(served, shop, scale, place)
        yield Row(GROUP, "memory of the service afterwards", served.rss_bytes() / 2**20, "MiB")


def _single_rows(served: Server, empty: list[Server], shop: Shop, scale: float) -> Iterator[Row]:
    contestants = [
        Contestant("empty handler", empty[0], empty[0].port, CONNECTIONS, shop),
        Contestant("service", served, served.port, CONNECTIONS, shop),
        Contestant("empty handler again", empty[1], empty[1].port, CONNECTIONS, shop),
    ]
    if served.fast_port:
        fast = Contestant("fast listener", served, served.fast_port, CONNECTIONS, shop)
        contestants.append(fast)
    _take_turns(contestants, max(500, round(SINGLES * scale)), 1)
    floor = contestants[0]
    for one in contestants:
        yield from _cost_rows(f"single events, {one.name}", one)
    for one in contestants[1:]:
        target = {"service": 0.6, "fast listener": 1.8}.get(one.name)
        yield Row(
            GROUP, f"single events, {one.name} against the empty handler, by CPU",
            floor.median("cpu_us") / one.median("cpu_us"), "x", target,
            "higher" if target else "info", f"by rate {_ratio(one, floor, 'per_second'):.2f}",
        )  # fmt: skip


def _batch_rows(
    served: Server, empty: Server, shop: Shop, batch: int, requests: int, connections: int
) -> Iterator[Row]:
    contestants = [
        Contestant("empty handler", empty, empty.port, connections, shop),
        Contestant("service", served, served.port, connections, shop),
    ]
    _take_turns(contestants, requests, batch)
    for one in contestants:
        yield from _cost_rows(f"batches of {batch:,}, {one.name}", one)
    yield Row(
        GROUP, f"batches of {batch:,}, service, by CPU", 1e6 / contestants[1].median("cpu_us"),
        "events/s/core", 120_000 if batch == 100 else 200_000, "higher",
    )  # fmt: skip


def _take_turns(contestants: list[Contestant], requests: int, batch: int) -> None:
    for one in contestants:
        one.burst(max(10, requests // 10), batch)  # warm
        one.shares.clear()
        one.refused = 0
    for _ in range(ROUNDS):
        for one in contestants:
            one.burst(requests, batch)
    for one in contestants:
        one.close()


def _cost_rows(what: str, one: Contestant) -> Iterator[Row]:
    latency = f"closed loop p50 {one.median('p50_ms'):.1f} ms, p99 {one.median('p99_ms'):.1f} ms"
    yield Row(
        GROUP, f"{what}: CPU of the process", one.median("cpu_us"), "us/event",
        note=f"{one.median('loop_us'):.1f} of it on the event loop's thread",
    )  # fmt: skip
    refused = f"; {one.refused} requests refused" if one.refused else ""
    yield Row(GROUP, f"{what}: rate", one.median("per_second"), "events/s", note=latency + refused)


def _open_rows(served: Server, shop: Shop, scale: float, place: Path) -> Iterator[Row]:
    count = round(OPEN_RATE * OPEN_SECONDS * min(1.0, scale))
    sent = _requests(shop, count, 1)
    before = served.cpu()
    with Client("127.0.0.1", served.port, CONNECTIONS) as client:
        burst = client.open(sent, OPEN_RATE)
    after = served.cpu()
    refused = count - _taken(burst)
    busy = (after.total_s - before.total_s) / burst.seconds
    syncs = sorted(_sync_times(place))
    note = f"fsync p50 {_at(syncs, 0.5):.2f} ms, p99 {_at(syncs, 0.99):.2f} ms; {busy:.0%} of a core, {refused} refused"
    what = f"acknowledged at {OPEN_RATE:,} single events/s, open loop"
    yield Row(GROUP, f"{what}: p50", burst.quantile_ms(0.5), "ms", 1.0, "lower", note)
    yield Row(GROUP, f"{what}: p99", burst.quantile_ms(0.99), "ms", 6.0, "lower", note)


def _sync_rows(place: Path) -> Iterator[Row]:
    syncs = sorted(_sync_times(place))
    yield Row(GROUP, "fdatasync of 400 appended bytes: p50", _at(syncs, 0.5), "ms")
    yield Row(GROUP, "fdatasync of 400 appended bytes: p99", _at(syncs, 0.99), "ms")


def _sync_times(place: Path) -> Iterator[float]:
    """How long the disk takes to make 400 bytes durable, in milliseconds."""
    descriptor = os.open(place / "syncs", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(descriptor, bytes(400))
            started = time.perf_counter()
            os.fdatasync(descriptor)
            yield (time.perf_counter() - started) * 1_000
    finally:
        os.close(descriptor)


def _requests(shop: Shop, requests: int, batch: int) -> list[bytes]:
    now_ms = round(time.time() * 1_000)
    return [request(shop.take(batch, now_ms), KEY) for _ in range(requests)]


def _share(burst: Burst, before: Cpu, after: Cpu, events: int) -> Share:
    return Share(
        per_second=events / burst.seconds,
        cpu_us=(after.total_s - before.total_s) / events * 1e6,
        loop_us=(after.loop_s - before.loop_s) / events * 1e6,
        p50_ms=burst.quantile_ms(0.5),
        p99_ms=burst.quantile_ms(0.99),
    )


def _taken(burst: Burst) -> int:
    """How many requests were taken; the others were refused as too much, and nothing else."""
    taken = burst.statuses.get(202, 0)
    if not taken or set(burst.statuses) - {202, 429, 503}:
        raise AssertionError(f"requests were not taken: {burst.statuses}")
    return taken


def _ratio(one: Contestant, other: Contestant, fact: str) -> float:
    return one.median(fact) / other.median(fact)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
