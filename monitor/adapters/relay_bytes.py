"""Requests and answers as they are kept: every text as the bytes it was, whatever its encoding."""

from __future__ import annotations

import msgspec

from monitor.model.relay import ShopReply, StoredRequest
from monitor.model.shops import RawRequest

Lines = tuple[tuple[bytes, bytes], ...]
Headers = tuple[tuple[str, str], ...]


class _Request(msgspec.Struct, frozen=True, array_like=True):
    method: str
    target: bytes
    headers: Lines
    body: bytes
    received_ms: int
    rest: bytes


class _Reply(msgspec.Struct, frozen=True, array_like=True):
    status: int
    headers: Lines
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_request_reader = msgspec.msgpack.Decoder(_Request)
_reply_reader = msgspec.msgpack.Decoder(_Reply)


def packed_request(stored: StoredRequest) -> bytes:
    """A request as one value of the database."""
    request = stored.request
    return _encoder.encode(
        _Request(
            request.method, as_bytes(request.target), _lines(request.headers), request.body,
            request.received_ms, as_bytes(stored.rest),
        )
    )  # fmt: skip


def unpacked_request(packed: bytes) -> StoredRequest:
    """The request as it came; raises msgspec.DecodeError."""
    found = _request_reader.decode(packed)
    request = RawRequest(
        found.method, as_text(found.target), _headers(found.headers), found.body, found.received_ms
    )
    return StoredRequest(request, as_text(found.rest))


def packed_reply(reply: ShopReply) -> bytes:
    """An answer as one value of the database."""
    return _encoder.encode(_Reply(reply.status, _lines(reply.headers), reply.body))


def unpacked_reply(packed: bytes) -> ShopReply:
    """The answer as it came; raises msgspec.DecodeError."""
    found = _reply_reader.decode(packed)
    return ShopReply(found.status, _headers(found.headers), found.body)


def as_bytes(text: str) -> bytes:
    """The bytes of a text that was read from a connection."""
    return text.encode("utf-8", "surrogateescape")


def as_text(raw: bytes) -> str:
    """Bytes of a connection as text, of which `as_bytes` makes the same bytes again."""
    return raw.decode("utf-8", "surrogateescape")


def _lines(headers: Headers) -> Lines:
    return tuple((as_bytes(name), as_bytes(value)) for name, value in headers)


def _headers(lines: Lines) -> Headers:
    return tuple((as_text(name), as_text(value)) for name, value in lines)
