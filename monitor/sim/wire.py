"""The network of a virtual world: in-memory connections that carry bytes slowly and badly.

    client end ──► course of the connection: late? lost? cut? answered by somebody else? ──► server end
               ◄──

A connection gets its course when it is made: what will go wrong with it, and how fast it is. The
bytes are those of the real HTTP client and the real HTTP server; only what carries them is made up.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

import msgspec

from monitor.model.errors import InvariantError
from monitor.sim.machine import Machine

Address = tuple[str, int]

LATENCY_S_MIN, LATENCY_S_MAX = 0.001, 0.030
DUPLICATE_AFTER_S_MAX = 3.0
LATE_S_MIN, LATE_S_MAX = 12.0, 50.0  # more than a client waits, less than a supplier settles

SOUND = "sound"
REFUSED = "refused"  # nothing of the request leaves
RESET_BEFORE = "reset before"  # the request is lost, and the connection breaks
RESET_AFTER = "reset after"  # the answer is lost, and the connection breaks
CUT = "cut"  # half an answer arrives
STALL_BEFORE = "stall before"  # the request never arrives, nobody is told
STALL_AFTER = "stall after"  # the answer never arrives, nobody is told
SLOW = "slow"  # seconds each way
LATE = "late"  # the request is carried out long after its sender gave up
ERROR_BEFORE = "5xx before"  # a proxy refuses for the server
ERROR_AFTER = "5xx after"  # a proxy loses the answer and says so
GARBAGE = "garbage"  # 200 with a page of somebody else, after the request was carried out
DUPLICATE = "duplicate"  # the request arrives a second time, later

COURSES = (
    REFUSED, RESET_BEFORE, RESET_AFTER, CUT, STALL_BEFORE, STALL_AFTER, SLOW, LATE, ERROR_BEFORE,
    ERROR_AFTER, GARBAGE, DUPLICATE,
)  # fmt: skip

_EOF = b""
_RESET = None


class Course(msgspec.Struct, frozen=True):
    """What becomes of one connection."""

    kind: str = SOUND
    latency_s: float = LATENCY_S_MIN
    forth_s: float = LATENCY_S_MIN
    status: int = 502
    again_after_s: float = 0.0


class Wire:
    """All listeners, and what is to happen to the next connections to each of them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._listeners: dict[Address, Listener] = {}
        self._armed: dict[Address, deque[str]] = {}
        self._blocked: dict[Address, str] = {}
        self.struck: dict[str, int] = {}  # faults that met a connection, by kind
        self.struck_at: dict[Address, int] = {}
        self._ports = 40_000

    def arm(self, address: Address, kind: str) -> None:
        """Let the next connection to an address without a fault of its own meet this one."""
        self._armed.setdefault(address, deque()).append(kind)

    def block(self, address: Address, kind: str) -> None:
        """Let every connection to an address meet a fault, until it is unblocked."""
        self._blocked[address] = kind

    def unblock(self, address: Address) -> None:
        """Let connections through again."""
        self._blocked.pop(address, None)

    def disarm(self) -> None:
        """Forget the faults that met nobody, and let everybody through."""
        self._armed.clear()
        self._blocked.clear()

    def waiting(self, address: Address) -> int:
        """How many faults wait for a connection to an address."""
        return len(self._armed.get(address, ()))

    def listen(self, listener: Listener) -> None:
        """Open an address; raises OSError when somebody has it."""
        if listener.address in self._listeners:
            raise OSError(98, "address already in use")
        self._listeners[listener.address] = listener

    def unlisten(self, listener: Listener) -> None:
        """Close an address."""
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    def plan(self, address: Address) -> Course:
        """Decide what the next connection to an address will meet."""
        armed = self._armed.get(address)
        kind = self._blocked.get(address, SOUND)
        if kind == SOUND and armed:
            kind = armed.popleft()
        if kind != SOUND:
            self.struck[kind] = self.struck.get(kind, 0) + 1
            self.struck_at[address] = self.struck_at.get(address, 0) + 1
        latency_s = self._chance.uniform(LATENCY_S_MIN, LATENCY_S_MAX)
        if kind == SLOW:
            latency_s = self._chance.uniform(0.3, 4.0)
        forth_s = latency_s
        if kind == LATE:
            forth_s = self._chance.uniform(LATE_S_MIN, LATE_S_MAX)
        statuses = (500, 502, 503) if kind == ERROR_BEFORE else (500, 502, 504)
        return Course(
            kind=kind,
            latency_s=latency_s,
            forth_s=forth_s,
            status=self._chance.choice(statuses) if kind in {ERROR_BEFORE, ERROR_AFTER} else 502,
            again_after_s=self._chance.uniform(0.0, DUPLICATE_AFTER_S_MAX),
        )

    def listener(self, address: Address) -> Listener:
        """Who listens there; raises ConnectionRefusedError when nobody does."""
        found = self._listeners.get(address)
        if found is None:
            raise ConnectionRefusedError(111, "connection refused")
        return found

    def new_port(self) -> int:
        """A port for the calling side."""
        self._ports += 1
        return self._ports


