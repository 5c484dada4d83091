"""Ingest while everybody whom the service calls is a black hole (P7).

    python -m benchmarks.black_holes [--minutes N] [--record]

Two services side by side, each with 500 single events a second, so that a busy machine delays both.
Of the one, chat, webhooks, shop, supplier and the collector of traces are well; of the other they are
gone: connections that are never made, never answered, or answered a byte a second. A fiftieth of the
orders hang, so that there is always somebody to be told and something to be bought. The service with
the black holes must go on acknowledging, and hold at most 64 MiB more than its twin. An hour is the
promise; a shorter run is recorded as what it was.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from benchmarks.load import Client
from benchmarks.load_events import request
from benchmarks.load_server import KEY, Server, service
from benchmarks.promises import record
from monitor.model.times import format_rfc3339

RATE = 500  # events a second, to each of the two
BURST_S = 2  # one after the other; an order hangs or is delivered in the next burst
HANGS_EVERY = 50  # orders
CONNECTIONS = 16
P99_MS_MAX, BESIDE_TWIN_MAX = 50.0, 1.5
MORE_MIB_MAX = 64.0
_GONE = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
CONFIG = """\
listen: 127.0.0.1:0
data_dir: data
promise: {{default: 5s}}
tiers: {{l2_after: 10s, l3_after: 60s}}
sources: [{{name: main-shop, api_key_file: key}}]
channels:
  - {{name: auto, kind: external}}
  - name: supplier
    kind: http
    capability: queryable
    settle: 5s
    submit: {{method: POST, url: "{supplier}/buy", json: {{ref: "{{{{ attempt_ref }}}}"}}, timeout: 5s}}
    query: {{method: GET, url: "{supplier}/orders/{{{{ attempt_ref }}}}"}}
    answer:
      delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}
      rejected: {{when: {{status: rejected}}, code: code}}
  - {{name: staff, kind: manual}}
failover: {{mode: enforce, webhook: {{url: "{shop}/switch"}}}}
fallback: {{mode: enforce, after: 8s, order: [supplier, staff],
           max_per_hour: 100000, max_value_per_day_minor: 1000000000}}
shop: {{claim_url: "{shop}/claim", deliver_url: "{shop}/deliver", release_url: "{shop}/release"}}
webhooks: [{{url: "{webhook}/events", types: ["alert.*", "takeover.*", "order.*"]}}]
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, dingtalk: [{{url: "{chat}/robot"}}]}}]
telemetry: {{otlp: {{endpoint: "{collector}", traces: true, metrics: true}}}}
"""


class Half(msgspec.Struct):
    """What one of the two services came to."""

    latencies_s: list[float] = msgspec.field(default_factory=list)
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    rss_bytes: list[int] = msgspec.field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        """Of the latencies, from when each was due."""
        ordered = sorted(self.latencies_s)
        return ordered[int(share * (len(ordered) - 1))] * 1_000 if ordered else float("inf")

    def growth_mib(self) -> float:
        """The most memory at any time above that at the start."""
        return (max(self.rss_bytes) - self.rss_bytes[0]) / 2**20


def violations(well: Half, holes: Half) -> list[str]:
    """What was promised and not kept by the service among black holes."""
    p99_ms = holes.quantile_ms(0.99)
    is_slow = p99_ms > P99_MS_MAX and p99_ms > BESIDE_TWIN_MAX * well.quantile_ms(0.99)
    checks = {
        f"{holes.statuses.total() - holes.statuses[202]} events not taken": set(holes.statuses)
        != {202},
        f"p99 {p99_ms:.0f} ms": is_slow,
        f"{holes.growth_mib() - well.growth_mib():.0f} MiB more than its twin": (
            holes.growth_mib() - well.growth_mib() > MORE_MIB_MAX
        ),
    }
    return [what for what, is_broken in checks.items() if is_broken]


# --- whom the service calls ---------------------------------------------------------------------------


class Outside:
    """Receivers of one service, in a thread of their own; `called` counts connections."""

    def __init__(self, *, is_well: bool) -> None:
        self.called = 0
        self.urls: dict[str, str] = {}
        self._is_well = is_well
        self._ready, self._end = threading.Event(), threading.Event()

    @contextmanager
    def open(self) -> Iterator[Outside]:
        """Be there for a while."""
        thread = threading.Thread(target=asyncio.run, args=(self._live(),), daemon=True)
        thread.start()
        self._ready.wait(30)
        try:
            yield self
        finally:
            self._end.set()
            thread.join(30)

    async def _live(self) -> None:
        async with (
            _listening(self._answer) as well,
            _listening(self._swallow) as silent,
            _listening(self._trickle) as trickle,
            _unreachable() as nowhere,
        ):
            holes = {"chat": nowhere, "collector": silent, "webhook": trickle,
                     "shop": silent, "supplier": trickle}  # fmt: skip
            ports = dict.fromkeys(holes, well) if self._is_well else holes
            self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            self._ready.set()
            await asyncio.to_thread(self._end.wait)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called += 1
        with suppress(*_GONE):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, rest = head.lower().partition(b"content-length:")
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0] or 0) if rest else 0)
                body = b'{"status":"rejected","code":"out_of_stock","errcode":0}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n%b" % (len(body), body))  # fmt: skip
        writer.close()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called += 1
        with suppress(*_GONE):
            while await reader.read(65_536):
                pass
        writer.close()

    async def _trickle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called += 1
        with suppress(*_GONE):
            while not writer.is_closing() and not reader.at_eof():
                writer.write(b"H")
                await asyncio.sleep(1.0)
        writer.close()


@asynccontextmanager
async def _listening(serve: object) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 22)  # type: ignore[arg-type]  # a handler
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def _unreachable() -> AsyncIterator[int]:
    """A port whose connections are never made: its queue is full, so the kernel drops who comes."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


