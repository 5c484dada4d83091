"""What the HTTP edge needs from the running monitor; the runtime offers it without knowing HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from monitor.api.left_out import LeftOut
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.model.events import OrderEvent
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import AlertMoved, Answer, Instruction
from monitor.model.settings import ChannelSettings, SourceSettings
from monitor.ports import Reports, ShopPush, StoredAudit
from monitor.runtime.archive import StateHash
from monitor.runtime.relay import Relay
from monitor.runtime.requests import Reply

Events = tuple[OrderEvent, ...]
Named = TypeVar("Named", SourceSettings, ChannelSettings)


class ByName(Generic[Named]):
    """Sources or channels by name, put together anew only when a reload has changed them."""

    def __init__(self) -> None:
        self._settings: tuple[Named, ...] = ()
        self._found: dict[str, Named] = {}

    def of(self, settings: tuple[Named, ...]) -> Mapping[str, Named]:
        """The settings by name; asked with every request."""
        if settings is not self._settings:
            self._settings, self._found = settings, {one.name: one for one in settings}
        return self._found


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

    @property
    def left_out(self) -> LeftOut:
        """Where the intake counts what it did not take."""
        ...

    @property
    def relay(self) -> Relay:
        """Where callbacks of payments go through."""
        ...

    @property
    def pushes(self) -> Mapping[str, ShopPush]:
        """Who reads what sources send by themselves, by name of the source."""
        ...

    async def ingest(self, events: Events, message: MessageTaken | None = None) -> tuple[str, ...]:
        """Take events; returns after they are synced to disk.

        Returns the outcome of each in their order: accepted, duplicate, or the code of a refusal.
        Of a signed message that was taken before all are duplicates.
        Raises: CapacityError (nothing was taken), StorageError (nothing was acknowledged),
        InputError `webhook_id_reused` for another message under the id of one that was taken.
        """
        ...

    def offer(self, events: Events, message: MessageTaken | None, reply: Reply) -> None:
        """Like `ingest`, for who does not await: `reply` is told, in the turn that synced them.

        Raises: CapacityError, StorageError when the events cannot even be queued.
        """
        ...

    def sources(self) -> Mapping[str, SourceSettings]:
        """The configured sources by name, as of now."""
        ...

    def channels(self) -> Mapping[str, ChannelSettings]:
        """The configured channels by name, as of now."""
        ...

    def readiness(self) -> Readiness:
        """Whether the state is rebuilt and the store can be written."""
        ...

    def subscribe(
        self, listener: Callable[[StreamEvent], None], wants_signals: Callable[[], bool]
    ) -> Callable[[], None]:
        """Call the listener with every stream event from now on; returns how to stop that.

        Signals cost a look at all orders: they are left out while no listener wants them.
        """
        ...

    def rebuilt(self) -> Engine:
        """The engine, to be read only; every question about orders starts here.

        Raises: StorageError `not_ready` until its state is rebuilt.
        """
        ...

    async def find_order(self, order_id: str) -> Order | None:
        """The order by its id, in memory or in the store.

        Raises: StorageError.
        """
        ...

    async def state_hash(self, at_ms: int | None) -> StateHash:
        """Hash of all orders' facts and verdicts at a time (default: the latest fact's time).

        Raises: CapacityError while another one is being computed, StorageError.
        """
        ...

    async def alert_moves(self, rule: str, until_ms: int) -> list[AlertMoved] | None:
        """What was logged of a rule's alerts up to a time, oldest first; None if the log begins later.

        Raises: CapacityError while another one is being read, StorageError.
        """
        ...

    async def instruct(self, instruction: Instruction, audit: Audited) -> str:
        """Log and carry out a person's order; its decisions were published when this returns.

        `audit` says who ordered it, and is as durable as the order.

        Raises: CapacityError, StorageError (nothing was done).
        """
        ...

    @property
    def reports(self) -> Reports:
        """What suppliers that call by themselves are understood with; there once `rebuilt` is."""
        ...

    async def acknowledge(self, answer: Answer, audit: Audited | None = None) -> None:
        """Log what a shop says to a switch, or a supplier of an attempt, and take it in.

        Raises: CapacityError, StorageError (nothing was taken in).
        """
        ...

    async def note(self, audit: Audited) -> None:
        """Log an entry of the audit about something that leaves no other trace in the log.

        Raises: CapacityError, StorageError.
        """
        ...

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """Entries of the audit, the newest first, from the one before a place on.

        Raises: StorageError.
        """
        ...

    def metrics(self) -> bytes:
        """The Prometheus text exposition."""
        ...

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read configuration and rules again: (keys that changed, keys that need a restart).

        Raises: ConfigError with every problem; then everything stays as it was.
        """
        ...
