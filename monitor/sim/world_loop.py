"""A virtual loop with a network and threads: aiohttp, the store and the vault run on it unchanged.

Sockets are opened by those who want one and never connected: their number is exchanged for an end
of an in-memory connection. Names are not resolved; addresses are numbers.
"""

from __future__ import annotations

import asyncio
import functools
import random
import socket
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from monitor.model.times import DAY_MS, SECOND_MS
from monitor.sim.carrier import connect
from monitor.sim.machine import MACHINE, Machine, SoundDisk
from monitor.sim.stand_ins import stand_ins
from monitor.sim.virtual_loop import T, VirtualLoop
from monitor.sim.wire import REFUSED, Address, Course, End, Listener, Wire

CONNECT_S_MAX = 600.0


class WorldLoop(VirtualLoop):
    """One world: one network, any number of machines. What runs on none belongs to `outside`."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.wire = Wire(random.Random(f"wire {seed}"))  # noqa: S311 - repeatable, not secret
        disk = SoundDisk(random.Random(f"outside {seed}"))  # noqa: S311 - repeatable, not secret
        self.outside = Machine("outside", disk)
        self._courses: dict[int, tuple[Address, Course]] = {}
        self.set_task_factory(_owned_task)  # type: ignore[arg-type]  # also takes a context

    # --- threads ------------------------------------------------------------------------------------

    def run_in_executor(  # type: ignore[override]  # virtual time has no threads; see Machine
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Let the machine do the job at some virtual instant."""
        machine = MACHINE.get() or self.outside
        return machine.run_job(executor, functools.partial(func, *args))

    # --- network ------------------------------------------------------------------------------------

    async def create_server(  # type: ignore[override]  # only what aiohttp asks for
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        **_options: Any,
    ) -> Listener:
        """Open an address of the virtual network."""
        return Listener(self.wire, (host, port), protocol_factory, copy_context(), MACHINE.get())

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Reach an address, or not; the socket only lends its number.

        Raises: ConnectionRefusedError.
        """
        place: Address = (address[0], address[1])
        machine = MACHINE.get()
        if machine is not None and not machine.step():
            raise ConnectionResetError(104, "the machine is dead")
        course = self.wire.plan(place)
        await asyncio.sleep(course.latency_s)
        if course.kind == REFUSED:
            raise ConnectionRefusedError(111, "connection refused")
        self.wire.listener(place)
        self._courses[sock.fileno()] = (place, course)

    async def create_connection(  # type: ignore[override]  # only what aiohttp asks for
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        *_place: Any,
        sock: socket.socket,
        **_options: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Exchange a socket that reached its address for an end of an in-memory connection."""
        place, course = self._courses.pop(sock.fileno())
        sock.close()
        listener = self.wire.listener(place)
        protocol = protocol_factory()
        ours: Address = ("127.0.0.1", self.wire.new_port())
        machine = MACHINE.get()
        client = End(self, protocol, (ours, place), course.latency_s, copy_context(), machine)
        server = self._server_end(listener, ours, course.forth_s)
        connect(client, server, course, functools.partial(self._again, place))
        return client, protocol

    def _server_end(self, listener: Listener, peer: Address, latency_s: float) -> End:
        return End(
            self,
            listener.context.run(listener.make),
            (listener.address, peer),
            latency_s,
            listener.context,
            listener.machine,
        )

    def _again(self, place: Address, request: bytes) -> None:
        """Bring the bytes of a request once more, if anybody listens; nobody hears the answer."""
        try:
            listener = self.wire.listener(place)
        except ConnectionRefusedError:
            return
        server = self._server_end(listener, ("127.0.0.1", self.wire.new_port()), 0.001)
        server.send = lambda _piece: None
        server.begin()
        server.arrive(request)
        self.call_later(60.0, server.arrive, b"")


def run_world(main: Coroutine[Any, Any, T], *, seed: int, max_s: float = DAY_MS / SECOND_MS) -> T:
    """Run a coroutine to its end on a world of its own; raises TimeoutError after `max_s`."""

    async def bounded() -> T:
        async with asyncio.timeout(max_s):
            return await main

    runner = asyncio.Runner(loop_factory=functools.partial(WorldLoop, seed))
    with runner, stand_ins(runner.get_loop().time):
        return runner.run(bounded())


def _owned_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any
) -> asyncio.Task[T]:
    task = asyncio.Task(work, loop=loop, **options)
    context = options.get("context")
    machine = MACHINE.get() if context is None else context.get(MACHINE)
    if machine is not None:
        machine.adopt(task)
    return task
