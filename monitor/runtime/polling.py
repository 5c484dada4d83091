"""Asks one shop again and again what changed, and hands what it says to the loop.

    poll ─► events, ≤ 1,000 a submit ─► synced ─► mark kept ─► next page … ─► heartbeat

The mark moves only after its events are on the disk. If it is lost, events come again under the
same ids and are duplicates. A heartbeat says that the shop could be read up to its end, so that a
database nobody can reach is a silent source, and never a shop without orders.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from monitor.model.errors import UNREADABLE, CapacityError, SourceError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import hash01
from monitor.model.shops import Polled
from monitor.model.times import MINUTE_MS
from monitor.ports import Clock, PollMark, ShopPull

log = logging.getLogger("monitor.polling")

SUBMIT_MAX = 1_000  # events handed over at once
PAGES_MAX = 40  # of one round: a shop is not asked for a day of orders without a pause
WAIT_MAX_MS = 5 * MINUTE_MS  # between two rounds while the shop cannot be read


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class Poller:
    """Reads one source; `trouble` says why it cannot be read now, None if it can; `limit` what is left out.

    `has_pulse`: that it can be read says that the shop is there. Of a log it does not.
    """

    def __init__(
        self,
        source: str,
        pull: ShopPull,
        mark: PollMark,
        loop: Submitter,
        clock: Clock,
        *,
        every_ms: int,
        has_pulse: bool = True,
    ) -> None:
        self.source = source
        self.trouble: str | None = None
        self.limit = ""  # what is read late or no longer, although the shop can be read
        self._pull = pull
        self._mark = mark
        self._loop = loop
        self._clock = clock
        self._every_ms = every_ms
        self._has_pulse = has_pulse
        self._offset_ms = round(hash01("poll", source) * every_ms)
        self._failures = 0

    async def run(self) -> None:
        """Ask for ever, at fixed points in time; less often while there is no answer."""
        while True:
            await self.round()
            await asyncio.sleep(self._pause_ms() / 1_000)

    async def close(self) -> None:
        """Give connections back."""
        await self._pull.close()

    async def round(self) -> bool:
        """Ask until there is nothing new; False if that was not possible."""
        try:
            if await self._read() and self._has_pulse:
                await self._loop.submit((self._heartbeat(),))
        except SourceError as error:
            self._failed(error)
            return False
        except (StorageError, CapacityError):
            return False  # the loop says so itself; the mark stands before what it refused
        if self.trouble is not None:
            log.info("source_readable", extra={"fields": {"source": self.source}})
        self.trouble, self._failures = None, 0
        return True

    async def _read(self) -> bool:
        """Read page after page; whether the end was reached."""
        limits: list[str] = []
        is_last = False
        for _page in range(PAGES_MAX):
            mark = await self._mark.read()
            polled = await self._page(mark)
            limits.append(polled.limit)
            events = polled.events
            for start in range(0, len(events), SUBMIT_MAX):
                await self._loop.submit(events[start : start + SUBMIT_MAX])
            if polled.mark != mark:
                await self._mark.write(polled.mark)
            is_last = polled.is_last
            if is_last:
                break
        self._limited("; ".join(dict.fromkeys(filter(None, limits))))
        return is_last

    def _limited(self, limit: str) -> None:
        """Tell once that a limit is reached; the note stays for as long as it is."""
        if limit and not self.limit:
            fields = {"source": self.source, "limit": limit}
            log.warning("source_limit_reached", extra={"fields": fields})
        self.limit = limit

    async def _page(self, mark: str) -> Polled:
        """One page. What no adapter could make sense of is an outage of this source alone."""
        try:
            return await self._pull.poll(mark, self._clock.now_ms())
        except UNREADABLE as error:
            what = f"what it says cannot be read: {type(error).__name__}"
            raise SourceError(what, hint="run `delivery-monitor doctor`") from None

    def _failed(self, error: SourceError) -> None:
        """Tell the first failure of an outage, and whatever else it turns into."""
        self._failures += 1
        if self.trouble != str(error):
            fields = {"source": self.source, "error": str(error), "hint": error.hint}
            log.warning("source_unreadable", extra={"fields": fields})
        self.trouble = str(error)

    def _pause_ms(self) -> int:
        """Until the next point in time; while the shop cannot be read, twice as long each time."""
        if self._failures:
            most_ms = max(WAIT_MAX_MS, self._every_ms)
            return int(min(self._every_ms << min(self._failures - 1, 20), most_ms))
        return self._every_ms - (self._clock.now_ms() - self._offset_ms) % self._every_ms

    def _heartbeat(self) -> OrderEvent:
        now_ms = self._clock.now_ms()
        return OrderEvent(
            type=EventType.HEARTBEAT.value, order_id="", source=self.source,
            event_id=f"polled@{now_ms}", time_ms=now_ms, received_ms=now_ms, is_unique=True,
        )  # fmt: skip
