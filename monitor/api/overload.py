"""What comes in between the socket and the disk: how much, and what is given up when it is too much.

    fill of the way, 0 to 1          given up from here on
    0.4  TRACES_FILL                 spans of orders are not offered to the exporter
    0.5  PAGES_FILL                  pages and lists answer 503, streams hear no more of numbers
    0.7  EVENTS_FILL                 events are refused unless an outcome is among them
    1.0  is full                     every request with events is refused before its body is read

The way is full when it holds as many events or as many bytes as the loop takes in within a quarter
of a second. How many these are is found out: a request that was on its way for longer makes the way
narrower for those to come, quick ones make it wider again, between `ROOM_MIN` and 1. An outcome (delivered, failed, refunded …) ends somebody's wait: without it an order
looks late that is not. So the last third of the way is kept for requests that bring one. Whether
they do is looked up in the raw body: to decode what will be refused costs as much as to take it.

No turn of the event loop decodes more than `TICK_BYTES`, so that refusals leave in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

import numpy as np

from monitor.api.left_out import LeftOut
from monitor.api.shed import EVENTS, UNREAD
from monitor.model.errors import OverloadError
from monitor.runtime.requests import PENDING_ENTRIES_MAX

ENTRIES_MAX = PENDING_ENTRIES_MAX * 9 // 10  # the rest of the loop's queue is for our own effects
BYTES_MAX = 6 * 1024 * 1024  # of events of ordinary size as many as ENTRIES_MAX
READING_BYTES_MAX = 64 * 1024 * 1024  # of bodies that are not whole yet
WAIT_MAX_S = 0.25
ROOM_MIN = 0.1
WIDER = 1.25
TICK_BYTES = 64 * 1024

TRACES_FILL = 0.4
PAGES_FILL = 0.5
EVENTS_FILL = 0.7

# In a type or in a field: taken for an outcome too often rather than too seldom.
_OUTCOMES = (b"delivered", b"failed", b"refunded", b"cancelled", b"expired", b"verified")


# In all of them `ed` stands behind one of these letters; in `paid`, `attempted`, `created` it does not.
LARGE_BYTES = 4_096
_BEFORE_ED = np.isin(np.arange(256), np.frombuffer(b"rldi", np.uint8))


class Place:
    """What one request takes of the way."""

    __slots__ = ("entered_s", "entries", "size")

    def __init__(self, entered_s: float, size: int) -> None:
        self.entered_s, self.size, self.entries = entered_s, size, 0


class Flow:
    """Requests with events that are not answered yet."""

    def __init__(self, left_out: LeftOut) -> None:
        self.left_out = left_out
        self.entries = 0
        self.bytes = 0
        self.reading_bytes = 0
        self.room = 1.0  # how much of the way is used, as the machine and the disk are now
        self._judged_s = 0.0
        self._wait_s = 0.0  # the longest on the way since then
        self._spent = 0  # bytes decoded in this turn of the event loop
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def fill(self) -> float:
        """How full the way is; more than 1 only by the request that filled it."""
        return max(self.entries / ENTRIES_MAX, self.bytes / BYTES_MAX) / self.room

    def give_up(self, what: str) -> None:
        """Count something that was given up."""
        self.left_out.shed[what] += 1

    def check(self) -> None:
        """Refuse a request with events by the state of the way alone.

        Raises: OverloadError.
        """
        if self.fill >= 1:
            self.give_up(UNREAD)
            raise OverloadError("too many events are on their way to the disk")

    def enter(self, body: bytes, headers: Mapping[str, str]) -> Place:
        """Let a body in, if there is room for what it brings; what it takes is for `leave`.

        Raises: OverloadError.
        """
        if EVENTS_FILL <= self.fill < 1 and not has_outcome(body, headers):
            self.give_up(EVENTS)
            raise OverloadError("there is only room for outcomes of orders now")
        return self.admit(len(body))

    def admit(self, size: int) -> Place:
        """Let bodies of so many bytes in together, for whom there is room whatever they bring.

        Raises: OverloadError.
        """
        self.check()
        self.bytes += size
        return Place(asyncio.get_running_loop().time(), size)

    def queue(self, place: Place, entries: int) -> None:
        """Count the events of a body that was let in."""
        self.entries += entries
        place.entries += entries

    def leave(self, place: Place) -> None:
        """The request is answered."""
        self.bytes -= place.size
        self.entries -= place.entries
        now_s = asyncio.get_running_loop().time()
        self._wait_s = max(self._wait_s, now_s - place.entered_s)
        if now_s - self._judged_s >= WAIT_MAX_S:
            self._judge(now_s)

    def read(self, size: int) -> None:
        """Count bytes of a body that is not whole, or (negative) that is.

        Raises: OverloadError.
        """
        if size > 0 and self.reading_bytes + size > READING_BYTES_MAX:
            self.give_up(UNREAD)
            raise OverloadError("too many bodies are on their way")
        self.reading_bytes += size

    async def turn(self, size: int) -> None:
        """Wait until this turn of the event loop has time to decode so many bytes; first come first."""
        if not self._waiting and (not self._spent or self._spent + size <= TICK_BYTES):
            self._spend(size)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        await turn

    def _judge(self, now_s: float) -> None:
        """Make the way as wide as what was on it lately was quick."""
        if self._wait_s > WAIT_MAX_S:
            self.room = max(ROOM_MIN, self.room * WAIT_MAX_S / self._wait_s)
        elif self._wait_s < WAIT_MAX_S / 2:
            self.room = min(1.0, self.room * WIDER)
        self._judged_s, self._wait_s = now_s, 0.0

    def _spend(self, size: int) -> None:
        if not self._spent:
            asyncio.get_running_loop().call_soon(self._next)
        self._spent += max(1, size)

    def _next(self) -> None:
        self._spent = 0
        while self._waiting and (
            not self._spent or self._spent + self._waiting[0][0] <= TICK_BYTES
        ):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._spend(size)
                turn.set_result(None)


def has_outcome(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether events in a plain body may tell how an order ended."""
    kind = headers.get("ce-type", "").encode("utf-8", "replace")
    if any(word in kind for word in _OUTCOMES):
        return True
    return _may_have_outcome(body) and any(word in body for word in _OUTCOMES)


def _may_have_outcome(body: bytes) -> bool:
    """One look at a large body instead of six, each of which takes as long: is any `ed` as in them?"""
    if len(body) < LARGE_BYTES:
        return True
    letters = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero((letters[1:-1] == ord("e")) & (letters[2:] == ord("d")))
    return bool(_BEFORE_ED[letters[ends]].any())
