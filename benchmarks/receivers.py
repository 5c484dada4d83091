"""How much dead receivers delay the others (P27): the real outbox, client and sockets of loopback.

    python -m benchmarks.receivers [--bursts N] [--record]

Two worlds side by side, so that a busy machine delays both: in each ten good receivers beside five
others, which are well in the one and dead in the other. Dead are: one that never answers, one that
answers a byte a second, one that breaks every connection, one where nobody listens, one whose name
server is silent. Measured is the time from the commit of a message to its arrival at one of the
ten; the figure is p99 in the world with dead ones ÷ p99 in the other. Two worlds in which nobody is
dead say how much of it is noise.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
from aiohttp import web

from benchmarks.promises import record
from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.names import Found, Names, system_addresses
from monitor.adapters.performer import OutsidePerformer
from monitor.adapters.storage.memory import MemoryStore
from monitor.adapters.vault import SealedVault
from monitor.model.effects import CallWebhook
from monitor.model.endpoints import Endpoint, Endpoints
from monitor.model.records import Entry, Notified
from monitor.model.secret import Secret
from monitor.ports import Checkpoint, Lease
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.runtime.segments import outbox_row
from monitor.runtime.supervisor import Supervisor

GOOD, DEAD = 10, 5
EVERY_S = 0.1  # both worlds together: 300 messages a second
LOSS_MAX = 0.05
_DEAD_NAME = "dead.example"


class Watch:
    """When messages were committed, and how long each took to its receiver."""

    def __init__(self, awaited: int, committed_s: dict[str, float] | None = None) -> None:
        self.committed_s = {} if committed_s is None else committed_s
        self.delays_s: list[float] = []
        self.all_there = asyncio.Event()
        self._awaited = awaited

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        """A good receiver."""
        key = (await request.json())["data"]["key"]
        self.delays_s.append(time.perf_counter() - self.committed_s[key])
        if len(self.delays_s) == self._awaited:
            self.all_there.set()
        return web.Response(status=204)


class Closer:
    """Stands for the loop: an answer closes its row."""

    def __init__(self, store: MemoryStore, lease: Lease) -> None:
        self._store, self._lease = store, lease

    async def submit(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        """See Submitter."""
        done = tuple(one.effect_key for one in entries if isinstance(one, Notified))
        await self._store.commit(self._lease, Checkpoint(cursor=0, done=done))
        return ("accepted",) * len(entries)


class World:
    """Fifteen receivers and an outbox of their own."""

    def __init__(
        self, store: MemoryStore, lease: Lease, watch: Watch, names: Sequence[str]
    ) -> None:
        self.watch = watch
        self._store, self._lease, self._names = store, lease, names

    async def commit(self, burst: int, lane: str | None) -> None:
        """Put one message for every receiver into the outbox, the five others first."""
        now_ms = SystemClock().now_ms()
        rows = []
        for name in self._names:
            key = f"{name}-{burst}"
            payload = msgspec.Raw(msgspec.json.encode({"key": key}))
            row = outbox_row(CallWebhook(key, name, "alert.firing", payload, now_ms))
            rows.append(row if lane is None else msgspec.structs.replace(row, lane=lane))
            self.watch.committed_s[key] = time.perf_counter()
        await self._store.commit(self._lease, Checkpoint(cursor=0, outbox=tuple(rows)))


@asynccontextmanager
async def world(*, is_mixed: bool, bursts: int) -> AsyncIterator[tuple[World, OutboxWorker]]:
    """Run receivers and worker; `is_mixed`: five of them are dead."""
    watch = Watch(GOOD * bursts)
    async with AsyncExitStack() as stack:
        if is_mixed:
            places = await stack.enter_async_context(_dead())
        else:
            others = Watch(DEAD * bursts, watch.committed_s)
            places = [await stack.enter_async_context(_good(others)) for _ in range(DEAD)]
        places += [await stack.enter_async_context(_good(watch)) for _ in range(GOOD)]
        urls = {f"webhooks/{number}": f"http://{place}/" for number, place in enumerate(places)}
        store = MemoryStore()
        lease = await store.acquire("loop", "bench", 0, 10**9)
        assert lease is not None, "the store is new"
        worker = await stack.enter_async_context(_worker(store, lease, urls, places))
        yield World(store, lease, watch, list(urls)), worker


async def measure(
    bursts: int, *, is_mixed: bool = True, lane: str | None = None
) -> tuple[list[float], list[float]]:
    """Delays of the ten in seconds: in a world where all are well, in one where five are dead.

    `lane` plants the fault: all receivers share a worker.
    """
    async with (
        world(is_mixed=False, bursts=bursts) as calm,
        world(is_mixed=is_mixed, bursts=bursts) as mixed,
    ):
        for burst in range(bursts):
            for one, worker in (calm, mixed) if burst % 2 else (mixed, calm):
                await one.commit(burst, lane)
                worker.nudge()
            await asyncio.sleep(EVERY_S)
        async with asyncio.timeout(60):
            for one, _ in (calm, mixed):
                await one.watch.all_there.wait()
        return calm[0].watch.delays_s, mixed[0].watch.delays_s


@asynccontextmanager
async def _worker(
    store: MemoryStore, lease: Lease, urls: dict[str, str], places: Sequence[str]
) -> AsyncIterator[OutboxWorker]:
    silent = threading.Event()

    def look_up(host: str, family: int) -> Found:
        if host == _DEAD_NAME:
            silent.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return system_addresses(host, family)

    endpoints = Endpoints(
        webhooks=tuple(Endpoint(name, "webhook", Secret(url)) for name, url in urls.items())
    )
    # Half a second stands for ten: the fault has to show within a test.
    client = HttpClient(config_hosts=places, resolver=Names(look_up), timeout_ms_max=500)
    supervisor, clock = Supervisor(), SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        vault = SealedVault(GoodsFile(Path(folder)))  # never opened: messages need no goods
        performer = OutsidePerformer(client, endpoints, {}, vault, clock)
        worker = OutboxWorker(store, Closer(store, lease), performer, clock, supervisor)
        await worker.start()
        try:
            yield worker
        finally:
            silent.set()
            await supervisor.stop()
            await client.close()


@asynccontextmanager
async def _good(watch: Watch) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(watch.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _dead() -> AsyncIterator[list[str]]:
    """Places that never answer, answer a byte a second, break off, are not there, have no name."""
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async def trickling(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n")
        while not (over.is_set() or writer.transport.is_closing()):
            writer.write(b".")
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 1)
        writer.close()

    async def breaking(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    servers = [
        await asyncio.start_server(dialogue, "127.0.0.1", 0)
        for dialogue in (silent, trickling, breaking)
    ]
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()[1]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    try:
        yield [f"127.0.0.1:{port}" for port in (*ports, nobody)] + [f"{_DEAD_NAME}:80"]
    finally:
        over.set()
        for server in servers:
            server.close()
            await server.wait_closed()


async def p99_ratio(bursts: int, *, is_mixed: bool = True, lane: str | None = None) -> float:
    """p99 of the delays in the second world ÷ that in the first."""
    calm, mixed = await measure(bursts, is_mixed=is_mixed, lane=lane)
    return p99(mixed) / p99(calm)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep the figure; 1 when the others were delayed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bursts", type=int, default=1_000, help="of ten messages")
    parser.add_argument("--record", action="store_true", help="keep it for docs/promises.md")
    options = parser.parse_args(arguments)
    logging.getLogger("monitor").setLevel(logging.CRITICAL)  # thousands of postponed effects
    noise = asyncio.run(p99_ratio(options.bursts, is_mixed=False))
    found = asyncio.run(p99_ratio(options.bursts))
    messages = options.bursts * GOOD
    note = f"p99 × {found:.3f} beside five dead receivers, × {noise:.3f} without any (noise)"
    print(f"{messages} messages to good receivers: {note}")
    is_delayed = found > 1 + LOSS_MAX
    if options.record:
        record("P27", tried=messages, violations=int(is_delayed), note=note)
    return int(is_delayed)


if __name__ == "__main__":
    sys.exit(main())
