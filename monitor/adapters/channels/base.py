"""What a delivery channel and the vault for its goods promise.

A new channel is one module with a class that keeps `DeliveryChannel`, and one line where channels
are built. The goods a channel returns go into the vault before the channel reports them: what is
reported delivered is never lost.
"""

from __future__ import annotations

from typing import Protocol

from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.records import AttemptAnswered


class Vault(Protocol):
    """Keeps the goods of attempts, encrypted, until they are handed over or locked away."""

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        """Make the goods durable and return their keyed digest (says nothing about the goods).

        Storing the same goods again changes nothing. Raises: StorageError.
        """
        ...

    async def goods(self, attempt_ref: str) -> list[str]:
        """Return the goods of an attempt, always in the same order.

        Raises: NotFoundError if there are none or they are locked away.
        """
        ...

    async def quarantine(self, attempt_ref: str) -> None:
        """Lock the goods away for ever; harmless to repeat, and for an attempt without goods."""
        ...


class DeliveryChannel(Protocol):
    """A way to get goods for an order: a supplier's API, the local pool, a person."""

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Ask for delivery once; `delivered` means the goods are already in the vault.

        Raises: Transient or Permanent only if the channel certainly did nothing, else
        UnknownOutcome. No message ever holds goods or secrets.
        """
        ...

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Ask what became of an attempt; `is_query` is true. Harmless to repeat.

        Raises: Transient, Permanent or UnknownOutcome: nothing was learnt.
        """
        ...

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:
        """Lock the goods of an attempt away for ever; harmless to repeat."""
        ...
