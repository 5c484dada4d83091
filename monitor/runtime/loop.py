"""The loop: one writer, one turn after the other.

    requests ─► append to the log (synced) ─► Engine.handle ─► answer the senders
                                                   │
                                decisions + effects + changed orders ─► one commit

Whatever arrives while a turn is on the disk forms the next turn: group commit without a timer.
Senders are answered after the append, because that is what "accepted" promises. A commit that
fails is tried again with the same content before anything else is taken in; until then nothing of
it has happened outside, since effects leave only through the committed outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Cancel, Command, Decide, Perform, Rewind, Tick, WakeAt
from monitor.model.errors import CapacityError, FencedError, InvariantError, StorageError
from monitor.model.events import OrderEvent
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import CaseMoved, Entry
from monitor.model.times import SECOND_MS, UnixMs
from monitor.ports import AggregateRow, Checkpoint, Clock, Lease, StepClock, Store, TraceSink
from monitor.runtime.early import Early
from monitor.runtime.found import Found, as_made, look
from monitor.runtime.messages import STORED_MS, Messages
from monitor.runtime.notes import Notes
from monitor.runtime.order_rows import finished_row, row_of
from monitor.runtime.recovery import KnownOrders, rebuild
from monitor.runtime.requests import Request, Waiting, answer_all, refuse, written
from monitor.runtime.saving import ROWS_PER_COMMIT, Saving
from monitor.runtime.segments import closed_effects, outbox_row, segment_of
from monitor.runtime.supervisor import Spawner

log = logging.getLogger("monitor.loop")

IDLE_MAX_S = 1.0  # wake up at least so often: wall clocks jump and machines sleep
SNAPSHOT_EVERY_MS = 60 * SECOND_MS
# Records behind the snapshot: a restart that folded more saves itself the next, and who was busy
# makes one as soon as it is quiet. Making one takes 100 ms with 100,000 orders.
TAIL_RECORDS_MAX, BUSY_RECORDS, QUIET_MS = 5_000, 100_000, SECOND_MS
RETRY_COMMIT_S = 1.0
STOP_S = 5.0
LEASE_TTL_MS = 30 * SECOND_MS


class Loop:
    """Owns the engine; everything that changes state goes through `submit` or time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        engine: Engine,
        *,
        owner: str,
        messages: Messages | None = None,
        traces: TraceSink | None = None,
        on_effects: Callable[[Sequence[str]], None] = lambda cancelled: None,
        on_turn: Callable[[Sequence[Command]], None] = lambda commands: None,
    ) -> None:
        self.engine = engine
        self.is_taking = False  # events are logged and acknowledged
        self.is_ready = False  # and their state is rebuilt
        self.trouble: str | None = None  # why writes are refused right now
        self.turns = 0
        self._store = store
        self._clock = clock
        self._steps = clock if isinstance(clock, StepClock) else None
        self._owner = owner
        self._traces = traces
        self._on_effects = on_effects
        self._on_turn = on_turn
        self._lease: Lease | None = None
        self._messages = messages or Messages()
        self._notes = Notes(self._messages)
        self._known = KnownOrders()
        self._waiting = Waiting(self._messages)
        self._wake_ms = 0
        self._cursor = 0
        self._position = 0
        self._unsaved: Checkpoint | None = None
        self._saving = Saving()
        self._saved_cursor = 0
        self._snapshot_ms = 0
        self._behind = 0  # records in the log behind the snapshot
        self._heard_ms = 0  # when something was logged last
        self._is_stopping = False
        self._is_sound = False  # the engine is where the log says, not half-way through a turn
        self._task: asyncio.Task[None] | None = None
        self.snapshot_position = 0  # the log up to here is no longer needed to restart

    # --- for callers ------------------------------------------------------------------------------

    async def start(self, supervisor: Spawner) -> None:
        """Take the lease, rebuild the state, and start turning."""
        now_ms = self._clock.now_ms()
        self._lease = await self._store.acquire("loop", self._owner, now_ms, LEASE_TTL_MS)
        if self._lease is None:
            raise FencedError("the data directory is in use by another delivery-monitor")
        self._messages.load(await self._store.messages(now_ms - STORED_MS))
        found = await look(self._store)
        self._notes.take(found.notes)
        early = Early(self._store, found, self._waiting, self._notes)
        try:
            supervisor.spawn("early", early.run())
            self.is_taking = True
            await self._rebuild(found, early, now_ms)
        finally:
            if not self._is_sound:
                self._is_stopping = True
                self._waiting.refuse_all(StorageError("the state could not be rebuilt"))
        self.is_ready = True
        self._task = supervisor.spawn("loop", self._run())
        supervisor.spawn("known", self._known.load(self._store))
        supervisor.spawn("lease", self._keep_lease())

    async def _rebuild(self, found: Found, early: Early, now_ms: int) -> None:
        """Bring the engine to where the log is, that of early events included."""
        recovered = await rebuild(found, self._store, self.engine, self._known, now_ms)
        await early.close()
        self._cursor, self._position = recovered.cursor, recovered.position
        self._snapshot_ms = now_ms
        self._saving.begin(now_ms)
        undecided = (*recovered.undecided, *early.entries)
        if undecided or early.position is not None:
            await self._known.bring_back(self._store, self.engine, undecided, now_ms)
            await self._take_in(undecided, early.position or recovered.undecided_position)
            if self.trouble is not None:
                raise StorageError(self.trouble)
        self._behind = recovered.tail_records + len(early.entries)
        if self._behind > TAIL_RECORDS_MAX:
            # Else a service that dies within every first minute would start slower every time.
            self._snapshot_ms = 0
        self._is_sound = True

    async def submit(
        self,
        entries: Sequence[Entry],
        *,
        message: MessageTaken | None = None,
        audit: Audited | None = None,
    ) -> tuple[str, ...]:
        """Log entries and fold them; returns what became of each once they are synced to disk.

        `message` brought the entries: of one that was taken before all are duplicates. `audit` is
        logged with them. Raises: CapacityError when the queue is full, StorageError when nothing
        was written, InputError and AuthError for a message that cannot be taken.
        """
        answer: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self.enqueue(Request(tuple(entries), answer, message, audit))
        return await answer

    def enqueue(self, request: Request) -> None:
        """Queue a request for the next turn; its `answer` is given in the turn that logs it.

        For senders that do not await: see `submit`, which says what is raised here at once.
        """
        if self._is_stopping:
            raise CapacityError("the service is shutting down", retry_after_s=5)
        if self.trouble is not None:
            raise StorageError(self.trouble)
        count = len(request.entries)
        self._waiting.check_room(count)
        if request.message is not None:
            self._messages.check_room(self._clock.now_ms())
        elif not count and request.audit is None:
            request.answer.set_result(())
            return
        self._waiting.put(request)

    async def stop(self) -> None:
        """Finish the current turn within `STOP_S`, write a last snapshot, give the lease back."""
        self._is_stopping = True
        self._waiting.nudge()
        if self._task is not None and not (await asyncio.wait([self._task], timeout=STOP_S))[0]:
            log.warning("stopped_during_a_turn")  # the disk hangs; the log has what we promised
            return
        if self._lease is None:
            return
        try:
            if self._is_sound and self.trouble is None:
                await self._commit(self._collect((), [], with_snapshot=True))
            await self._store.release(self._lease)
        except StorageError as error:  # the log has all that matters; the lease runs out by itself
            log.warning("stopped_without_snapshot", extra={"fields": {"error": str(error)}})
        self._lease = None

    def place(self) -> int:
        """How far the log is: what was acknowledged lies there or before."""
        return self._position

    # --- turning ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._is_stopping or self._waiting:
                await self._wait()
                self._is_sound = False
                if self._unsaved is None or await self._commit(None):
                    await self._turn()
                    self._is_sound = True
                    continue
                self._waiting.refuse_all(StorageError(self.trouble or "the store refuses to write"))
                await asyncio.sleep(RETRY_COMMIT_S)
        finally:
            self._is_stopping = True
            if not self._is_sound:
                self.trouble = self.trouble or "the service has stopped"
            self._waiting.refuse_all(StorageError(self.trouble or "the service has stopped"))

    async def _wait(self) -> None:
        """Wait for a request, or for the time at which something is due."""
        if self._waiting or self._is_stopping or self._saving.ripe:
            return
        delay_s = (self._wake_ms - self._clock.now_ms()) / SECOND_MS
        now_s = asyncio.get_running_loop().time()
        await self._waiting.until(now_s + min(max(delay_s, 0.0), IDLE_MAX_S))

    async def _turn(self) -> None:
        requests = self._waiting.take()
        entries, notes = written(requests)
        self._look_at_clock(entries)
        entries += self.engine.clock_news(self._clock.now_ms())
        position = None
        if entries or notes:
            now_ms = self._clock.now_ms()
            try:
                await self._known.bring_back(self._store, self.engine, entries, now_ms)
                position = await self._store.append(segment_of("entries", (*notes, *entries)))
            except StorageError as error:
                refuse(requests, error)
                if isinstance(error, FencedError):
                    raise
                if not requests:  # the news of our clock have to wait
                    await asyncio.sleep(RETRY_COMMIT_S)
                return
            self._notes.take(notes)
        try:
            await self._take_in(entries, position, requests)
        finally:  # only a bug or a lost lease leaves somebody unanswered here
            refuse(requests, StorageError("the service stopped before it could answer"))
        self.turns += 1

    def _look_at_clock(self, entries: Sequence[Entry]) -> None:
        """After a step of the machine's clock: a shop that tells the new time too is believed."""
        if self._steps is None or not self._steps.step_ms:
            return
        now_ms = self._clock.now_ms()
        step_ms = self._steps.step_ms
        told = [_told_ms(one, now_ms, step_ms) for one in entries if type(one) is OrderEvent]
        if told and self._steps.is_step_true(UnixMs(max(told))):
            self.engine.resume(self._clock.now_ms(), now_ms)  # as if we had been away

    async def _take_in(
        self,
        entries: tuple[Entry, ...],
        position: int | None,
        requests: Sequence[Request] = (),
    ) -> None:
        """Fold, decide, answer the senders, commit what follows."""
        now_ms = self._clock.now_ms()
        commands = self.engine.handle(Batch(entries) if entries else Tick(), now_ms)
        if position is not None:
            self._cursor = self._position = position
            self._behind, self._heard_ms = self._behind + len(entries), now_ms
        elif self._behind >= BUSY_RECORDS and now_ms - self._heard_ms >= QUIET_MS:
            self._snapshot_ms = 0
        answer_all(requests, commands)
        is_eventful = any(isinstance(one, (Decide, Perform, Cancel, Rewind)) for one in commands)
        done = closed_effects(entries)
        for command in commands:
            if isinstance(command, WakeAt):
                self._wake_ms = command.at_ms
            elif isinstance(command, Rewind):  # what we plan ourselves was for that clock, too
                self._snapshot_ms = 0
                self._saving.begin(now_ms)
        if entries or is_eventful:
            self._on_turn(commands)
        is_save_due = self._saving.look(len(self.engine.shard.dirty), now_ms)
        if is_eventful or done or is_save_due or self._saving.ripe or self._notes.has_audits:
            await self._commit(self._collect(done, commands))

    # --- committing -------------------------------------------------------------------------------

    def _collect(
        self, done: tuple[str, ...], commands: Sequence[Command], *, with_snapshot: bool = False
    ) -> Checkpoint | None:
        """What changed since the last commit, as one checkpoint; None if nothing did.

        Of the changed orders only a few, and late: a row that is older than the cursor, or not there
        yet, does no harm while its order is in memory, for a restart folds the log behind the
        snapshot.
        """
        now_ms = self._clock.now_ms()
        rewind = next((one for one in commands if isinstance(one, Rewind)), None)
        decisions = tuple(one.decision for one in commands if isinstance(one, Decide))
        most = None if with_snapshot else min(self._saving.ripe, ROWS_PER_COMMIT)
        changed = self.engine.shard.drain_dirty(most)
        self._saving.stored(len(changed), left=len(self.engine.shard.dirty))
        has_moved = self._cursor != self._saved_cursor
        dormant = self.engine.shard.drain_dormant()
        hours = self.engine.shard.history.drain()
        is_snapshot_due = with_snapshot or now_ms - self._snapshot_ms >= SNAPSHOT_EVERY_MS
        audits, messages = self._notes.drain(now_ms)
        effects = tuple(outbox_row(one.effect) for one in commands if isinstance(one, Perform))
        has_notes = audits or messages is not None
        has_rows = changed or dormant or done or effects or has_notes
        if not (decisions or has_rows or has_moved or is_snapshot_due):
            return None
        self._saved_cursor = self._cursor
        rows = (*map(row_of, changed), *(row_of(order, now_ms) for order in dormant))
        if self._traces is not None:
            for order in changed:
                if order.facts.paid_ms is not None and order.facts.done_ms is not None:
                    self._traces.offer(finished_row(order))
        self._known.add(row.order_id for row in rows if row.closed_ms is not None)
        if is_snapshot_due:
            self.engine.shard.history.forget_before(now_ms)
            self._snapshot_ms = now_ms
        return Checkpoint(
            cursor=self._cursor,
            position=self._position,
            decisions=segment_of("decisions", decisions) if decisions else None,
            cases=tuple(one.case for one in decisions if isinstance(one, CaseMoved)),
            orders=rows,
            outbox=effects,
            done=done,
            cancelled=tuple(one.effect_key for one in commands if isinstance(one, Cancel)),
            aggregates=tuple(
                AggregateRow(hour.hour_ms, hour.channel, hour.sku, dict(hour.delivered), hour.never)
                for hour in hours
            ),
            audits=audits,
            messages=messages,
            rewind=rewind,
            snapshot=self._snapshot() if is_snapshot_due else None,
        )

    def _snapshot(self) -> bytes:
        """The state, and which orders are not stored as they are in it: a restart does not forget."""
        unsaved = list(self.engine.shard.dirty)
        return as_made(self.engine.snapshot(), self._clock.now_ms(), unsaved)

    async def _commit(self, checkpoint: Checkpoint | None) -> bool:
        """Write a checkpoint (None: the one that failed before); False if the store refused."""
        chosen = checkpoint or self._unsaved
        if chosen is None:
            return True
        if self._lease is None:
            raise InvariantError("a commit without a lease")
        if checkpoint is not None and self._unsaved is not None:
            raise InvariantError("a commit was skipped")
        try:
            position = await self._store.commit(self._lease, chosen)
        except FencedError:
            raise
        except StorageError as error:
            self._unsaved = chosen
            if self.trouble != str(error):  # once, not every second
                log.error("commit_failed", extra={"fields": {"error": str(error)}})
            self.trouble = str(error)
            return False
        self._unsaved = None
        self.trouble = None
        self._position = position
        if chosen.snapshot is not None:
            self.snapshot_position, self._behind = position, 0
        if chosen.outbox or chosen.cancelled:
            self._on_effects(chosen.cancelled)
        return True

    async def _keep_lease(self) -> None:
        while not self._is_stopping and self._lease is not None:
            try:
                is_ours = await self._store.renew(self._lease, self._clock.now_ms(), LEASE_TTL_MS)
            except FencedError:
                raise
            except StorageError as error:  # a full disk does not end us; every write is fenced
                log.error("lease_not_renewed", extra={"fields": {"error": str(error)}})
            else:
                if not is_ours:
                    raise FencedError("another process took over the data directory")
            await asyncio.sleep(LEASE_TTL_MS / 3 / SECOND_MS)


def _told_ms(event: OrderEvent, now_ms: int, step_ms: int) -> int:
    """The time that a shop told; one too far ahead of ours was replaced by ours when it came in."""
    if not event.is_inferred:
        return event.time_ms
    return now_ms if event.is_unique else now_ms + max(0, step_ms)
