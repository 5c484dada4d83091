"""What a connection does with the bytes given to it, by its course.

Both directions see pieces: bytes, the end (empty), or a break (None). What a course takes away from
the other side is never seen by it: a request that is lost was not carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from monitor.sim.wire import (
    CUT,
    DUPLICATE,
    ERROR_AFTER,
    ERROR_BEFORE,
    GARBAGE,
    RESET_AFTER,
    RESET_BEFORE,
    STALL_AFTER,
    STALL_BEFORE,
    Course,
    End,
)

Piece = bytes | None

_PAGE = b'<!doctype html><title>Welcome</title><p>{"status": "not what you asked for"'


def connect(client: End, server: End, course: Course, again: Callable[[bytes], None]) -> None:
    """Join two ends; `again` brings a copy of the request to the server by another connection."""
    carrier = _Carrier(client, server, course, again)
    client.send, server.send = carrier.forth, carrier.back
    server.begin()
    client.begin()


class _Carrier:
    def __init__(
        self, client: End, server: End, course: Course, again: Callable[[bytes], None]
    ) -> None:
        self._client = client
        self._server = server
        self._course = course
        self._again = again
        self._copy = bytearray()
        self._is_over = False

    def forth(self, piece: Piece) -> None:
        """From the client to the server."""
        kind = self._course.kind
        if self._is_over:
            return
        if not piece:
            self._repeat()
            self._server.arrive(piece)
        elif kind == STALL_BEFORE:
            return
        elif kind == RESET_BEFORE:
            self._end(None, None)
        elif kind == ERROR_BEFORE:
            self._end(_answer(self._course.status, b""), b"")
        else:
            if kind == DUPLICATE:
                self._copy += piece
            self._server.arrive(piece)

    def back(self, piece: Piece) -> None:
        """From the server to the client."""
        kind = self._course.kind
        if self._is_over:
            return
        if piece:
            self._repeat()
        if not piece or kind not in _SPOILT:
            self._client.arrive(piece)
        elif kind == STALL_AFTER:
            self._is_over = True
        elif kind == RESET_AFTER:
            self._end(None, None)
        elif kind == CUT:
            self._client.arrive(piece[: len(piece) // 2])
            self._end(None, None)
        elif kind == ERROR_AFTER:
            self._end(_answer(self._course.status, b""), b"")
        else:
            self._end(_answer(200, _PAGE), b"")

    def _end(self, last_word: Piece, to_server: Piece) -> None:
        """Say something to the client in the server's place, and be over."""
        self._is_over = True
        self._client.arrive(last_word)
        if last_word:
            self._client.arrive(b"")
        self._server.arrive(to_server)

    def _repeat(self) -> None:
        if self._copy:
            request, self._copy = bytes(self._copy), bytearray()
            loop = asyncio.get_running_loop()
            loop.call_later(self._course.again_after_s, self._again, request)


_SPOILT = frozenset({STALL_AFTER, RESET_AFTER, CUT, ERROR_AFTER, GARBAGE})


def _answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
