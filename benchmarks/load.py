"""A client with many connections in one thread: a closed loop, or an open loop at a fixed rate.

Own, because the machine is shared with the server that is measured: about 6 µs a request. In the
open loop a request is due at its place in the timetable, whether or not the server keeps up, and
its latency counts from there: a stall is felt by every request that should have been sent in it
(no coordinated omission).
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

RECEIVE_BYTES = 65_536
SILENT_MAX_S = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Burst(msgspec.Struct, frozen=True):
    """What a run of requests came to; `latencies_s` in the order of the answers."""

    seconds: float
    latencies_s: list[float]
    statuses: dict[int, int]

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """A percentile of the latencies in milliseconds (nearest rank)."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000


class Connection:
    """One socket: what is still to be sent, what has been read, and since when the request is due."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.unsent = memoryview(b"")
        self.read = b""
        self.body = b""  # of the answer that was read last
        self.due_s = 0.0

    def is_ended(self) -> bool:
        """Whether the server has closed it; a connection that is idle for long is closed."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def send(self, request: bytes, due_s: float) -> bool:
        """Begin a request; False while the kernel has not taken all of it."""
        self.due_s = due_s
        self.unsent = memoryview(request)
        return self.push()

    def push(self) -> bool:
        try:
            sent = self.socket.send(self.unsent)
        except BlockingIOError:
            return False
        self.unsent = self.unsent[sent:]
        return not self.unsent

    def receive(self) -> int:
        """Read what is there; returns the status of the answer once it is whole, else 0."""
        chunk = self.socket.recv(RECEIVE_BYTES)
        if not chunk:
            raise ConnectionError(f"the server closed the connection: {self.read[:500]!r}")
        text = self.read + chunk if self.read else chunk
        head = text.find(b"\r\n\r\n")
        length = _LENGTH.search(text, 0, head + 2) if head >= 0 else None
        if length is None or len(text) < head + 4 + int(length[1]):
            self.read = text
            return 0
        self.read, self.body = b"", text[head + 4 :]
        return int(text[9:12])


class Client:
    """Connections to one server, kept open from burst to burst as long as the server lets them."""

    def __init__(self, host: str, port: int, connections: int) -> None:
        self._address = (host, port)
        self._poll = select.epoll()
        self._connections = [self._connect() for _ in range(connections)]
        self._by_number: dict[int, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._poll.close()
        for one in self._connections:
            one.socket.close()

    def closed(self, requests: Sequence[bytes]) -> Burst:
        """Every connection sends its next request as soon as it has the answer to the last one."""
        return self._run(deque(requests), rate=None)

    def open(self, requests: Sequence[bytes], rate: float) -> Burst:
        """Send `rate` requests a second by the timetable; one without a free connection waits."""
        return self._run(deque(requests), rate=rate)

    def _connect(self) -> Connection:
        connection = Connection(*self._address)
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _renew(self) -> None:
        """Open anew what was closed while other servers had their turn."""
        for place, one in enumerate(self._connections):
            if one.is_ended():
                self._poll.unregister(one.socket.fileno())
                one.socket.close()
                self._connections[place] = self._connect()
        self._by_number = {one.socket.fileno(): one for one in self._connections}

    def _run(self, waiting: deque[bytes], rate: float | None) -> Burst:
        self._renew()
        latencies: list[float] = []
        statuses: Counter[int] = Counter()
        free = deque(self._connections)
        total, sent = len(waiting), 0
        start_s = time.perf_counter()
        while len(latencies) < total:
            now_s = time.perf_counter()
            while waiting and free:
                due_s = now_s if rate is None else start_s + sent / rate
                if due_s > now_s:
                    break
                self._send(free.popleft(), waiting.popleft(), due_s)
                sent += 1
            is_timed = rate is not None and waiting and free
            wait_s = start_s + sent / rate - now_s if rate and is_timed else SILENT_MAX_S
            for one in self._answered(wait_s, is_timed=bool(is_timed), statuses=statuses):
                latencies.append(time.perf_counter() - one.due_s)
                free.append(one)
        return Burst(time.perf_counter() - start_s, latencies, dict(statuses))

    def _send(self, connection: Connection, request: bytes, due_s: float) -> None:
        if not connection.send(request, due_s):
            both = select.EPOLLIN | select.EPOLLOUT
            self._poll.modify(connection.socket.fileno(), both)

    def _answered(
        self, wait_s: float, *, is_timed: bool, statuses: Counter[int]
    ) -> list[Connection]:
        # `epoll` itself waits whole milliseconds only, `select` microseconds.
        ready, _, _ = select.select([self._poll.fileno()], [], [], max(0.0, wait_s))
        if not ready:
            if is_timed:
                return []
            raise TimeoutError(f"no answer for {SILENT_MAX_S:g} s")
        found = []
        for number, event in self._poll.poll(0):
            one = self._by_number[number]
            if event & select.EPOLLOUT and one.push():
                self._poll.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and (status := one.receive()):
                statuses[status] += 1
                found.append(one)
        return found
