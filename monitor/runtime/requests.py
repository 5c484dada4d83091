"""What waits for the next turn of the loop, and how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from monitor.model.commands import Accepted, Command
from monitor.model.errors import MonitorError
from monitor.model.records import Audited, Entry, MessageTaken
from monitor.runtime.messages import Messages

DUPLICATE = "duplicate"


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


def refuse(requests: Sequence[Request], error: MonitorError) -> None:
    """Tell senders that still wait why nothing was taken of theirs."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(error)


def answer_all(requests: Sequence[Request], commands: Sequence[Command]) -> None:
    """Tell every sender what became of its entries; a sender that went away is no trouble."""
    if not requests:
        return
    outcomes = next((one.outcomes for one in commands if isinstance(one, Accepted)), ())
    start = 0
    for request in requests:
        end = start + len(request.entries)
        if not request.answer.done():
            request.answer.set_result(outcomes[start:end])
        start = end
