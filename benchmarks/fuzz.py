"""A million hostile bodies and heads against the real service: no 5xx, no traceback, no second answer.

    python -m benchmarks.fuzz --count 1000000 --seed 1   (about half an hour)

Prints what was answered; every violation with the number that makes it again:
`python -m benchmarks.fuzz --seed 1 --only 4711`. Shows promise P16.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.fuzz_cases import Case, case
from benchmarks.load_server import KEY, service
from benchmarks.promises import record

CONNECTIONS = 16
ALONE_MAX = 48
ALONE_S = 0.15  # a head that is not whole is waited for by the server; we do not wait for it
ANSWER_S = 20.0
KEPT_MAX = 20
ERRORS = ("error", "critical")


class Finding(msgspec.Struct, frozen=True):
    """What went wrong with the request of a number."""

    number: int
    what: str


class Outcome(msgspec.Struct):
    """What became of all requests."""

    tried: int = 0
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    found: list[Finding] = msgspec.field(default_factory=list)
    latencies_s: list[float] = msgspec.field(default_factory=list)
    closed: int = 0
    seconds: float = 0.0

    def p99_ms(self) -> float:
        """Of requests on open connections, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return ordered[int(0.99 * (len(ordered) - 1))] * 1_000 if ordered else 0.0

    def note(self, number: int, what: str) -> None:
        self.found.append(Finding(number, what))


class _Wire:
    """One connection with one request on it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.number, self.case = -1, Case(b"")
        self.unsent = memoryview(b"")
        self.read = b""
        self.sent_s = 0.0

    def send(self, number: int, one: Case) -> None:
        self.number, self.case, self.read = number, one, b""
        self.unsent, self.sent_s = memoryview(one.raw), time.perf_counter()
        self.push()

    def push(self) -> None:
        while self.unsent:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            except BlockingIOError:
                return
            except OSError:  # refused in the middle: the answer is to be read
                self.unsent = memoryview(b"")

    def receive(self) -> bool:
        """Read what is there; False when the server has ended."""
        try:
            chunk = self.socket.recv(262_144)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.read += chunk
        return bool(chunk)


def answers(raw: bytes) -> tuple[list[int], bytes, bool]:
    """Cut answers apart: their statuses, what is left over, and whether the last says `close`."""
    statuses: list[int] = []
    is_last = False
    while (end := raw.find(b"\r\n\r\n")) >= 0 and raw.startswith(b"HTTP/1.1 "):
        head = raw[:end].lower()
        status = int(raw[9:12])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.startswith(b"content-length:") and status not in (204, 304):
                length = int(line[15:])
        if len(raw) < end + 4 + length and not (status >= 200 and b"\r\n\r\n" not in raw):
            break
        is_last = is_last or b"connection: close" in head
        if status >= 200:
            statuses.append(status)
        raw = raw[end + 4 + length :]
    return statuses, raw, is_last


class Fuzzer:
    """Sends cases over a few open connections, and odd ones over connections of their own."""

    def __init__(self, ports: tuple[int, int], tokens: tuple[str, str], seed: int) -> None:
        self.outcome = Outcome()
        self._main, self._fast = ports
        self._tokens, self._seed = tokens, seed
        self._poll = select.epoll()
        self._wires: dict[int, _Wire] = {}
        self._idle: dict[int, deque[_Wire]] = {port: deque() for port in ports}
        self._open: Counter[int] = Counter()
        self._alone = 0

    def run(self, numbers: Iterable[int]) -> Outcome:
        """Send the requests of these numbers."""
        start_s = time.perf_counter()
        for number in numbers:
            one = case(self._seed, number, self._tokens)
            port = self._fast if one.is_fast and self._fast else self._main
            while not (wire := self._wire(port, one)):
                self._turn()
            wire.send(number, one)
            self._poll.modify(wire.socket.fileno(), self._wanted(wire))
            self.outcome.tried += 1
        while any(wire.number >= 0 for wire in self._wires.values()):
            self._turn()
        for wire in list(self._wires.values()):
            self._drop(wire)
        self.outcome.seconds = time.perf_counter() - start_s
        return self.outcome

    def _wire(self, port: int, one: Case) -> _Wire | None:
        if one.is_alone:
            if self._alone >= ALONE_MAX:
                return None
            self._alone += 1
            return self._connect(port)
        if self._idle[port]:
            return self._idle[port].popleft()
        if self._open[port] >= CONNECTIONS:
            return None
        self._open[port] += 1
        return self._connect(port)

    def _connect(self, port: int) -> _Wire:
        wire = _Wire(port)
        self._wires[wire.socket.fileno()] = wire
        self._poll.register(wire.socket.fileno(), select.EPOLLIN)
        return wire

    def _wanted(self, wire: _Wire) -> int:
        return select.EPOLLIN | (select.EPOLLOUT if wire.unsent else 0)

    def _turn(self) -> None:
        for number, event in self._poll.poll(0.02):
            wire = self._wires[number]
            if event & select.EPOLLOUT:
                wire.push()
                self._poll.modify(number, self._wanted(wire))
            if event & ~select.EPOLLOUT:
                self._read(wire)
        now_s = time.perf_counter()
        for wire in [one for one in self._wires.values() if one.number >= 0]:
            is_vague = wire.case.is_alone and not wire.case.is_smuggling
            limit_s = ALONE_S if is_vague else ANSWER_S
            if now_s - wire.sent_s > limit_s:
                self._late(wire)

    def _read(self, wire: _Wire) -> None:
        is_open = wire.receive()
        if wire.number < 0:  # ended between two requests
            self._drop(wire)
            return
        statuses, rest, is_last = answers(wire.read)
        if wire.case.is_alone:
            if not is_open:
                self._settle(wire, statuses, ended=True)
            return
        if not statuses and is_open:
            return
        if statuses:
            self.outcome.latencies_s.append(time.perf_counter() - wire.sent_s)
        is_last = is_last or not is_open or bool(wire.unsent)
        if len(statuses) > 1 or (rest and not is_last):
            self.outcome.note(wire.number, f"more than one answer: {wire.read[:200]!r}")
        self._settle(wire, statuses, ended=is_last)

    def _late(self, wire: _Wire) -> None:
        statuses, _, is_last = answers(wire.read)
        if not wire.case.is_alone:
            self.outcome.note(wire.number, f"no answer within {ANSWER_S:g} s")
        self._settle(wire, statuses, ended=True, is_late=not is_last)

    def _settle(
        self, wire: _Wire, statuses: list[int], *, ended: bool, is_late: bool = False
    ) -> None:
        """Judge a request and give its connection back, or end it."""
        number, one = wire.number, wire.case
        self.outcome.statuses.update(statuses)
        self.outcome.closed += not statuses
        for status in statuses:
            if not (200 <= status < 300 or status == 304 or 400 <= status < 500):
                self.outcome.note(number, f"status {status}")
        if one.is_smuggling and (
            len(statuses) > 1 or is_late or any(one < 400 for one in statuses)
        ):
            self.outcome.note(number, f"smuggled: statuses {statuses}, ended {not is_late}")
        if ended:
            self._drop(wire)
        else:
            wire.number = -1
            self._idle[wire.port].append(wire)

    def _drop(self, wire: _Wire) -> None:
        self._poll.unregister(wire.socket.fileno())
        del self._wires[wire.socket.fileno()]
        wire.socket.close()
        if wire.case.is_alone:
            self._alone -= 1
        else:
            self._open[wire.port] -= 1
            if wire in self._idle[wire.port]:
                self._idle[wire.port].remove(wire)


def log_findings(log: bytes) -> list[str]:
    """Lines of a service's log that speak of an error, or that are no lines of it."""
    found = []
    for line in log.decode("utf-8", "replace").splitlines():
        fields = json.loads(line) if line.startswith("{") else {}
        if fields.get("level") in ERRORS or not fields:
            found.append(line[:500])
    return found


