"""Callbacks through a relay of a real `serve` process to a shop that both get killed on the way.

A gateway of many connections sends each callback until it is acknowledged, as gateways do. At the end
every order that was acknowledged must stand in the shop's book.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

CONFIG = """
listen: 127.0.0.1:{port}
data_dir: {data}
disk_reserve_mib: 0
promise: {{default: 60d}}
connections: {{max: 2000, per_address: 2000}}
relays: [{{shop: main, gateway: epay, kind: yipay, forward: "http://127.0.0.1:{shop}/notify"}}]
"""
ANSWER_S = 30.0
WORKERS = 32
LINE_BYTES = 8  # of the book: an order of seven letters


class Book(NamedTuple):
    """What the shop wrote down: how often each order was processed."""

    orders: Counter[str]

    @property
    def repeated(self) -> int:
        return sum(1 for count in self.orders.values() if count > 1)


class Stage:
    """The two processes, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.shop_port = free_port(), free_port()
        self._book = folder / "book"
        self._book.touch()
        self._config = folder / "monitor.yaml"
        self._log = folder / "serve.log"
        self._config.write_text(
            CONFIG.format(port=self.port, shop=self.shop_port, data=folder / "data")
        )
        self._shop: subprocess.Popen[bytes] | None = None
        self._relay: subprocess.Popen[bytes] | None = None

    def start_shop(self) -> None:
        self._shop = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.relay_shop", str(self.shop_port), str(self._book)]
        )

    def start_relay(self) -> None:
        command = [sys.executable, "-m", "monitor", "serve", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._relay = subprocess.Popen(command, stdout=log, stderr=log)

    def kill_shop(self) -> None:
        _kill(self._shop)

    def kill_relay(self) -> None:
        _kill(self._relay)

    async def open(self) -> None:
        self.start_shop()
        self.start_relay()
        await listening(self.shop_port)
        await listening(self.port)

    def close(self) -> None:
        self.kill_relay()
        self.kill_shop()

    def lines(self) -> int:
        """How many requests the shop has handled, by the size of its book."""
        return self._book.stat().st_size // LINE_BYTES

    def book(self) -> Book:
        return Book(Counter(self._book.read_text(encoding="ascii").split()))


class Gateway:
    """Sends callbacks on one connection, each until somebody says success."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.failures = 0

    async def notify(self, order: str) -> float:
        """Send until it is acknowledged; returns seconds of the try that was."""
        query = f"trade_no=T{order}&out_trade_no={order}&money=9.90&trade_status=TRADE_SUCCESS"
        request = f"GET {self._path}?{query} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode()
        while True:
            began_s = time.perf_counter()
            try:
                async with asyncio.timeout(ANSWER_S):
                    if await self._asked(request):
                        return time.perf_counter() - began_s
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self.close()
            self.failures += 1
            await asyncio.sleep(0.05)

    async def _asked(self, request: bytes) -> bool:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return body == b"success"

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def send(
    port: int, path: str, orders: list[str], workers: int = WORKERS
) -> tuple[list[float], int]:
    """Notify of all orders; returns seconds of each, and how many tries failed."""
    waiting = iter(orders)
    gateways = [Gateway(port, path) for _ in range(workers)]
    times: list[float] = []

    async def work(gateway: Gateway) -> None:
        times.extend([await gateway.notify(order) for order in waiting])
        gateway.close()

    await asyncio.gather(*map(work, gateways))
    return times, sum(one.failures for one in gateways)


async def wreck(stage: Stage, seed: int, kills: int, orders: int, away_s: float = 2.0) -> None:
    """Kill relay and shop so many times each, spread over the orders; the shop is away for a while."""
    random = Random(seed)
    for number in range(kills):
        share = (number + random.random()) / (kills + 1)
        await _processed(stage, int(orders * share))
        stage.kill_shop()
        await asyncio.sleep(random.random() * away_s)
        stage.start_shop()
        await asyncio.sleep(random.random() * away_s / 4)
        stage.kill_relay()
        stage.start_relay()
        await listening(stage.port)


async def _processed(stage: Stage, orders: int) -> None:
    """Wait until the shop has written down so many lines."""
    while True:
        if stage.lines() >= orders:
            return
        await asyncio.sleep(0.02)


async def drained(stage: Stage, orders: int, limit_s: float) -> int:
    """Wait until the shop knows all orders; returns how many it does not."""
    ends_s = time.perf_counter() + limit_s
    while True:
        missing = orders - len(stage.book().orders)
        if not missing or time.perf_counter() > ends_s:
            return missing
        await asyncio.sleep(0.5)


async def paced(port: int, path: str, prefix: str, count: int, gap_s: float) -> list[float]:
    """One callback after the other with a pause between: how long each takes when nobody queues."""
    gateway, times = Gateway(port, path), []
    for number in range(count):
        times.append(await gateway.notify(f"{prefix}{number}"))
        await asyncio.sleep(gap_s)
    gateway.close()
    return times


async def duplicates(port: int, path: str, orders: int, copies: int) -> None:
    """Every callback at once on many connections, order by order."""
    for number in range(orders):
        gateways = [Gateway(port, path) for _ in range(copies)]
        await asyncio.gather(*(one.notify(f"dup{number}") for one in gateways))
        for one in gateways:
            one.close()


async def listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
