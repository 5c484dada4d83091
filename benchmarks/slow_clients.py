"""Thousands of sockets that dribble heads and bodies or read nothing, while a shop goes on sending.

    python -m benchmarks.slow_clients --sockets 5000 --seconds 60

The sockets belong to a process of their own; who is hung up on comes again. The shop signs its
events and sends them at a fixed rate, every fourth over a new connection, as a shop that keeps none
does. Its latency counts from when the event was due. Shows promise P17.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from benchmarks.forged import event, signed
from benchmarks.load_server import ROOT, service
from benchmarks.promises import record
from monitor.model.secret import Secret

RATE = 50.0  # events a second of the shop
WORKERS = 16
NEW_EVERY = 4  # events of the shop that come over a new connection
GAP_S = 1.0  # between two bytes of a slow client
AGAIN_S = (3.0, 7.0)  # after being hung up on
P99_MS_MAX = 100.0
SOURCE = "slow-shop"
CONFIG = f"""\
listen: 127.0.0.1:0
data_dir: data
sources: [{{name: {SOURCE}, secret_file: secret}}]
"""

_SIGNED = (
    "webhook-id: m\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,AAAA\r\n"
    "Content-Type: application/json\r\n"
)
_HOST = "Host: 127.0.0.1\r\n"
# What is sent at once, and what is dribbled behind it.
SLOW = {
    "silent": (b"", b""),
    "head": (f"POST /v1/events HTTP/1.1\r\n{_HOST}".encode(), b"X-Slow: " + b"y" * 500),
    "body": (
        f"POST /v1/events?source={SOURCE} HTTP/1.1\r\n{_HOST}{_SIGNED}Content-Length: 500\r\n\r\n{{".encode(),
        b" " * 400,
    ),
    "chunks": (
        f"POST /v1/events?source={SOURCE} HTTP/1.1\r\n{_HOST}{_SIGNED}Transfer-Encoding: chunked\r\n\r\n".encode(),
        b"1\r\n \r\n" * 100,
    ),
    "reader": (f"GET /metrics HTTP/1.1\r\n{_HOST}\r\n".encode() * 20, b""),
    "idle": (f"GET /livez HTTP/1.1\r\n{_HOST}\r\n".encode(), b""),
}


class Sending(msgspec.Struct):
    """What became of the shop's events; `latencies_s` of those that were taken."""

    latencies_s: list[float] = msgspec.field(default_factory=list)
    failed: Counter[str] = msgspec.field(default_factory=Counter)
    disk_ms: float = 0.0  # p99 of the syncs that answers waited for

    def quantile_ms(self, share: float) -> float:
        """Of the latencies, in milliseconds; infinite without any."""
        ordered = sorted(self.latencies_s)
        return ordered[int(share * (len(ordered) - 1))] * 1_000 if ordered else float("inf")


async def _slow(kind: str, port: int, end_s: float, chance: random.Random) -> None:
    """One slow client that comes again whenever it is hung up on."""
    at_once, dribbled = SLOW[kind]
    source = (f"127.0.{chance.randrange(1, 9)}.{chance.randrange(1, 250)}", 0)
    while time.monotonic() < end_s:
        writer = None
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            if kind == "reader":
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # of the selector loop
            writer.write(at_once)
            await _dribble(reader, writer, dribbled, end_s)
        if writer is not None:
            writer.transport.abort()
        await asyncio.sleep(chance.uniform(*AGAIN_S))


async def _dribble(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dribbled: bytes, end_s: float
) -> None:
    place = 0
    while time.monotonic() < end_s and not reader.at_eof() and not writer.is_closing():
        if place < len(dribbled):
            writer.write(dribbled[place : place + 1])
            place += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(GAP_S):
                await reader.read(65_536)


async def _attack(port: int, sockets: int, seconds: float) -> None:
    kinds = list(SLOW)
    end_s = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(sockets):
            chance = random.Random(number)
            group.create_task(_slow(kinds[number % len(kinds)], port, end_s, chance))
            if number % 50 == 49:
                await asyncio.sleep(0.02)


@contextmanager
def attacked(port: int, sockets: int, seconds: float) -> Iterator[None]:
    """Slow clients in a process of their own."""
    # The lowest priority: they stand for other machines, and may not take this one's time.
    command = ["nice", "-n", "19", sys.executable, "-m", "benchmarks.slow_clients", "--attack", str(port),
               "--sockets", str(sockets), "--seconds", str(seconds)]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait(timeout=30)


