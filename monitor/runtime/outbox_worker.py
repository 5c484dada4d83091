"""Performs the effects in the outbox: one lane per receiver, so a slow one delays only itself.

    claimed row ─► perform ─► answer ─► submitted to the loop like any event (closes the row)
                      ├─ Transient, or UnknownOutcome of a repeatable effect ─► later again
                      ├─ UnknownOutcome of a submit ─► answered `unknown`: the core will ask
                      └─ Permanent, or expired ─► answered as failed

A row is marked in the store before its first byte leaves. What was under way when the process died
is repeated if that is harmless and answered `unknown` if it is not.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, assert_never

from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    NotifyBuyer,
    Quarantine,
    Query,
    Refund,
    Release,
    Submit,
    SwitchChannel,
    effect_decoder,
)
from monitor.model.errors import (
    CapacityError,
    EffectError,
    Permanent,
    StorageError,
    Transient,
    UnknownOutcome,
)
from monitor.model.ids import hash01
from monitor.model.records import (
    ActionAnswered,
    Answer,
    AttemptAnswered,
    ClaimAnswered,
    EffectClosed,
    Entry,
    HandOverAnswered,
    Notified,
    SwitchAnswered,
)
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.ports import Clock, OutboxRow, Performer, Store
from monitor.runtime.actuation import Actuation
from monitor.runtime.digest import EVERY_MS, is_about_one_order, merge
from monitor.runtime.supervisor import Spawner

log = logging.getLogger("monitor.outbox")

CLAIM_MAX = 256
CLAIM_LEASE_MS = 5 * MINUTE_MS
# These lanes carry independent orders; others keep order. How many go to a channel at once is the
# pace's matter (core/takeover/pace.py): here is room for as many as it may ever allow.
LANE_WORKERS = {"shop": 16, "channel": 32}
STOP_S = 10.0  # for what is under way at the end: a purchase should get to say how it ended
POLL_S = 5.0  # rows become due without anybody telling us only after a restart

# Seconds before the 2nd, 3rd … try; the last one repeats.
_ACTUATE = (0.5, 1, 2, 5, 10, 20, 30)
_TELL = (1, 5, 15, 60, 300, 900, 3600)
_SWITCH = (2, 5, 10, 20, 30)  # resilience.md §6.1: a stale switch is dangerous, so be quick


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[Entry]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class OutboxWorker:
    """Claims due rows, performs them in lanes and reports what became of them."""

    def __init__(
        self,
        store: Store,
        loop: Submitter,
        performer: Performer,
        clock: Clock,
        supervisor: Spawner,
    ) -> None:
        self.performer = performer
        self.actuation = Actuation()
        self._store = store
        self._loop = loop
        self._clock = clock
        self._supervisor = supervisor
        self._nudge = asyncio.Event()
        self._due: list[int] = []
        self._in_hand: set[str] = set()
        self._lanes: dict[str, deque[OutboxRow]] = {}
        self._busy: dict[str, int] = {}
        self._digest_opens_ms: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[str] = set()
        self._is_stopping = False

    def nudge(self, cancelled: Sequence[str] = ()) -> None:
        """New rows were committed, and some were cancelled: those are not begun any more."""
        self._cancelled.update(cancelled)
        self._nudge.set()

    async def start(self) -> None:
        """Settle what the previous process left under way, then work."""
        for row in await self._store.interrupted():
            if not row.is_repeatable:
                effect = effect_decoder.decode(row.body)
                error = UnknownOutcome("the service stopped while the request was under way")
                await self._report([failure(effect, error, self._clock.now_ms())])
        self._spawn("outbox", self._run())

    async def stop(self) -> None:
        """Begin nothing more, and take in the answers of what is under way, within `STOP_S`.

        What was claimed but not begun is put back; what is still under way then counts as
        interrupted at the next start.
        """
        self._is_stopping = True
        self._nudge.set()
        try:
            async with asyncio.timeout(STOP_S):
                await self._put_back_waiting()
                if self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.warning(
                "stopped_with_effects_under_way", extra={"fields": {"tasks": len(self._tasks)}}
            )

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._supervisor.spawn(name, work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while not self._is_stopping:
            self._nudge.clear()
            # Before the claim: a row may be cancelled while its claim is on the way to us.
            self._cancelled &= self._in_hand
            now_ms = self._clock.now_ms()
            while self._due and self._due[0] <= now_ms:
                heapq.heappop(self._due)
            try:
                rows = await self._store.claim(now_ms, CLAIM_MAX, CLAIM_LEASE_MS)
            except StorageError as error:
                log.error("claim_failed", extra={"fields": {"error": str(error)}})
                rows = []
            for row in rows:
                self._enqueue(row)
            await self._pause(is_more_due=len(rows) >= CLAIM_MAX)

    async def _pause(self, *, is_more_due: bool) -> None:
        if self._is_stopping:  # since the claim began
            await self._put_back_waiting()
        elif not is_more_due:
            await self._wait()

    async def _wait(self) -> None:
        delay_s = POLL_S
        if self._due:
            delay_s = min(delay_s, max(0.0, (self._due[0] - self._clock.now_ms()) / SECOND_MS))
        try:
            async with asyncio.timeout(delay_s):
                await self._nudge.wait()
        except TimeoutError:
            pass

    def _enqueue(self, row: OutboxRow) -> None:
        if row.key in self._in_hand:
            return
        self._in_hand.add(row.key)
        lane = self._lanes.setdefault(row.lane, deque())
        lane.append(row)
        if self._busy.get(row.lane, 0) < LANE_WORKERS.get(row.lane.split("/", 1)[0], 1):
            self._busy[row.lane] = self._busy.get(row.lane, 0) + 1
            self._spawn(f"lane {row.lane}", self._work(row.lane))

    async def _work(self, lane: str) -> None:
        rows = self._lanes[lane]
        try:
            while rows:
                await self._work_off(lane, rows)
        finally:
            self._busy[lane] -= 1

    async def _work_off(self, lane: str, rows: deque[OutboxRow]) -> None:
        """Perform or put off what comes next in a lane."""
        taken = [(row, effect_decoder.decode(row.body)) for row in [rows.popleft()]]
        try:
            if is_about_one_order(taken[0][1]):
                taken += self._take_alike(rows)
                opens_ms = self._digest_opens_ms.get(lane, 0)
                if 0 < opens_ms - self._clock.now_ms() <= EVERY_MS:  # more: the clock was set back
                    await self._put_back([row for row, _ in taken], opens_ms)
                    return
                self._digest_opens_ms[lane] = self._clock.now_ms() + EVERY_MS
            await self._perform(taken)
            await self._discard([row.key for row, _ in taken if row.key in self._cancelled])
        finally:
            self._in_hand.difference_update(row.key for row, _ in taken)

    def _take_alike(self, rows: deque[OutboxRow]) -> list[tuple[OutboxRow, Effect]]:
        """Take the waiting messages about single orders out of a lane."""
        waiting = [(row, effect_decoder.decode(row.body)) for row in rows]
        alike = [(row, effect) for row, effect in waiting if is_about_one_order(effect)]
        keys = {row.key for row, _ in alike}
        others = [row for row in rows if row.key not in keys]
        rows.clear()
        rows.extend(others)
        return alike

    async def _perform(self, taken: Sequence[tuple[OutboxRow, Effect]]) -> None:
        """Perform one effect, or several messages as one; every row gets its own answer."""
        now_ms = self._clock.now_ms()
        late = [(row, one) for row, one in taken if row.expires_ms and now_ms > row.expires_ms]
        await self._report([expired(effect, now_ms) for _, effect in late])
        due = [pair for pair in taken if pair not in late and pair[0].key not in self._cancelled]
        if not due:
            return
        messages = [effect for _, effect in due if isinstance(effect, Notify)]
        effect = merge(messages) if len(due) > 1 else due[0][1]
        try:
            self.actuation.allow(effect)
            answer = await self.performer.perform(effect)
        except EffectError as error:
            await self._failed(due, error)
            return
        if len(due) == 1:
            await self._report([answer])
            return
        at_ms = self._clock.now_ms()
        await self._report([Notified(one.key, one.receiver, "ok", at_ms) for one in messages])

    async def _failed(self, taken: Sequence[tuple[OutboxRow, Effect]], error: EffectError) -> None:
        now_ms = self._clock.now_ms()
        given_up = []
        for row, effect in taken:
            if not _is_worth_repeating(effect, error, row):
                given_up.append(failure(effect, error, now_ms))
                continue
            pause_ms = error.retry_after_ms if isinstance(error, Transient) else None
            is_throttled = pause_ms is not None
            due_ms = now_ms + delay_ms(effect, row.tries, row.key, is_throttled=is_throttled)
            due_ms = max(due_ms, now_ms + min(pause_ms or 0, HOUR_MS))
            fields = {"lane": row.lane, "tries": row.tries + 1, "error": str(error)}
            log.warning("effect_postponed", extra={"fields": fields})
            await self._postpone([row], due_ms)
        await self._report(given_up)

    async def _postpone(self, rows: Sequence[OutboxRow], due_ms: int) -> None:
        for row in rows:
            try:
                await self._store.retry(row.key, due_ms)
            except StorageError as error:  # it comes back by itself when its claim runs out
                log.error("retry_failed", extra={"fields": {"error": str(error)}})
            self._in_hand.discard(row.key)
        heapq.heappush(self._due, due_ms)
        self._nudge.set()  # whoever waits for rows waits too long now

    async def _put_back(self, rows: Sequence[OutboxRow], due_ms: int) -> None:
        """Let go of rows that were not tried, so that their waits do not grow."""
        try:
            await self._store.put_back([row.key for row in rows], due_ms)
        except StorageError as error:  # as above
            log.error("put_back_failed", extra={"fields": {"error": str(error)}})
        self._in_hand.difference_update(row.key for row in rows)
        heapq.heappush(self._due, due_ms)
        self._nudge.set()

    async def _discard(self, keys: Sequence[str]) -> None:
        """Forget cancelled rows: nothing was done, or it was answered."""
        if not keys:
            return
        try:
            await self._store.discard(keys)
        except StorageError as error:  # the next start finds them as interrupted
            log.error("discard_failed", extra={"fields": {"error": str(error)}})

    async def _put_back_waiting(self) -> None:
        """Let go of everything that was claimed and has not begun."""
        waiting = [row for rows in self._lanes.values() for row in rows]
        for rows in self._lanes.values():
            rows.clear()
        if waiting:
            await self._put_back(waiting, self._clock.now_ms())

    async def _report(self, answers: Sequence[Answer]) -> None:
        """Hand answers to the loop, however long the store is in trouble: they must not be lost."""
        while answers:
            try:
                await self._loop.submit(tuple(answers))
            except (StorageError, CapacityError) as error:
                log.error("answer_waits", extra={"fields": {"error": str(error)}})
                await asyncio.sleep(1.0)
            else:
                return


def delay_ms(effect: Effect, tries: int, key: str, *, is_throttled: bool = False) -> int:
    """How long to wait before the next try; jitter is a hash of the key, equal on every replay.

    What the executor asks of the shop has full jitter: a hundred claims that failed together come
    back spread over the whole wait. Who is throttled, or tells people, waits at least half of it.
    """
    schedule: Sequence[float] = _TELL
    if isinstance(effect, SwitchChannel):
        schedule = _SWITCH
    elif not isinstance(effect, (Notify, CallWebhook, NotifyBuyer, Compensate, Refund)):
        schedule = _ACTUATE
    base_s = schedule[min(tries, len(schedule) - 1)]
    share = hash01(key, str(tries))
    has_full_jitter = schedule is _ACTUATE and not is_throttled
    return round(base_s * SECOND_MS * (share if has_full_jitter else (1 + share) / 2))


def failure(effect: Effect, error: EffectError, now_ms: int) -> Answer:
    """The answer that says an effect did not succeed, as far as that is known."""
    detail = str(error)
    match effect:
        case Notify():
            return Notified(effect.key, effect.receiver, "failed", now_ms, detail)
        case CallWebhook():
            return Notified(effect.key, effect.endpoint, "failed", now_ms, detail)
        case SwitchChannel():
            return SwitchAnswered(effect.key, effect.epoch, "refused", None, now_ms, detail)
        case Claim():
            return ClaimAnswered(effect.key, effect.takeover_id, "denied", now_ms, detail=detail)
        case Submit() | Query():
            return AttemptAnswered(
                effect_key=effect.key,
                takeover_id=effect.takeover_id,
                attempt_ref=effect.attempt_ref,
                outcome="unknown",
                at_ms=now_ms,
                is_query=isinstance(effect, Query),
                detail=detail,
            )
        case HandOver():
            return HandOverAnswered(effect.key, effect.takeover_id, "refused", now_ms, detail)
        case Release() | Quarantine():
            return EffectClosed(effect.key, "failed", now_ms, detail)
        case NotifyBuyer() | Compensate() | Refund():
            outcome = "refused" if isinstance(error, Permanent) else "unknown"
            return ActionAnswered(
                effect.key, effect.action_id, effect.order_id, outcome, now_ms, detail
            )
        case _:
            assert_never(effect)


def expired(effect: Effect, now_ms: int) -> Answer:
    """The answer for an effect whose time is over."""
    if isinstance(effect, SwitchChannel):
        detail = "not acknowledged in time"
        return SwitchAnswered(effect.key, effect.epoch, "expired", None, now_ms, detail)
    return failure(effect, EffectError("given up: it was tried for too long"), now_ms)


def _is_worth_repeating(effect: Effect, error: EffectError, row: OutboxRow) -> bool:
    if isinstance(effect, (Submit, Query)):
        return False  # the core decides when to ask again, and where else to try
    return row.is_repeatable and isinstance(error, (Transient, UnknownOutcome))
