"""A log that is followed: its lines become events by the decoder of `POST /v1/events`.

It is read like the database of a shop (`ShopPull`): page by page, each from a mark on that moves when
its events are safe. A line that is no event is counted and known by its number, never by its words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from monitor.api.decode import DecodeContext, decode
from monitor.model.errors import InputError, SourceError
from monitor.model.events import OrderEvent
from monitor.model.shops import Polled
from monitor.model.tails import Chunk, Line, Place

log = logging.getLogger("monitor.tail")

NAMED_MAX = 10  # bad lines of a page named in the log; the others are counted
_LINES = "application/x-ndjson"

Read = Callable[[Line], dict[str, object] | None]


class BadLine(NamedTuple):
    """A line that is no event: its number in the file, and what is wrong with it."""

    number: int
    code: str


class _Page(NamedTuple):
    """What some lines are, and the place after them."""

    events: tuple[OrderEvent, ...]
    bad: list[BadLine]
    place: Place
    is_last: bool


class Followed(Protocol):
    """The file; it blocks."""

    def read(self, place: Place) -> Chunk:
        """The lines after a place. Raises: OSError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class TailLog:
    """A file and how its lines are read; `context` is that of a time, `count_bad` is told how many were bad."""

    def __init__(
        self,
        source: str,
        file: Followed,
        read: Read,
        context: Callable[[int], DecodeContext],
        count_bad: Callable[[int], None],
    ) -> None:
        self.source = source
        self.bad_lines = 0  # since the start
        self.last_bad: BadLine | None = None
        self._file, self._read, self._context, self._count_bad = file, read, context, count_bad
        self._noted = ""  # the page whose bad lines are noted: it may have to be read again

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """See ShopPull."""
        context = self._context(now_ms)
        try:
            # All of it in a thread: a pattern may take some milliseconds for a line.
            events, bad, place, is_last = await asyncio.to_thread(self._page, _place(mark), context)
        except OSError as error:
            raise SourceError(
                f"the log cannot be read: {error.strerror or type(error).__name__}",
                hint="look at sources[].tail.file, and whether this user may read it",
            ) from None
        following = msgspec.json.encode(place).decode()
        if bad and following != self._noted:
            self._note(bad)
            self._noted = following
        return Polled(events, following, is_last=is_last)

    async def close(self) -> None:
        """See ShopPull."""
        self._file.close()

    def notes(self) -> list[str]:
        """What an operator must be told."""
        if self.last_bad is None:
            return []
        last = f"the last was line {self.last_bad.number} ({self.last_bad.code})"
        return [f"{self.source}: {self.bad_lines} lines of the log are no events, {last}"]

    def _page(self, place: Place, context: DecodeContext) -> _Page:
        chunk = self._file.read(place)
        bad: list[BadLine] = []
        numbers: list[int] = []
        flats: list[bytes] = []
        for line in chunk.lines:
            try:
                flat = self._read(line)
            except InputError as error:
                bad.append(BadLine(line.number, error.code))
                continue
            if flat is not None:
                numbers.append(line.number)
                flats.append(msgspec.json.encode(flat))
        decoded = decode(b"\n".join(flats), _LINES, {}, context)
        bad += [BadLine(numbers[one.index], one.code) for one in decoded.rejected]
        return _Page(decoded.events, sorted(bad), chunk.place, not chunk.lines)

    def _note(self, bad: list[BadLine]) -> None:
        self.bad_lines += len(bad)
        self.last_bad = bad[-1]
        self._count_bad(len(bad))
        for line in bad[:NAMED_MAX]:
            told = {"source": self.source, "line": line.number, "code": line.code}
            log.warning("tail_line_unreadable", extra={"fields": told})


def _place(mark: str) -> Place:
    """The place that a mark means; the beginning for one that means none."""
    try:
        return msgspec.json.decode(mark, type=Place) if mark else Place()
    except msgspec.DecodeError:
        return Place()
