"""What waits for the next turn of the loop, and how it is answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import msgspec

from monitor.model.commands import Accepted, Command
from monitor.model.errors import MonitorError, OverloadError
from monitor.model.notes import Audited, MessageTaken, Note
from monitor.model.records import Entry
from monitor.runtime.messages import Messages
from monitor.runtime.notes import notes_of

DUPLICATE = "duplicate"
PENDING_ENTRIES_MAX = 20_000
TURN_ENTRIES_MAX = 500  # about 10 ms, in which nobody is answered


class Reply(Protocol):
    """Where the answer goes: a future, or whoever writes it without awaiting one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, result: tuple[str, ...], /) -> None:
        """Take what became of the entries."""
        ...

    def set_exception(self, exception: MonitorError, /) -> None:
        """Take why nothing was taken."""
        ...


class Request(msgspec.Struct, frozen=True):
    """Entries of one sender, with the signed message that brought them or the entry of the audit."""

    entries: tuple[Entry, ...]
    answer: Reply
    message: MessageTaken | None = None
    audit: Audited | None = None


class Waiting:
    """Requests in line for a turn; `messages` says which of them were taken before."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._requests: deque[Request] = deque()
        self._entries = 0
        self._waiter: asyncio.Future[None] | None = None  # of `until`, while somebody waits

    def __bool__(self) -> bool:
        return bool(self._requests)

    def check_room(self, count: int) -> None:
        """Refuse so many entries more than there is room for. Raises: OverloadError."""
        if self._entries + count > PENDING_ENTRIES_MAX:
            raise OverloadError(f"{self._entries} events are waiting to be written")

    def put(self, request: Request) -> None:
        """Queue a request behind the others."""
        self._requests.append(request)
        self._entries += len(request.entries)
        self.nudge()

    def take(self) -> list[Request]:
        """Take what fits into one turn; repeated messages are answered at once."""
        taken: list[Request] = []
        count = 0
        while self._requests and count < TURN_ENTRIES_MAX:
            taken.append(self._requests.popleft())
            count += len(taken[-1].entries)
        self._entries -= count
        new, later = sift(taken, self._messages)
        for request in reversed(later):
            self._requests.appendleft(request)
            self._entries += len(request.entries)
        return new

    def refuse_all(self, error: MonitorError) -> None:
        """Tell everybody who waits why nothing is taken."""
        while self._requests:
            refuse(self.take(), error)

    async def until(self, at_s: float) -> None:
        """Wait for a nudge, a request's or another's, or for a time of the event loop."""
        loop = asyncio.get_running_loop()
        # A bare future and one timer: this is passed once per group commit.
        self._waiter = loop.create_future()
        timer = loop.call_at(at_s, self.nudge)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def nudge(self) -> None:
        """Wake who waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def sift(requests: list[Request], messages: Messages) -> tuple[list[Request], list[Request]]:
    """Answer repeated messages at once: nothing of them is written or folded again.

    Returns the requests of this turn, and those for the next: turns are made one after the other,
    so of two requests with one message the second waits until the first is known.
    """
    if all(request.message is None for request in requests):
        return requests, []
    new: list[Request] = []
    later: list[Request] = []
    begun: set[tuple[str, str]] = set()
    for request in requests:
        message = request.message
        identity = None if message is None else (message.source, message.message_id)
        if message is None or identity is None:
            new.append(request)
        elif identity in begun:
            later.append(request)
        elif not _is_repeated(request, message, messages):
            begun.add(identity)
            new.append(request)
    return new, later


def _is_repeated(request: Request, message: MessageTaken, messages: Messages) -> bool:
    """Whether the message needs no turn; then its sender has the answer."""
    try:
        if not messages.is_known(message):
            return False
    except MonitorError as error:
        refuse([request], error)
        return True
    if not request.answer.done():
        request.answer.set_result((DUPLICATE,) * len(request.entries))
    return True


def written(requests: Sequence[Request]) -> tuple[tuple[Entry, ...], tuple[Note, ...]]:
    """What of requests goes into the log: entries, and the notes that stand before them."""
    entries = tuple(chain.from_iterable(request.entries for request in requests))
    noted = (one for one in requests if one.message is not None or one.audit is not None)
    return entries, tuple(note for one in noted for note in notes_of(one.message, one.audit))


def refuse(requests: Sequence[Request], error: MonitorError) -> None:
    """Tell senders that still wait why nothing was taken of theirs."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(error)


def answer_all(requests: Sequence[Request], commands: Sequence[Command]) -> None:
    """Tell every sender what became of its entries; a sender that went away is no trouble."""
    if requests:
        outcomes = next((one.outcomes for one in commands if isinstance(one, Accepted)), ())
        answer_each(requests, outcomes)


def answer_each(requests: Sequence[Request], outcomes: Sequence[str]) -> None:
    """Hand out what became of the entries of all requests, which stand one behind the other."""
    start = 0
    for request in requests:
        end = start + len(request.entries)
        if not request.answer.done():
            request.answer.set_result(tuple(outcomes[start:end]))
        start = end
