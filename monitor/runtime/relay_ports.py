"""What the relay needs of the world: a file of its own, a way to the shop, and somebody to tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from monitor.model.events import OrderEvent
from monitor.model.gateways import Gateway
from monitor.model.relay import (
    Arrival,
    Closing,
    News,
    Receipt,
    RelayCounts,
    RelaySettings,
    ShopReply,
    StoredItem,
    StoredRequest,
    Told,
)

Tell = Callable[[tuple[OrderEvent, ...]], Awaitable[tuple[str, ...]]]


class Relayed(msgspec.Struct, frozen=True):
    """One relay at work: how it is configured, and who understands its gateway."""

    settings: RelaySettings
    gateway: Gateway


class Store(Protocol):
    """Keeps callbacks; what is awaited raises StorageError and is durable when it returns."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written right now."""
        ...

    @property
    def is_there(self) -> bool:
        """Whether anything was ever kept here."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether what has to stay is more than there is room for."""
        ...

    async def open_items(self, now_ms: int) -> list[StoredItem]:
        """Duties that were not done when the process last ended; all else is closed by this."""
        ...

    async def arrive(self, arrival: Arrival) -> Receipt:
        """Keep a callback, or find it by its key."""
        ...

    async def request(self, row: int) -> StoredRequest:
        """What is sent for a row."""
        ...

    def attempted(self, item: int, attempts: int, due_ms: int) -> None:
        """Note a try that was not accepted."""
        ...

    def closed(self, closing: Closing, news: Sequence[News]) -> None:
        """Note how a callback ended."""
        ...

    def tell(self, item: int, row: int, news: Sequence[News], at_ms: int) -> None:
        """Note what the monitor is to hear, each piece once."""
        ...

    async def untold(self) -> list[Told]:
        """The oldest news that the monitor has not taken."""
        ...

    async def told(self, news_ids: Sequence[int]) -> None:
        """The monitor has taken these."""
        ...

    async def counts(self) -> RelayCounts:
        """What is in the file."""
        ...

    async def trim(self, now_ms: int) -> int:
        """Forget some of what was closed long ago; returns how many rows."""
        ...

    async def close(self) -> None:
        """Finish what waits."""
        ...


class Wire(Protocol):
    """The way to a shop."""

    async def send(
        self, forward: str, host: str, stored: StoredRequest, mark: str
    ) -> ShopReply | None:
        """Send a request as it came; None if no whole answer came back in time."""
        ...
