"""Every seam between the core's shell and the world, on one page.

Each docstring is the promise that the port's contract suite (`tests/contracts`) checks on every
adapter. The embedded store is the distributed one with one producer, one partition, one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from monitor.model.commands import Rewind
from monitor.model.effects import Effect, Query
from monitor.model.received import Received
from monitor.model.records import Answer, AttemptAnswered
from monitor.model.shops import Polled, Pushed, RawRequest
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import UnixMs


class Clock(Protocol):
    """Tells the time; the only way to it outside tests."""

    def now_ms(self) -> UnixMs:
        """UTC milliseconds of the wall clock."""
        ...


@runtime_checkable
class StepClock(Clock, Protocol):
    """A clock that does not follow when the machine's is set, until somebody confirms the new time."""

    step_ms: int

    def is_step_true(self, told_ms: UnixMs) -> bool:
        """Take the step over if a time that somebody else told is nearer to it; whether it was."""
        ...


class Segment(msgspec.Struct, frozen=True):
    """What one group commit writes to the log: `count` records as NDJSON.

    `kind` is `entries` (facts, answers, instructions) or `decisions`.
    """

    kind: str
    count: int
    first_ms: int
    last_ms: int
    body: bytes


class StoredSegment(msgspec.Struct, frozen=True):
    """A segment with the position the log gave it; positions only grow."""

    position: int
    segment: Segment


class EventLog(Protocol):
    """The append-only log. Acknowledged means synced to disk."""

    async def append(self, segment: Segment) -> int:
        """Make the segment durable and return its position; raises StorageError, then nothing is kept."""
        ...

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        """Segments after a position in order, at least one if there is any, up to about `max_bytes`."""
        ...

    async def trim(self, before_ms: int, up_to: int) -> int:
        """Delete segments whose `last_ms` is older and whose position is ≤ `up_to`; returns how many."""
        ...


class OrderRow(msgspec.Struct, frozen=True):
    """An order as stored: facts, timeline and attempts in one value; `closed_ms` None while open."""

    order_id: str
    closed_ms: int | None
    body: bytes


class AggregateRow(msgspec.Struct, frozen=True):
    """One channel in one hour: sparse delay histogram (bucket → count) and orders never delivered.

    Shapes: buckets as in `core/signals/histogram`; a row replaces the row with the same key.
    """

    hour_ms: int
    channel: str
    sku: str
    delivered: dict[int, int]
    never: int


class OutboxRow(msgspec.Struct, frozen=True):
    """One effect to perform. `lane` groups rows that share an endpoint and thus a worker.

    `is_repeatable` False: after a crash it is never sent again, its outcome is unknown.
    """

    key: str
    lane: str
    body: bytes
    due_ms: int
    is_repeatable: bool = True
    expires_ms: int | None = None
    tries: int = 0


class Lease(msgspec.Struct, frozen=True):
    """Ownership of a name; `epoch` is the fencing token in every write."""

    name: str
    owner: str
    epoch: int


class AuditRow(msgspec.Struct, frozen=True):
    """One entry of the audit as it is stored; `audit_id` makes writing it twice harmless."""

    audit_id: str
    at_ms: int
    body: bytes


class StoredAudit(msgspec.Struct, frozen=True):
    """An entry with its place; places only grow and are never given twice."""

    place: int
    body: bytes


class MessagePage(msgspec.Struct, frozen=True):
    """Signed messages that were taken up to `last_ms`; the format is `runtime/messages.py`'s.

    Pages that end before `forget_before_ms` are deleted with the writing of this one.
    """

    last_ms: int
    body: bytes
    forget_before_ms: int = 0