def is_alive(port: int) -> bool:
    """Whether an ordinary event is still taken."""
    body = b'{"type":"order.paid","order_id":"alive"}'
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(head.encode() + body)
        return sender.makefile("rb").readline().startswith(b"HTTP/1.1 202")


def attack(folder: Path, numbers: Iterable[int], seed: int) -> Outcome:
    """Send the requests of these numbers to a fresh service; its log and its end count too."""
    with service(folder) as server:
        token = (folder / "data" / "admin.token").read_text(encoding="ascii").strip()
        fuzzer = Fuzzer((server.port, server.fast_port), (KEY, token), seed)
        outcome = fuzzer.run(numbers)
        if not is_alive(server.port):
            outcome.note(-1, "the service takes no events any more")
    for line in log_findings((folder / "log.ndjson").read_bytes()):
        outcome.note(-1, f"log: {line}")
    return outcome


def main() -> int:
    """Attack, print, record; 1 with findings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, default=None, metavar="NUMBER")
    parser.add_argument("--record", action="store_true", help="keep the figure of P16")
    options = parser.parse_args()
    numbers = range(options.count) if options.only is None else [options.only]
    with tempfile.TemporaryDirectory() as folder:
        outcome = attack(Path(folder), numbers, options.seed)
    for finding in outcome.found[:KEPT_MAX]:
        print(f"{finding.number}: {finding.what}", file=sys.stderr)
    rate = outcome.tried / outcome.seconds
    note = f"seed {options.seed}, {rate:,.0f} requests/s, p99 {outcome.p99_ms():.1f} ms"
    print(f"{outcome.tried:,} requests, {len(outcome.found)} findings, {note}")
    print(f"statuses {dict(sorted(outcome.statuses.items()))}, {outcome.closed} ended unanswered")
    if options.record:
        record("P16", tried=outcome.tried, violations=len(outcome.found), note=note)
    return 1 if outcome.found else 0


if __name__ == "__main__":
    sys.exit(main())
