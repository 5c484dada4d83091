"""Targets with bytes that are no ASCII, which HTTP forbids and payment gateways send all the same.

V免签 puts the shop's own words into its callback as they are, in UTF-8 or GBK; PHP and nginx take it.
The parser gets such a request line escaped, and who needs the bytes finds them here.
"""

from __future__ import annotations

import re

TARGETS_MAX = 8  # of one connection that nobody has asked for yet

_RELAYED = re.compile(rb"[A-Z]{3,7} (/relay/[^ \r\n]*) HTTP/1\.[01]\r?\n")
_ODD = re.compile(rb"[\x80-\xff]")


class RawTargets:
    """The targets of one connection that were escaped, by what they have become."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw: dict[str, str] = {}

    def escaped(self, data: bytes) -> bytes:
        """What the parser gets: the head of a request, with a request line of ASCII."""
        found = _RELAYED.match(data)
        if found is None or not _ODD.search(found[1]):
            return data
        target = _ODD.sub(lambda odd: b"%%%02X" % odd[0][0], found[1])
        if len(self._raw) >= TARGETS_MAX:
            self._raw.clear()
        self._raw[target.decode("ascii")] = found[1].decode("utf-8", "surrogateescape")
        return data[: found.start(1)] + target + data[found.end(1) :]

    def raw(self, target: str) -> str:
        """The target as it was sent; bytes that are no UTF-8 as surrogates."""
        return self._raw.pop(target, target)
