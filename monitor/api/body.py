"""Reading a request body: bounded in size and time, also when it is compressed."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from monitor.api.edge import EDGE, Limits
from monitor.model.errors import InputError

RAW_BODY = web.RequestKey("raw_body", bytes)
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: web.Request, limits: Limits) -> bytes:
    """Return the body, inflated if it came as gzip.

    Raises: InputError `too_large`, `timeout`, `unsupported_encoding`, `bad_body`.
    """
    encoding = request.headers.get("Content-Encoding", "")
    if encoding:
        _check_encoding(encoding)  # before the body is waited for
    return plain_body(await read_raw(request, limits), encoding, limits)


def plain_body(body: bytes, encoding: str, limits: Limits) -> bytes:
    """Return a body as it was before `Content-Encoding`.

    Raises: InputError `too_large`, `unsupported_encoding`, `bad_body`.
    """
    return _inflate(body, limits) if encoding and _check_encoding(encoding) == "gzip" else body


async def read_raw(request: web.Request, limits: Limits) -> bytes:
    """Return the body as it was sent, which is what a signature covers; asking again is free.

    Raises: InputError `too_large`, `timeout`, `bad_body`.
    """
    if RAW_BODY in request:
        return request[RAW_BODY]
    if (request.content_length or 0) > limits.body_bytes_max:
        raise _too_large(limits)
    try:
        if request.content.is_eof():  # all of it is here already: nothing to wait for
            body = request.content.read_nowait()
            if len(body) > limits.body_bytes_max:
                raise _too_large(limits)
            request[RAW_BODY] = body
            return body
        async with asyncio.timeout(limits.body_deadline_s):
            request[RAW_BODY] = await _collect(request, limits)
    except TimeoutError:
        detail = f"the body did not arrive within {limits.body_deadline_s:g} s"
        raise InputError(detail, code="timeout") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(limits) from None
    except web.RequestPayloadError:
        raise InputError("the body broke off", code="bad_body") from None
    return request[RAW_BODY]


async def _collect(request: web.Request, limits: Limits) -> bytes:
    """Read a body that is still on its way; bytes that wait for others are counted by all together.

    Raises: InputError `too_large`, OverloadError.
    """
    flow, chunks, size = request.app[EDGE].flow, [], 0
    try:
        while not request.content.at_eof():
            if request.transport is None:  # aiohttp calls it a mistake of ours to read on
                raise ConnectionResetError("the client left before its body was whole")
            chunk = await request.content.readany()
            flow.read(len(chunk))
            size += len(chunk)
            if size > limits.body_bytes_max:
                raise _too_large(limits)
            chunks.append(chunk)
    finally:
        flow.read(-size)
    return b"".join(chunks)


def _check_encoding(encoding: str) -> str:
    plain = encoding.strip().lower()
    if plain not in ("", "identity", "gzip"):
        raise InputError("send the body plain or as gzip", code="unsupported_encoding")
    return plain


def _inflate(body: bytes, limits: Limits) -> bytes:
    """Inflate one gzip member, never to more than a plain body may have."""
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(body, limits.body_bytes_max + 1)
    except zlib.error:
        raise InputError("the body is not gzip", code="bad_body") from None
    if len(plain) > limits.body_bytes_max:
        raise _too_large(limits)
    if not stream.eof or stream.unused_data:
        raise InputError("the body is not one whole gzip stream", code="bad_body")
    return plain


def _too_large(limits: Limits) -> InputError:
    detail = f"the body has more than {limits.body_bytes_max} bytes"
    return InputError(detail, code="too_large", hint="send less in one request")
