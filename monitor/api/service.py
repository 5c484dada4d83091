"""What the HTTP edge needs from the running monitor; the runtime offers it without knowing HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from monitor.model.events import OrderEvent
from monitor.model.settings import SourceSettings


class Readiness(msgspec.Struct, frozen=True):
    """Whether queries can be answered, and facts for `/readyz?verbose`."""

    is_ready: bool
    facts: dict[str, str] = {}


class StreamEvent(msgspec.Struct, frozen=True):
    """One server-sent event: `kind` is signal, alert, switch or takeover; `body` is JSON text."""

    kind: str
    body: bytes


class Service(Protocol):
    """The running monitor as the HTTP edge sees it."""

    async def ingest(self, events: tuple[OrderEvent, ...]) -> tuple[str, ...]:
        """Take events; returns after they are synced to disk.

        Returns the outcome of each in their order: accepted, duplicate, or the code of a refusal.
        Raises: CapacityError (nothing was taken), StorageError (nothing was acknowledged).
        """
        ...

    def sources(self) -> Mapping[str, SourceSettings]:
        """The configured sources by name, as of now."""
        ...

    def readiness(self) -> Readiness:
        """Whether the state is rebuilt and the store can be written."""
        ...

    def subscribe(self, listener: Callable[[StreamEvent], None]) -> Callable[[], None]:
        """Call the listener with every stream event from now on; returns how to stop that."""
        ...
