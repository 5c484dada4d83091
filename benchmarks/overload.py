"""Ten times what the service can take, for minutes: what it holds, how fast it refuses, what it loses.

    python -m benchmarks.overload --seconds 600

First a closed loop finds how many batches a second are taken. Then batches are due ten times as
often (open loop); one that is due while every connection waits for an answer is not sent, and
counted. Every twentieth batch brings an outcome. Afterwards the service is started again on what it
stored: every acknowledged event must be there. Shows promise P10.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import tempfile
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.load import Connection
from benchmarks.load_events import request
from benchmarks.load_server import KEY, Server, service
from benchmarks.promises import record
from monitor.model.times import format_rfc3339

BATCH = 500
ORDERS = 100_000
TIMES = 10
CONNECTIONS = 64
OUTCOME_EVERY = 20
RSS_MIB_MAX = 256.0
ACCEPTED_MS_MAX = 500.0
REFUSED_MS_MAX = 20.0
SETTLE_S = 2.0
LOW, OUTCOME = "low", "outcome"


class Phase(msgspec.Struct):
    """What a phase came to; latencies in seconds from the sending of a request to its answer."""

    seconds: float = 0.0
    sent: int = 0
    unsent: int = 0
    accepted: list[float] = msgspec.field(default_factory=list)
    refused: list[float] = msgspec.field(default_factory=list)
    statuses: Counter[str] = msgspec.field(default_factory=Counter)  # "outcome 202"
    events: Counter[str] = msgspec.field(default_factory=Counter)  # acknowledged, by outcome
    rss_bytes_max: int = 0


class Outcome(msgspec.Struct):
    """What the whole programme came to."""

    capacity: float  # batches a second
    idle_rss_bytes: int
    loaded: Phase
    missing: int  # events acknowledged and not there afterwards
    restarted_rss_bytes: int = 0  # with all orders, and nothing to do

    def rss_mib(self) -> float:
        """Memory above idle."""
        return (self.loaded.rss_bytes_max - self.idle_rss_bytes) / 2**20

    def violations(self) -> list[str]:
        """What was promised and not kept."""
        checks = {
            f"{self.missing} events lost": self.missing != 0,
            f"{self.rss_mib():.0f} MiB above idle": self.rss_mib() > RSS_MIB_MAX,
            "accepted too slowly": quantile_ms(self.loaded.accepted, 0.99) > ACCEPTED_MS_MAX,
            "refused too slowly": quantile_ms(self.loaded.refused, 0.5) > REFUSED_MS_MAX,
            "a 5xx that is no 503": any(
                one.endswith(("500", "502", "504")) for one in self.loaded.statuses
            ),
        }
        return [what for what, is_broken in checks.items() if is_broken]


def quantile_ms(latencies_s: list[float], share: float) -> float:
    """A percentile in milliseconds; 0 without any."""
    ordered = sorted(latencies_s)
    return ordered[int(share * (len(ordered) - 1))] * 1_000 if ordered else 0.0


def batches(now_ms: int) -> list[tuple[str, bytes]]:
    """Every request there is: each order is paid once, attempted once, and some fail an attempt."""
    time_text = format_rfc3339(now_ms)
    made: list[tuple[str, bytes]] = []
    for number in range(2 * ORDERS // BATCH):
        kind = "order.paid" if number % 2 else "delivery.attempted"
        has_outcome = number % OUTCOME_EVERY == 0
        first = number // 2 * BATCH
        events = [_event(order, kind, time_text) for order in range(first, first + BATCH)]
        if has_outcome:
            events[0] = _event(first, "delivery.failed", time_text)
        made.append((OUTCOME if has_outcome else LOW, request(events, KEY)))
    return made


def _event(order: int, kind: str, time_text: str) -> bytes:
    return (
        f'{{"type":"{kind}","id":"{order}-{kind}","order_id":"L{order}","time":"{time_text}",'
        f'"channel":"auto","sku":"key-{order % 9}","amount_minor":990,"currency":"CNY"}}'
    ).encode()


class Load:
    """Connections, and requests that go round for ever."""

    def __init__(self, server: Server, requests: list[tuple[str, bytes]]) -> None:
        self._server, self._requests, self._next = server, requests, 0
        self._poll = select.epoll()
        self._free: deque[Connection] = deque()
        self._by_number: dict[int, Connection] = {}
        self._kinds: dict[int, tuple[str, float]] = {}
        for _ in range(CONNECTIONS):
            self._connect()

    def run(self, seconds: float, rate: float | None) -> Phase:
        """Send for a while: at a rate (open loop), or as soon as there is an answer (closed)."""
        phase = Phase(rss_bytes_max=self._server.rss_bytes())
        start_s = looked_s = time.perf_counter()
        due = 0
        while (now_s := time.perf_counter()) < start_s + seconds:
            while self._free if rate is None else start_s + due / rate <= now_s:
                due += 1
                self._send(phase)
            self._answers(phase, 0.002)
            if now_s - looked_s > 0.25:
                looked_s = now_s
                phase.rss_bytes_max = max(phase.rss_bytes_max, self._server.rss_bytes())
        phase.seconds = time.perf_counter() - start_s
        while len(self._free) < len(self._by_number):
            self._answers(phase, 0.1)
        return phase

    def close(self) -> None:
        """Leave."""
        for one in self._by_number.values():
            one.socket.close()
        self._poll.close()

    def _connect(self) -> None:
        one = Connection("127.0.0.1", self._server.port)
        self._by_number[one.socket.fileno()] = one
        self._poll.register(one.socket.fileno(), select.EPOLLIN)
        self._free.append(one)

    def _send(self, phase: Phase) -> None:
        if not self._free:
            phase.unsent += 1
            return
        one = self._free.popleft()
        kind, raw = self._requests[self._next % len(self._requests)]
        self._next += 1
        phase.sent += 1
        now_s = time.perf_counter()
        self._kinds[one.socket.fileno()] = kind, now_s
        if not one.send(raw, now_s):
            self._poll.modify(one.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _answers(self, phase: Phase, wait_s: float) -> None:
        for number, event in self._poll.poll(wait_s):
            one = self._by_number[number]
            if event & select.EPOLLOUT and one.push():
                self._poll.modify(number, select.EPOLLIN)
            if not event & ~select.EPOLLOUT:
                continue
            try:
                status = one.receive()
            except OSError:  # refused, and ended before all of the body was sent
                self._renew(one, phase)
                continue
            if status:
                self._take(one, status, phase)

    def _take(self, one: Connection, status: int, phase: Phase) -> None:
        kind, sent_s = self._kinds[one.socket.fileno()]
        phase.statuses[f"{kind} {status}"] += 1
        passed_s = time.perf_counter() - sent_s
        (phase.accepted if status == 202 else phase.refused).append(passed_s)
        if status == 202:
            said = json.loads(one.body)
            phase.events.update(accepted=said["accepted"], duplicate=said["duplicates"])
        if not one.unsent:
            self._free.append(one)

    def _renew(self, one: Connection, phase: Phase) -> None:
        phase.statuses["ended"] += 1
        self._poll.unregister(one.socket.fileno())
        del self._by_number[one.socket.fileno()]
        one.socket.close()
        self._connect()


def stored_events(server: Server) -> Counter[str]:
    """Events by outcome, as the service counts them; its counters are part of what it stored."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        if line.startswith("delivery_events_total{"):
            for outcome in ("accepted", "duplicate"):
                if f'outcome="{outcome}"' in line:
                    found[outcome] += int(float(line.rpartition(" ")[2]))
    return found


def overload(folder: Path, seconds: float, probe_s: float) -> Outcome:
    """Find the capacity, offer ten times as much, and look what is there after a restart."""
    requests = batches(int(time.time() * 1_000))
    with service(folder) as server:
        time.sleep(SETTLE_S)
        idle = server.rss_bytes()
        load = Load(server, requests)
        probed = load.run(probe_s, None)
        capacity = len(probed.accepted) / probed.seconds
        loaded = load.run(seconds, TIMES * capacity)
        load.close()
    acknowledged = probed.events + loaded.events
    with service(folder) as server:
        stored = stored_events(server)
        restarted = server.rss_bytes()
    missing = sum((acknowledged - stored).values())
    return Outcome(capacity, idle, loaded, missing, restarted)


def lines_of(done: Outcome) -> Iterator[str]:
    """What is printed."""
    loaded = done.loaded
    offered = (loaded.sent + loaded.unsent) / loaded.seconds
    yield (
        f"{done.capacity:,.0f} batches of {BATCH}/s are taken; offered {offered:,.0f}/s for "
        f"{loaded.seconds:.0f} s ({offered / done.capacity:.1f}x), {loaded.unsent:,} not sent"
    )
    yield (
        f"taken {len(loaded.accepted) / loaded.seconds:,.0f}/s, p99 "
        f"{quantile_ms(loaded.accepted, 0.99):.0f} ms; refused {len(loaded.refused) / loaded.seconds:,.0f}/s, "
        f"p50 {quantile_ms(loaded.refused, 0.5):.1f} ms, p99 {quantile_ms(loaded.refused, 0.99):.1f} ms"
    )
    yield f"answers {dict(sorted(loaded.statuses.items()))}"
    held = (done.restarted_rss_bytes - done.idle_rss_bytes) / 2**20
    yield (
        f"memory {done.rss_mib():.0f} MiB above idle ({done.idle_rss_bytes / 2**20:.0f} MiB); "
        f"the orders alone, after a restart, {held:.0f} MiB"
    )
    yield f"acknowledged and missing after a restart: {done.missing}"


def main() -> int:
    """Overload, print, record; 1 when something promised was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--probe-seconds", type=float, default=5.0)
    parser.add_argument("--record", action="store_true", help="keep the figure of P10")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = overload(Path(folder), options.seconds, options.probe_seconds)
    lines = list(lines_of(done))
    print("\n".join(lines))
    broken = done.violations()
    if broken:
        print("broken: " + "; ".join(broken), file=sys.stderr)
    if options.record:
        note = f"{lines[1]}; {lines[3]}"
        record("P10", tried=done.loaded.seconds, violations=len(broken), note=note)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
