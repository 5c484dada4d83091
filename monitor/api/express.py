"""The short way past aiohttp, for a request that is one ordinary event and here as a whole.

aiohttp's request, task, router and response cost several times what an event costs. What comes in
one piece with a head that `fast_heads` knows, and is small, goes the way of the fast listener
(`fast_intake`). Everything else, and everything odd, is aiohttp's: it is asked first wherever there
is a doubt, so no byte is ever read by two parsers.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.api.edge import Edge
from monitor.api.fast_head import Head
from monitor.api.fast_heads import HEAD_REMEMBERED_MAX
from monitor.api.fast_intake import GATHERED_BYTES_MAX, Intake
from monitor.model.errors import MonitorError

_START = b"POST /v1/events HTTP/1.1\r\n"
_END = b"\r\n\r\n"
_BYTES_MAX = HEAD_REMEMBERED_MAX + GATHERED_BYTES_MAX


class Whole(NamedTuple):
    """A request that is ordinary and whole."""

    head: Head
    body: bytes


class Express:
    """The short way of one listener."""

    def __init__(self, edge: Edge) -> None:
        self.intake = Intake(edge)

    def whole(self, received: bytes) -> Whole | None:
        """What was received, if it is exactly one ordinary request; None: aiohttp reads it."""
        if len(received) > _BYTES_MAX or not received.startswith(_START):
            return None
        end = received.find(_END) + len(_END)
        if end < len(_END):
            return None
        raw = received[:end]
        head = self.intake.heads.known(raw)
        if head is None:
            try:
                head = self.intake.heads.read(raw)
            except MonitorError:
                return None  # its answer is aiohttp's business
        if not head.is_ordinary or len(received) != end + head.length:
            return None
        return Whole(head, received[end:])
