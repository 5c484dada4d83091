"""Notes: what the log keeps beside facts and decisions, on its way into tables of its own.

A note is written with the entries it speaks of, in one segment and one sync. Until the next commit
it waits here; that commit also moves the cursor over its segment, so a restart finds every note
either in its table or in the log behind the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from monitor.model.notes import Audited, MessageTaken, Note
from monitor.ports import AuditRow, MessagePage
from monitor.runtime.messages import Messages

_encoder = msgspec.json.Encoder()


class Notes:
    """Notes that are in the log and not yet in their tables."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages
        self._audits: list[AuditRow] = []

    @property
    def has_audits(self) -> bool:
        """Whether somebody may look for an entry that is not in its table yet."""
        return bool(self._audits)

    def take(self, notes: Iterable[Note]) -> None:
        """Take in what is durable in the log."""
        for note in notes:
            if isinstance(note, MessageTaken):
                self.messages.take(note)
            else:
                self._audits.append(AuditRow(note.audit_id, note.at_ms, _encoder.encode(note)))

    def drain(self, now_ms: int) -> tuple[tuple[AuditRow, ...], MessagePage | None]:
        """Give everything that waits to the next commit."""
        audits, self._audits = tuple(self._audits), []
        return audits, self.messages.drain(now_ms)


def notes_of(message: MessageTaken | None, audit: Audited | None) -> tuple[Note, ...]:
    """The notes of one request."""
    return tuple(note for note in (message, audit) if note is not None)