# --- the shop -----------------------------------------------------------------------------------------


def bursts(count: int) -> Iterator[list[bytes]]:
    """Requests of one burst: half of them new orders, half deliveries of those before."""
    size = RATE * BURST_S // 2
    for burst in range(count):
        now = format_rfc3339(time.time_ns() // 1_000_000)
        numbers = range(burst * size, (burst + 1) * size)
        made = [_event("order.paid", one, now) for one in numbers]
        made += [
            _event(
                "delivery.attempted" if one % HANGS_EVERY == 0 else "delivery.delivered", one, now
            )
            for one in range((burst - 1) * size, burst * size)
            if one >= 0
        ]
        yield [request([one], KEY) for one in made]


def _event(kind: str, number: int, now: str) -> bytes:
    return (
        f'{{"type":"{kind}","id":"{number}-{kind}","order_id":"B{number}","time":"{now}",'
        f'"channel":"auto","sku":"key-{number % 9}","amount_minor":990,"currency":"CNY"}}'
    ).encode()


def drive(server: Server, half: Half, count: int) -> None:
    """Be the shop of one service."""
    half.rss_bytes.append(server.rss_bytes())
    with Client("127.0.0.1", server.port, CONNECTIONS) as client:
        for requests in bursts(count):
            burst = client.open(requests, RATE)
            half.latencies_s += burst.latencies_s
            half.statuses.update(burst.statuses)
            half.rss_bytes.append(server.rss_bytes())


def side_by_side(folder: Path, minutes: float) -> tuple[Half, Half, int]:
    """Both services under load: (well, among black holes, connections that the holes swallowed)."""
    halves, count = (Half(), Half()), max(3, round(minutes * 60 / BURST_S))
    with ExitStack() as stack:
        outsides = [stack.enter_context(Outside(is_well=one).open()) for one in (True, False)]
        servers = [
            stack.enter_context(service(folder / str(number), config=CONFIG.format(**one.urls)))
            for number, one in enumerate(outsides)
        ]
        threads = [
            threading.Thread(target=drive, args=(server, half, count))
            for server, half in zip(servers, halves, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return *halves, outsides[1].called


def main() -> int:
    """Drive, print, record; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--record", action="store_true", help="keep the figure of P7")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        well, holes, called = side_by_side(Path(folder), options.minutes)
    broken = violations(well, holes)
    note = (
        f"{len(holes.latencies_s):,} events, p99 {holes.quantile_ms(0.99):.1f} ms (its twin "
        f"{well.quantile_ms(0.99):.1f} ms), memory +{holes.growth_mib():.0f} MiB (its twin "
        f"+{well.growth_mib():.0f} MiB), {called:,} connections swallowed"
    )
    print(f"{options.minutes:g} minutes among black holes: {note}")
    if broken:
        print("broken: " + "; ".join(broken), file=sys.stderr)
    if options.record:
        record("P7", tried=options.minutes, violations=len(broken), note=note)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
