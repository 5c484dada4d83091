"""Sends a gateway's request to the shop as it came: target, query, header lines and body, byte for byte.

Signatures are made over bytes, so nothing may be read and written again: a URL library would quote
anew, a header map would lose order and repeats. The request is written here as bytes; the answer is
read by aiohttp's parser. What belongs to a connection is not passed on (RFC 9110 §7.6.1), no
redirect is followed, no connection is used twice, and addresses pass the same guard as everywhere.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from monitor.adapters.egress import AddressInfo, guard, host_port
from monitor.adapters.names import Names
from monitor.adapters.relay_bytes import as_bytes, as_text
from monitor.model.addresses import address_of
from monitor.model.relay import MARK, ShopReply, StoredRequest

ANSWER_BYTES_MAX = 1024 * 1024
CONNECT_S = 5.0
ANSWER_S = 60.0  # longer than PHP lets a script run

_OF_CONNECTION = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade", "expect",
    )
)  # fmt: skip


class ShopWire:
    """One request, one connection; raises nothing: a shop that is not there has no answer."""

    def __init__(self, names: Names | None = None, *, answer_s: float = ANSWER_S) -> None:
        self._names = names or Names()
        self._answer_s = answer_s
        self._tls: ssl.SSLContext | None = None  # reads a long file: on first use
        self.blocked: Counter[str] = Counter()

    async def send(
        self, forward: str, host: str, stored: StoredRequest, mark: str
    ) -> ShopReply | None:
        """Send to a URL of the configuration; None if no whole answer came in time."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._sent(forward, host, stored, mark)
        except (OSError, ValueError, aiohttp.ClientError, HttpProcessingError):
            return None  # ValueError: a name that cannot be looked up, bytes that make no sense

    async def _sent(self, forward: str, host: str, stored: StoredRequest, mark: str) -> ShopReply:
        parts = urlsplit(forward)
        loop = asyncio.get_running_loop()
        place = host_port(forward)
        port = int(place.rpartition(":")[2])
        async with asyncio.timeout(CONNECT_S):
            sock = await self._dialled(parts.hostname or "", port, place)
            is_tls = parts.scheme == "https"
            if is_tls and self._tls is None:
                self._tls = ssl.create_default_context()
            transport, protocol = await loop.create_connection(
                lambda: ResponseHandler(loop),
                sock=sock,
                ssl=self._tls if is_tls else None,
                server_hostname=parts.hostname if is_tls else None,
            )
        try:
            method = stored.request.method
            protocol.set_response_params(
                skip_payload=method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                max_line_size=64 * 1024,
                max_field_size=64 * 1024,
            )
            transport.write(request_bytes(forward, host, stored, mark))
            message, payload = await protocol.read()
            while message.code < 200:  # 100, 103: the answer comes behind it
                message, payload = await protocol.read()
            body = await _read(payload)
        finally:
            protocol.abort()
        headers = tuple(
            (as_text(name), as_text(value)) for name, value in message.raw_headers
        )  # fmt: skip
        return ShopReply(message.code, _passed_on(headers, ("content-length",)), body)

    async def _dialled(self, name: str, port: int, place: str) -> socket.socket:
        """Connect to the first address that takes us, past the guard of addresses."""
        open_socket = guard((), self.blocked, (place,))
        failure: OSError = OSError("the name has no address")
        for family, host in await self._addresses(name, port):
            address = (host, port)
            info: AddressInfo = (family, socket.SOCK_STREAM, 0, "", address)
            try:
                sock = open_socket(info)
            except OSError as error:
                failure = error
                continue
            try:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                return sock
        raise failure

    async def _addresses(self, name: str, port: int) -> list[tuple[int, str]]:
        literal = address_of(name)
        if literal is not None:  # nearly always: the shop runs next door
            return [(socket.AF_INET6 if literal.version == 6 else socket.AF_INET, name)]
        found = await self._names.resolve(name, port, socket.AF_UNSPEC)
        return [(one["family"], one["host"]) for one in found]


def request_bytes(forward: str, host: str, stored: StoredRequest, mark: str) -> bytes:
    """The request as it leaves: that of the gateway, and our own lines behind it."""
    request = stored.request
    parts = urlsplit(forward)
    target = parts.path + stored.rest
    if not target.startswith("/"):
        target = f"/{target}"
    lines = [f"{request.method} {target} HTTP/1.1"]
    has_length = False
    for name, value in _passed_on(request.headers):
        lower = name.lower()
        if lower == "host":
            lines.append(f"{name}: {host or value}")
        elif lower != "content-length":
            lines.append(f"{name}: {value}")
        elif not has_length:
            has_length = True
            lines.append(f"{name}: {len(request.body)}")
    if not any(name.lower() == "host" for name, _ in request.headers):
        lines.append(f"Host: {host or parts.netloc}")
    if request.body and not has_length:
        lines.append(f"Content-Length: {len(request.body)}")
    lines += [f"{MARK}: {mark}", "Connection: close", "", ""]
    return as_bytes("\r\n".join(lines)) + request.body


def _passed_on(
    headers: tuple[tuple[str, str], ...], more: tuple[str, ...] = ()
) -> tuple[tuple[str, str], ...]:
    """Leave out the lines that are about a connection, also those that `Connection` names."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for token in value.split(",")
    }
    gone = _OF_CONNECTION | (named - {"host", "content-length", "content-type"}) | set(more)
    return tuple((name, value) for name, value in headers if name.lower() not in gone)


async def _read(payload: aiohttp.StreamReader) -> bytes:
    """All of an answer; OSError for one that is longer than any shop's."""
    parts: list[bytes] = []
    size = 0
    while part := await payload.readany():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise OSError("the answer is too long")
        parts.append(part)
    return b"".join(parts)
