"""Looks up names beside the event loop, so that a dead name server holds up nobody else.

`getaddrinfo` blocks and cannot be cancelled: 10 to 30 s when no name server answers. On the loop's
own few threads two such receivers would stop all other look-ups, and the end of the process would
wait for them. Here a name is looked up once at a time, whoever asks, on a thread that is left
behind when nobody needs its answer any more.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

LOOK_UPS_MAX = 64  # different names at once; more fail at once and are tried again later

Found = Sequence[tuple[int, int, int, str, tuple[Any, ...]]]
_Key = tuple[str, int]  # name, family


def system_addresses(host: str, family: int) -> Found:
    """Ask the system, which blocks; OSError when it finds nothing."""
    return socket.getaddrinfo(
        host, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )


class Names(AbstractResolver):
    """Resolves for aiohttp; nothing is remembered, so every dial asks anew."""

    def __init__(self, look_up: Callable[[str, int], Found] = system_addresses) -> None:
        self._look_up = look_up
        self._under_way: dict[_Key, asyncio.Future[Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See AbstractResolver; OSError when there is no address or too much is under way."""
        key = (host, int(family))
        asked = self._under_way.get(key)
        if asked is None:
            if len(self._under_way) >= LOOK_UPS_MAX:
                raise OSError("too many names are being looked up")
            asked = self._ask(key)
        found = await asyncio.shield(asked)  # who gives up leaves it to the others
        return [
            ResolveResult(
                hostname=host,
                host=_host(address),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
            if len(address) in (2, 4)  # others: Python without IPv6
        ]

    async def close(self) -> None:
        """Leave behind what is under way."""

    def _ask(self, key: _Key) -> asyncio.Future[Found]:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Found] = loop.create_future()
        self._under_way[key] = asked
        asked.add_done_callback(lambda _: self._forget(key))

        def work() -> None:
            outcome: Found | OSError | UnicodeError
            try:
                outcome = self._look_up(*key)
            except (OSError, UnicodeError) as error:
                outcome = error
            # The loop may be gone by now: then nobody waits for the answer.
            if not loop.is_closed():
                try:
                    loop.call_soon_threadsafe(_answer, asked, outcome)
                except RuntimeError:
                    return

        threading.Thread(target=work, name=f"names {key[0]}", daemon=True).start()
        return asked

    def _forget(self, key: _Key) -> None:
        del self._under_way[key]


def _answer(asked: asyncio.Future[Found], outcome: Found | OSError | UnicodeError) -> None:
    if asked.done():
        return
    if isinstance(outcome, Exception):
        asked.set_exception(outcome)
        asked.exception()  # no warning when everybody gave up meanwhile
    else:
        asked.set_result(outcome)


def _host(address: tuple[Any, ...]) -> str:
    """The address as text; a link-local one says which interface leads to it."""
    if len(address) == 4 and address[3]:
        return f"{address[0]}%{address[3]}" if "%" not in address[0] else str(address[0])
    return str(address[0])