class _Shop:
    """One worker: sends signed events, one after the other."""

    def __init__(self, port: int, secret: Secret) -> None:
        self._port, self._secret = port, secret
        self._kept: socket.socket | None = None

    def send(self, number: int, *, is_new: bool) -> int:
        """Send one event; returns the status of the answer."""
        if is_new or self._kept is None:
            wire = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        else:
            wire = self._kept
        try:
            wire.sendall(self._request(number))
            answer = wire.recv(65_536)
        except OSError:
            self._forget(wire)
            raise
        if not answer:
            self._forget(wire)
            raise ConnectionResetError("the service hung up")
        if is_new:
            wire.close()
        else:
            self._kept = wire
        return int(answer[9:12])

    def close(self) -> None:
        """Leave."""
        if self._kept is not None:
            self._forget(self._kept)

    def _forget(self, wire: socket.socket) -> None:
        wire.close()
        if wire is self._kept:
            self._kept = None

    def _request(self, number: int) -> bytes:
        body = event(f"S{number}", id=str(number))
        one = signed(self._secret, f"msg{number}", int(time.time() * 1_000), body, SOURCE)
        lines = [f"POST {one.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value.decode()}" for name, value in one.headers.items()]
        return "\r\n".join((*lines, "", "")).encode() + body


def send(port: int, secret: Secret, seconds: float) -> Sending:
    """Be the shop for a while; each of its workers sends its share of the timetable."""
    done, start_s = Sending(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as workers:
        for first in range(WORKERS):
            numbers = range(first, int(RATE * seconds), WORKERS)
            workers.submit(_work, _Shop(port, secret), numbers, start_s, done)
    return done


def _work(shop: _Shop, numbers: range, start_s: float, done: Sending) -> None:
    for number in numbers:
        due_s = start_s + number / RATE
        time.sleep(max(0.0, due_s - time.perf_counter()))
        try:
            status = shop.send(number, is_new=number // WORKERS % NEW_EVERY == 0)
        except OSError as error:
            done.failed[type(error).__name__] += 1
            continue
        if status == 202:
            done.latencies_s.append(time.perf_counter() - due_s)
        else:
            done.failed[str(status)] += 1
    shop.close()


def fsync_ms(port: int) -> float:
    """How long the disk takes, as the service says: the 99th percentile of the last syncs."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    line = next(one for one in text.splitlines() if 'fsync_seconds{quantile="0.99"}' in one)
    return float(line.rpartition(" ")[2]) * 1_000


def storm(folder: Path, sockets: int, seconds: float) -> tuple[Sending, Sending]:
    """Send without slow clients, then with them: (quiet, slow)."""
    secret = Secret("whsec_" + base64.b64encode(random.Random(1).randbytes(32)).decode())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_text(secret.reveal(), encoding="ascii")
    (folder / "secret").chmod(0o600)
    with service(folder, config=CONFIG) as server:
        quiet = send(server.port, secret, max(2.0, seconds / 6))
        with attacked(server.port, sockets, seconds + 30):
            time.sleep(2.0 + sockets / 2_500)  # until all are there
            slow = send(server.port, secret, seconds)
        slow.disk_ms = fsync_ms(server.port)
    return quiet, slow


def main() -> int:
    """Attack, print, record; 1 when the shop was held up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sockets", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--attack", type=int, metavar="PORT")
    parser.add_argument("--record", action="store_true", help="keep the figure of P17")
    options = parser.parse_args()
    if options.attack:
        asyncio.run(_attack(options.attack, options.sockets, options.seconds))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        quiet, slow = storm(Path(folder), options.sockets, options.seconds)
    note = (
        f"p50 {slow.quantile_ms(0.5):.1f} ms, p99 {slow.quantile_ms(0.99):.1f} ms "
        f"(without them {quiet.quantile_ms(0.99):.1f} ms, fsync p99 {slow.disk_ms:.1f} ms), {dict(slow.failed) or 'none'} failed"
    )
    print(f"{options.sockets:,} slow sockets for {options.seconds:g} s: {note}")
    violations = slow.failed.total() + (slow.quantile_ms(0.99) > P99_MS_MAX)
    if options.record:
        record("P17", tried=options.sockets, violations=violations, note=note)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