class Listener:
    """An open address of a machine; every connection to it makes a protocol there."""

    def __init__(
        self,
        wire: Wire,
        address: Address,
        make: Callable[[], asyncio.BaseProtocol],
        context: Context,
        machine: Machine | None,
    ) -> None:
        self.address = address
        self.make = make
        self.context = context
        self.machine = machine
        self._wire = wire
        wire.listen(self)
        if machine is not None:
            machine.hold(self)

    def sever(self) -> None:
        """See Severable."""
        self._wire.unlisten(self)

    # --- what asyncio.Server offers -----------------------------------------------------------------

    @property
    def sockets(self) -> tuple[_Name, ...]:
        """One stand-in that knows its address."""
        return (_Name(self.address),)

    def close(self) -> None:
        """Take no further connections."""
        self._wire.unlisten(self)
        if self.machine is not None:
            self.machine.let_go(self)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""


class _Name(msgspec.Struct, frozen=True):
    address: Address

    def getsockname(self) -> Address:
        return self.address


class End(asyncio.Transport):
    """One end of a connection; keeps what asyncio promises of a stream transport."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        names: tuple[Address, Address],  # (ours, the other's)
        latency_s: float,
        context: Context,
        machine: Machine | None,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._names = names
        self._latency_s = latency_s
        self._context = context
        self._machine = machine
        self._is_closing = False
        self._is_lost = False
        self._is_paused = False
        self._under_way: deque[bytes | None] = deque()
        self._held: deque[bytes | None] = deque()
        self.send: Callable[[bytes | None], None] = _unconnected
        if machine is not None:
            machine.hold(self)

    def begin(self) -> None:
        """Tell the protocol that it is connected."""
        self._context.run(self._protocol.connection_made, self)

    # --- from the other end -------------------------------------------------------------------------

    def arrive(self, piece: bytes | None) -> None:
        """Take what the other end sent, after the latency and in its order."""
        if not self._is_lost:
            self._under_way.append(piece)
            self._loop.call_later(self._latency_s, self._take, context=self._context)

    def _take(self) -> None:
        piece = self._under_way.popleft()
        if self._is_lost or (self._is_closing and piece):
            return
        if self._is_paused or self._held:
            self._held.append(piece)
        else:
            self._hand_over(piece)

    def _hand_over_held(self) -> None:
        while self._held and not self._is_paused and not self._is_lost:
            self._hand_over(self._held.popleft())

    def _hand_over(self, piece: bytes | None) -> None:
        if self._machine is not None and not self._machine.step(is_traffic=True):
            return
        if piece:
            assert isinstance(self._protocol, asyncio.Protocol)
            self._protocol.data_received(piece)
        elif piece is None:
            self._lose(ConnectionResetError(104, "connection reset by peer"))
        else:
            assert isinstance(self._protocol, asyncio.Protocol)
            self._protocol.eof_received()
            self.close()

    # --- what asyncio.Transport offers --------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes."""
        if self._is_closing or self._is_lost or not data:
            return
        if self._machine is None or self._machine.step(is_traffic=True):
            self.send(bytes(data))

    def close(self) -> None:
        """Send what was written, then the end."""
        if not self._is_closing and not self._is_lost:
            self._is_closing = True
            self.send(_EOF)
            self._loop.call_soon(self._lose, None, context=self._context)

    def abort(self) -> None:
        """Break the connection."""
        if not self._is_lost:
            self._is_closing = True
            self.send(_RESET)
            self._loop.call_soon(self._lose, None, context=self._context)

    def sever(self) -> None:
        """See Severable: the kernel tells the other side, nobody is left to be told here."""
        if not self._is_lost:
            self.send(_RESET)
            self._is_closing = True
            error = ConnectionResetError(104, "the machine died")
            self._loop.call_soon(self._lose, error, context=self._context)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._is_closing or self._is_lost

    def pause_reading(self) -> None:
        """Keep what arrives."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Hand over what was kept."""
        self._is_paused = False
        if self._held:
            self._loop.call_soon(self._hand_over_held, context=self._context)

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who reads."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let somebody else read."""
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The two names; there is no socket."""
        return {"sockname": self._names[0], "peername": self._names[1]}.get(name, default)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        if self._machine is not None:
            self._machine.let_go(self)
        self._protocol.connection_lost(error)


def _unconnected(_piece: bytes | None) -> None:
    raise InvariantError("an end that is not connected")
