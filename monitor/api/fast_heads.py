"""Heads that were read and judged before.

A client that keeps its connection sends the same head again and again, but for a digit of the
length: then looking it up is all there is to do. Host and Origin are judged once, for as long as
the gate is the same; a key is judged with every request.
"""

from __future__ import annotations

from monitor.api.auth import INGEST
from monitor.api.edge import Edge
from monitor.api.fast_head import Head, read_head
from monitor.api.signed import is_signed

HEADS_MAX = 1_024  # of one listener, of at most so many bytes each
HEAD_REMEMBERED_MAX = 1_024


class Heads:
    """The heads of one listener's requests, byte by byte."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._gate = edge.gate  # that let them through
        self._heads: dict[bytes, Head] = {}

    def known(self, raw: bytes) -> Head | None:
        """The head if it was judged, and what let it through is still in force."""
        if self._gate is not self._edge.gate:
            self._gate = self._edge.gate
            self._heads.clear()
        return self._heads.get(raw)

    def read(self, raw: bytes) -> Head:
        """Read a whole head, the blank line included, and refuse by it alone what needs no body.

        One that is signed needs it. Raises: HeadError, AuthError.
        """
        head = self.known(raw)
        if head is not None:
            return head
        head = read_head(raw, self._edge.limits)
        gate, headers = self._edge.gate, head.headers
        gate.check_host(headers)
        gate.check_origin("POST", headers)
        if not is_signed(headers):
            gate.admit(headers, INGEST, self._edge.clock.now_ms())
        if len(raw) <= HEAD_REMEMBERED_MAX:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[raw] = head
        return head
