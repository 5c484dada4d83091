"""The in-memory twin of the store, for replay, rule tests and simulated crashes.

It keeps the same promises except the disk: what was acknowledged survives `clone_durable()`, the
stand-in for a crash and a restart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from heapq import nsmallest

import msgspec

from monitor.adapters.storage.durations import Durations
from monitor.model.commands import Rewind
from monitor.model.errors import FencedError, StorageError
from monitor.model.takeovers import CLOCK_PLAY_MS
from monitor.ports import (
    AggregateRow,
    Checkpoint,
    Lease,
    MessagePage,
    OrderRow,
    OutboxRow,
    Restart,
    Segment,
    StoredAudit,
    StoredSegment,
)

READY, SENT, ENDING = 0, 1, 2


class _Queued(msgspec.Struct, frozen=True):
    """An outbox row with its state, as in `sqlite_outbox`; `wake_ms` None is never claimed."""

    row: OutboxRow
    sequence: int
    wake_ms: int | None
    state: int = READY
    session: int = 0


class _Held(msgspec.Struct, frozen=True):
    """A lease and how long it runs; the owner is empty after a release."""

    lease: Lease
    expires_ms: int


class _Durable(msgspec.Struct):
    """What a disk would hold; the values are frozen, so copies of the containers suffice."""

    log: list[StoredSegment] = []
    head: int = 0
    orders: dict[str, OrderRow] = {}
    restart: Restart = Restart(None, 0, 0)
    held: dict[str, _Held] = {}
    outbox: dict[str, _Queued] = {}
    sequence: int = 0
    aggregates: dict[tuple[int, str, str], AggregateRow] = {}
    audits: dict[str, StoredAudit] = {}
    pages: list[MessagePage] = []
    session: int = 1

    def follow_clock(self, rewind: Rewind) -> None:
        """Let what waits become due earlier by as much as the clock was set back."""
        at_ms, by_ms = rewind.at_ms, rewind.by_ms
        for key, queued in self.outbox.items():
            if queued.wake_ms is not None and queued.wake_ms > at_ms + CLOCK_PLAY_MS:
                due_ms = max(at_ms, queued.row.due_ms - by_ms)
                row = msgspec.structs.replace(queued.row, due_ms=due_ms)
                wake_ms = max(at_ms, queued.wake_ms - by_ms)
                self.outbox[key] = msgspec.structs.replace(queued, row=row, wake_ms=wake_ms)

    def copy(self) -> _Durable:
        """The same facts in containers of their own."""
        return msgspec.structs.replace(
            self,
            log=self.log.copy(),
            orders=self.orders.copy(),
            held=self.held.copy(),
            outbox=self.outbox.copy(),
            aggregates=self.aggregates.copy(),
            audits=self.audits.copy(),
            pages=self.pages.copy(),
        )


class MemoryStore:
    """The six storage ports without a disk. A call completes without yielding to the loop."""

    def __init__(self) -> None:
        self._durable = _Durable()
        self._next_error: StorageError | None = None
        self._last_error = ""
        self._is_closed = False
        self.commit_seconds = Durations()

    def clone_durable(self) -> MemoryStore:
        """A new store as a new process would find it after a crash: all that was acknowledged.

        The old one can go on being used by what is left of the crashed process, unseen by the new.
        """
        clone = MemoryStore()
        clone._durable = self._durable.copy()
        clone._durable.session += 1
        return clone

    def fail_next(self, error: StorageError) -> None:
        """Let the next call that writes raise this error and keep nothing."""
        self._next_error = error

    # EventLog

    async def append(self, segment: Segment) -> int:
        """See EventLog."""
        return self._append(self._writable(), segment)

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        """See EventLog."""
        log = self._readable().log
        start = end = bisect_right(log, after, key=_position)
        size_bytes = 0
        while end < len(log):
            size_bytes += len(log[end].segment.body)
            if end > start and size_bytes > max_bytes:
                break
            end += 1
        return log[start:end]

    async def trim(self, before_ms: int, up_to: int) -> int:
        """See EventLog."""
        durable = self._writable()
        kept = [
            stored
            for stored in durable.log
            if stored.segment.last_ms >= before_ms or stored.position > up_to
        ]
        trimmed = len(durable.log) - len(kept)
        durable.log = kept
        return trimmed

    # StateStore

    async def load(self) -> Restart:
        """See StateStore."""
        return self._readable().restart

    async def lookup(self, order_ids: Sequence[str]) -> dict[str, OrderRow]:
        """See StateStore."""
        orders = self._readable().orders
        return {order_id: orders[order_id] for order_id in order_ids if order_id in orders}

    async def closed_ids(self) -> list[str]:
        """See StateStore."""
        closed = [
            (row.closed_ms, row.order_id)
            for row in self._readable().orders.values()
            if row.closed_ms is not None
        ]
        return [order_id for _, order_id in sorted(closed)]

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        """See StateStore."""
        durable = self._writable()
        held = durable.held.get(lease.name)
        epoch = held.lease.epoch if held is not None else 0
        if held is None or epoch != lease.epoch:
            raise FencedError(
                f"lease {lease.name!r} moved on to epoch {epoch}; ours is {lease.epoch}"
            )
        position = max(checkpoint.cursor, checkpoint.position)
        if checkpoint.decisions is not None:
            position = self._append(durable, checkpoint.decisions)
        durable.orders.update((row.order_id, row) for row in checkpoint.orders)
        if checkpoint.rewind is not None:
            durable.follow_clock(checkpoint.rewind)
        self._queue(durable, checkpoint)
        durable.aggregates.update(
            ((row.hour_ms, row.channel, row.sku), row) for row in checkpoint.aggregates
        )
        for entry in checkpoint.audits:
            stored = StoredAudit(len(durable.audits) + 1, entry.body)
            durable.audits.setdefault(entry.audit_id, stored)
        if (page := checkpoint.messages) is not None:
            durable.pages = [one for one in durable.pages if one.last_ms >= page.forget_before_ms]
            durable.pages.append(page)
        durable.restart = _moved(durable.restart, checkpoint, position)
        return durable.head

    async def purge(self, closed_before_ms: int) -> int:
        """See StateStore."""
        durable = self._writable()
        kept = {
            order_id: row
            for order_id, row in durable.orders.items()
            if row.closed_ms is None or row.closed_ms >= closed_before_ms
        }
        purged = len(durable.orders) - len(kept)
        durable.orders = kept
        return purged

    # LeaseStore

    async def acquire(self, name: str, owner: str, now_ms: int, ttl_ms: int) -> Lease | None:
        """See LeaseStore."""
        durable = self._writable()
        held = durable.held.get(name)
        if held is not None and held.lease.owner != owner and held.expires_ms > now_ms:
            return None
        epoch = held.lease.epoch if held is not None else 0
        lease = Lease(name, owner, epoch + 1)
        durable.held[name] = _Held(lease, now_ms + ttl_ms)
        return lease

    async def renew(self, lease: Lease, now_ms: int, ttl_ms: int) -> bool:
        """See LeaseStore."""
        durable = self._writable()
        held = durable.held.get(lease.name)
        if held is None or held.lease != lease:
            return False
        durable.held[lease.name] = _Held(lease, now_ms + ttl_ms)
        return True

    async def release(self, lease: Lease) -> None:
        """See LeaseStore."""
        durable = self._writable()
        held = durable.held.get(lease.name)
        if held is not None and held.lease == lease:
            durable.held[lease.name] = _Held(msgspec.structs.replace(lease, owner=""), 0)

    # Outbox

    async def claim(self, now_ms: int, limit: int, lease_ms: int) -> list[OutboxRow]:
        """See Outbox; oldest by the time from which a row could be claimed."""
        durable = self._writable()
        due = [
            (queued.wake_ms, queued.sequence, queued)
            for queued in durable.outbox.values()
            if queued.wake_ms is not None and queued.wake_ms <= now_ms
        ]
        claimed = [queued for _, _, queued in nsmallest(limit, due)]
        for queued in claimed:
            durable.outbox[queued.row.key] = msgspec.structs.replace(
                queued,
                wake_ms=now_ms + lease_ms if queued.row.is_repeatable else None,
                state=SENT,
                session=durable.session,
            )
        return [queued.row for queued in claimed]

    async def retry(self, key: str, due_ms: int) -> None:
        """See Outbox; a row that is not under way is left alone."""
        self._ready_again(self._writable(), key, due_ms, tries=1)

    async def put_back(self, keys: Sequence[str], due_ms: int) -> None:
        """See Outbox; rows that are not under way are left alone."""
        durable = self._writable()
        for key in keys:
            self._ready_again(durable, key, due_ms, tries=0)

    def _ready_again(self, durable: _Durable, key: str, due_ms: int, *, tries: int) -> None:
        queued = durable.outbox.get(key)
        if queued is None or queued.state == READY:
            return
        if queued.state == ENDING:
            del durable.outbox[key]
            return
        row = msgspec.structs.replace(queued.row, due_ms=due_ms, tries=queued.row.tries + tries)
        durable.outbox[key] = _Queued(row, queued.sequence, due_ms)

    async def discard(self, keys: Sequence[str]) -> None:
        """See Outbox; unknown keys are ignored."""
        durable = self._writable()
        for key in keys:
            durable.outbox.pop(key, None)

    async def interrupted(self) -> list[OutboxRow]:
        """See Outbox; rows claimed by this very process are not among them."""
        durable = self._writable()
        found = [
            queued
            for queued in durable.outbox.values()
            if queued.state != READY and queued.session < durable.session
        ]
        for queued in found:
            if queued.row.is_repeatable:
                durable.outbox[queued.row.key] = _Queued(
                    queued.row, queued.sequence, queued.row.due_ms
                )
        found.sort(key=lambda queued: (queued.row.due_ms, queued.sequence))
        return [queued.row for queued in found]

    async def depth(self) -> dict[str, int]:
        """See Outbox."""
        lanes = sorted(queued.row.lane for queued in self._readable().outbox.values())
        depth: dict[str, int] = {}
        for lane in lanes:
            depth[lane] = depth.get(lane, 0) + 1
        return depth

    # Aggregates

    async def merge(
        self, since_ms: int, channel: str | None = None, sku: str | None = None
    ) -> AggregateRow:
        """See Aggregates; without a filter `channel` and `sku` of the sum are empty."""
        delivered: dict[int, int] = {}
        never = 0
        for row in self._readable().aggregates.values():
            if row.hour_ms < since_ms or channel not in {None, row.channel}:
                continue
            if sku not in {None, row.sku}:
                continue
            never += row.never
            for bucket, count in row.delivered.items():
                delivered[bucket] = delivered.get(bucket, 0) + count
        return AggregateRow(since_ms, channel or "", sku or "", delivered, never)

    # Notebook

    async def audits(self, before: int | None, limit: int) -> list[StoredAudit]:
        """See Notebook."""
        kept = reversed(self._readable().audits.values())
        return [one for one in kept if before is None or one.place < before][:limit]

    async def messages(self, since_ms: int) -> list[MessagePage]:
        """See Notebook."""
        return [page for page in self._readable().pages if page.last_ms >= since_ms]

    # Store

    async def close(self) -> None:
        """See Store; repeating is harmless."""
        self._is_closed = True

    async def health(self) -> dict[str, str]:
        """See Store."""
        self._readable()
        return {"engine": "memory", "last_error": self._last_error}

    def _readable(self) -> _Durable:
        if self._is_closed:
            raise StorageError("the store is closed", hint="the service is stopping; try again")
        return self._durable

    def _writable(self) -> _Durable:
        durable = self._readable()
        error, self._next_error = self._next_error, None
        if error is not None:
            self._last_error = str(error)
            raise error
        return durable

    @staticmethod
    def _append(durable: _Durable, segment: Segment) -> int:
        durable.head += 1
        durable.log.append(StoredSegment(durable.head, segment))
        return durable.head

    @staticmethod
    def _queue(durable: _Durable, checkpoint: Checkpoint) -> None:
        for row in checkpoint.outbox:
            if row.key not in durable.outbox:
                durable.sequence += 1
                durable.outbox[row.key] = _Queued(row, durable.sequence, row.due_ms)
        for key in checkpoint.done:
            durable.outbox.pop(key, None)
        for key in checkpoint.cancelled:
            queued = durable.outbox.get(key)
            if queued is None:
                continue
            if queued.state == READY or queued.row.is_repeatable:
                del durable.outbox[key]
            else:
                durable.outbox[key] = msgspec.structs.replace(queued, state=ENDING)


def _position(stored: StoredSegment) -> int:
    return stored.position


def _moved(restart: Restart, checkpoint: Checkpoint, position: int) -> Restart:
    if checkpoint.snapshot is None:
        return msgspec.structs.replace(restart, cursor=checkpoint.cursor)
    return Restart(checkpoint.snapshot, position, checkpoint.cursor)