class Checkpoint(msgspec.Struct, frozen=True):
    """Everything one turn of the loop changes, written in one transaction.

    `cursor` is the position of the last `entries` segment folded. `decisions` follows it in the
    log; `cases` are the takeovers that moved by them, in that order. `done` and `cancelled` are
    outbox keys. After a `rewind` what waited for a time in the future becomes due by so much
    earlier: a clock that was ahead meant it. `snapshot` replaces the previous one and stands for
    the log up to `position`, and for the decisions of this very checkpoint.
    """

    cursor: int
    position: int = 0
    decisions: Segment | None = None
    cases: tuple[TakeoverCase, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    done: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    aggregates: tuple[AggregateRow, ...] = ()
    audits: tuple[AuditRow, ...] = ()
    messages: MessagePage | None = None
    rewind: Rewind | None = None
    snapshot: bytes | None = None


class Restart(msgspec.Struct, frozen=True):
    """What is known at start: the snapshot, the log position it stands for, and the cursor."""

    snapshot: bytes | None
    snapshot_position: int
    cursor: int


class StateStore(Protocol):
    """Order rows and the snapshot of the core, moved forward by fenced checkpoints."""

    async def load(self) -> Restart:
        """The newest snapshot and cursor; an empty store gives None, 0, 0."""
        ...

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """Stored orders by id; unknown ids are absent."""
        ...

    async def closed_ids(self) -> list[str]:
        """Ids of all stored closed orders, to recognise late duplicates (design D4a)."""
        ...

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        """Write all of it or nothing; returns the log position after it.

        Raises: FencedError if the lease's epoch is no longer the newest, InvariantError if a case
        moved as none may, StorageError otherwise.
        """
        ...

    async def purge(self, closed_before_ms: int) -> int:
        """Delete orders closed before a time; returns how many."""
        ...


class LeaseStore(Protocol):
    """Who may write. An epoch grows with every acquisition and is never reused."""

    async def acquire(self, name: str, owner: str, now_ms: int, ttl_ms: int) -> Lease | None:
        """Take a free or expired lease (or one's own again); None while somebody else holds it."""
        ...

    async def renew(self, lease: Lease, now_ms: int, ttl_ms: int) -> bool:
        """Extend it; False if it was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give it back; a lost lease is left alone."""
        ...


class Outbox(Protocol):
    """Effects waiting to be performed; rows enter through `StateStore.commit`."""

    async def claim(self, now_ms: int, limit: int, lease_ms: int) -> list[OutboxRow]:
        """Due rows, marked as under way (durably, before the first byte leaves), oldest first.

        A repeatable row whose claim expired is claimed again; another one never is.
        """
        ...

    async def retry(self, key: str, due_ms: int) -> None:
        """Put a claimed row back for later and count the try."""
        ...

    async def put_back(self, keys: Sequence[str], due_ms: int) -> None:
        """Like `retry`, for rows that were claimed but never tried: no try is counted."""
        ...

    async def discard(self, keys: Sequence[str]) -> None:
        """Delete rows that ended without an answer worth logging."""
        ...

    async def interrupted(self) -> list[OutboxRow]:
        """Rows that were under way when the previous process ended; repeatable ones become due."""
        ...

    async def depth(self) -> dict[str, int]:
        """Rows waiting or under way, by lane."""
        ...


class Aggregates(Protocol):
    """Hourly history per channel and sku; rows enter through `StateStore.commit`."""

    async def merge(
        self, since_ms: int, channel: str | None = None, sku: str | None = None
    ) -> AggregateRow:
        """Sum of all rows from `since_ms` on (`hour_ms` is `since_ms`), optionally of one channel/sku."""
        ...


class Notebook(Protocol):
    """What is kept beside facts and decisions; it enters through `StateStore.commit`."""

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """Entries of the audit, the newest first, from the one before a place on. None is ever lost."""
        ...

    async def messages(self, since_ms: int) -> list[MessagePage]:
        """Pages of signed messages that end at a time or later, in the order they were written."""
        ...


class Store(EventLog, StateStore, LeaseStore, Outbox, Aggregates, Notebook, Protocol):
    """The six storage ports, as one engine offers them."""

    async def close(self) -> None:
        """Flush and let go of files."""
        ...

    async def health(self) -> dict[str, str]:
        """Facts for `/readyz?verbose` and `doctor`; raises StorageError when the store is unusable."""
        ...


class Performer(Protocol):
    """Performs effects on the outside (chat, webhooks, shop, channels)."""

    async def perform(self, effect: Effect) -> Answer:
        """Do it and report what is known.

        Raises: Transient (certainly not done, repeat later), UnknownOutcome (may be done),
        Permanent (refused for good). Never leaks a secret in the message.
        """
        ...


class CanaryBuyer(Protocol):
    """Places synthetic orders at the shop."""

    async def buy(self, order_id: str, now_ms: int) -> None:
        """Place one order under this id; returns when the shop took it.

        Raises: EffectError when it did not, or may not have.
        """
        ...


class ShopPush(Protocol):
    """Reads what one kind of shop or gateway sends by itself to `POST /hooks/{source}`."""

    def read(self, request: RawRequest) -> Pushed:
        """Check the proof over the raw bytes, then say what it means; the same request, the same events.

        Raises: AuthError for a proof that is missing, wrong or stale; InputError for a body that is
        not what this sender sends. Nothing of a secret is in any of them.
        """
        ...


class ShopPull(Protocol):
    """Reads one kind of shop where it keeps its orders; it never writes and never locks there."""

    async def poll(self, mark: str, now_ms: int) -> Polled:
        """What changed since the mark (empty: from the beginning of what matters), a page of it, oldest first.

        Looks back a little over the mark, because rows appear late. Raises: SourceError if the shop
        cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class PollMark(Protocol):
    """Up to where a source was read; a mark that is lost costs time, never an event."""

    async def read(self) -> str:
        """The mark; empty if there is none. Never raises."""
        ...

    async def write(self, mark: str) -> None:
        """Keep the mark; one that cannot be written is kept in memory."""
        ...


class TraceSink(Protocol):
    """Takes finished order rows for tracing; never blocks and never raises."""

    def offer(self, order_row: OrderRow) -> None:
        """Queue one closed order for export; over the limit the oldest is dropped and counted."""
        ...


class CallsBack(Protocol):
    """A channel whose supplier calls us."""

    def ref_of(self, received: Received, now_ms: int) -> str | None:
        """The attempt a call is about; None unless it proves who it is from."""
        ...

    async def called_back(
        self, received: Received, question: Query, now_ms: int
    ) -> AttemptAnswered | None:
        """What the call says, as the answer to the attempt's next question; None if nothing."""
        ...


class Reports(Protocol):
    """What suppliers and other executors say of attempts by themselves."""

    def caller(self, name: str) -> CallsBack | None:
        """The channel of that name, if its supplier may call."""
        ...

    def reply(self, name: str) -> object:
        """What the supplier of that channel wants to hear, as JSON."""
        ...

    async def delivered(
        self, question: Query, goods: list[str], cost_minor: int | None, now_ms: int
    ) -> AttemptAnswered:
        """Keep goods that another executor got; raises StorageError."""
        ...
