"""Acknowledging events while the state is still being rebuilt.

    requests ─► what is known of their orders ─► append to the log (synced) ─► answer the senders

Nothing is decided here. What is taken in lies behind the log's cursor, like anything that a crash
left undecided: once the state is rebuilt the loop folds all of it before it judges anything, and a
crash before that leaves it to the next start.

The answer says what folding will say: an event is a duplicate when the timeline of its order knows
it, and that timeline stands in the snapshot, or else in the store, and in the log behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from monitor.core.orders.facts import insert, is_repeated
from monitor.model.errors import FencedError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import Entry
from monitor.ports import Store
from monitor.runtime.found import Found
from monitor.runtime.notes import Notes
from monitor.runtime.order_rows import order_of
from monitor.runtime.requests import DUPLICATE, Request, Waiting, answer_each, refuse, written
from monitor.runtime.segments import segment_of

ENTRIES_MAX = 20_000  # are folded in one go, a third of a second; further ones wait in line

WAIT_S = 60.0  # somebody comes, or the state is rebuilt, before that

_HEARTBEAT = EventType.HEARTBEAT.value


class Early:
    """The turns of a loop whose engine is not there yet.

    `entries` were acknowledged, in the order of the log; `position` is that of the last of them.
    """

    def __init__(self, store: Store, found: Found, waiting: Waiting, notes: Notes) -> None:
        self.entries: list[Entry] = []
        self.position: int | None = None
        self._store = store
        self._orders = found.orders
        self._log = found.events(decided_only=False)
        self._waiting = waiting
        self._notes = notes
        self._timelines: dict[str, tuple[OrderEvent, ...]] = {}
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: FencedError | None = None

    async def run(self) -> None:
        """Take turns until `close`."""
        try:
            while not self._closing.is_set():
                if len(self.entries) >= ENTRIES_MAX:
                    await self._closing.wait()
                elif self._waiting:
                    await self._turn(self._waiting.take())
                else:
                    await self._waiting.until(asyncio.get_running_loop().time() + WAIT_S)
        except FencedError as error:
            self._failure = error
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Finish the turn that is under way; whoever waits is left to the loop.

        Raises: FencedError when the log could not be written any more.
        """
        self._closing.set()
        self._waiting.nudge()
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def _turn(self, requests: list[Request]) -> None:
        entries, notes = written(requests)
        if not entries and not notes:
            return  # all of them were repetitions, and are answered
        try:
            await self._look_up(entries)
            self.position = await self._store.append(segment_of("entries", (*notes, *entries)))
            self._notes.take(notes)
            self.entries += entries
            answer_each(requests, [self._take(entry) for entry in entries])
        except StorageError as error:
            refuse(requests, error)
            if isinstance(error, FencedError):
                raise
        finally:  # only a bug or the end of the service leaves somebody unanswered here
            refuse(requests, StorageError("the service stopped before it could answer"))

    async def _look_up(self, entries: Sequence[Entry]) -> None:
        """Find the timelines of the orders that events speak of, as they will be when rebuilt."""
        named = (one.order_id for one in entries if isinstance(one, OrderEvent) and one.order_id)
        wanted = [one for one in dict.fromkeys(named) if one not in self._timelines]
        rows = await self._store.lookup(wanted) if wanted else {}
        for order_id in wanted:
            order = self._orders.find(order_id)
            if order is None and order_id in rows:
                order = order_of(rows[order_id])
            timeline = () if order is None else order.timeline
            for event in self._log.get(order_id, ()):
                timeline = insert(timeline, event) or timeline
            self._timelines[order_id] = timeline

    def _take(self, entry: Entry) -> str:
        """What becomes of an entry that is in the log now."""
        if not isinstance(entry, OrderEvent) or entry.type == _HEARTBEAT:
            return "accepted"
        known = self._timelines[entry.order_id]
        timeline = insert(known, entry)
        if timeline is None:
            return DUPLICATE
        self._timelines[entry.order_id] = timeline
        return DUPLICATE if is_repeated(entry, known, timeline) else "accepted"
