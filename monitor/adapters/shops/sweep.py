"""Where the reading of changes is, for shops that can be asked what changed since a time.

    sweep ends ── overlap of 10 min ──► next sweep begins there ── page, page, page ──► sweep ends

A sweep goes over everything that changed since the last one ended. Its place is kept in the mark, so
a restart goes on in the middle. The overlap is for orders whose change was written with an earlier
time than when it could be seen; what is read twice is one event.
"""

from __future__ import annotations

import msgspec

from monitor.model.times import DAY_MS, MINUTE_MS

OVERLAP_MS = 10 * MINUTE_MS
LOOK_BACK_MS = 3 * DAY_MS  # how far the first sweep goes


class Sweep(msgspec.Struct, frozen=True):
    """Where reading is: the newest change of finished sweeps, and the page of the one under way."""

    horizon_ms: int
    newest_ms: int = 0
    cursor: str = ""  # empty: no sweep is under way

    @classmethod
    def resume(cls, mark: str, now_ms: int) -> Sweep:
        """Go on where a mark says; one that is empty, or not ours, begins three days ago."""
        try:
            known = msgspec.json.decode(mark, type=Sweep)
        except msgspec.MsgspecError:
            return cls(now_ms - LOOK_BACK_MS)
        # The clock of a shop that is ahead of ours must not make us skip what comes next.
        return known if known.cursor else cls(min(known.horizon_ms, now_ms))

    @property
    def since_ms(self) -> int:
        """Where the sweep begins."""
        return self.horizon_ms - OVERLAP_MS

    def after(self, cursor: str, newest_ms: int) -> Sweep:
        """The mark after a page; without a cursor the sweep is over."""
        newest_ms = max(self.newest_ms, newest_ms)
        if cursor:
            return Sweep(self.horizon_ms, newest_ms, cursor)
        return Sweep(max(self.horizon_ms, newest_ms))

    def again(self) -> Sweep:
        """Begin anew: the page under way can no longer be asked for."""
        return Sweep(self.horizon_ms)

    @property
    def mark(self) -> str:
        """As the source keeps it."""
        return msgspec.json.encode(self).decode()
