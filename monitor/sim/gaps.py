"""Years without an event in a recording: nearly always a time that was written wrongly."""

from __future__ import annotations

from itertools import pairwise

from monitor.model.events import OrderEvent
from monitor.model.times import DAY_MS, format_rfc3339
from monitor.sim.player import Tape

YEAR_MS = 365 * DAY_MS
_SHOWN_MAX = 5
_ID_SHOWN_MAX = 64


def gap_warnings(tape: Tape) -> tuple[str, ...]:
    """One sentence for each gap of more than a year that names the events beside it, at most five.

    Which of the two has the wrong time nobody can know: the shop may have been closed.
    """
    gaps = [
        (before[0], after[0])
        for before, after in pairwise(tape.batches)
        if after[0].time_ms - before[0].time_ms > YEAR_MS
    ]
    if not gaps or tape.first_ms is None or tape.last_ms is None:
        return ()
    spanned = _years(tape.last_ms - tape.first_ms)
    found = [
        f"the recording spans {spanned}: no event for {_years(after.time_ms - before.time_ms)} "
        f"between {_shown(before)} and {_shown(after)}; check these times"
        for before, after in gaps[:_SHOWN_MAX]
    ]
    if len(gaps) > _SHOWN_MAX:
        found.append(f"{len(gaps) - _SHOWN_MAX} more gaps of more than a year")
    return tuple(found)


def _years(span_ms: int) -> str:
    years = span_ms // YEAR_MS
    return "1 year" if years == 1 else f"{years} years"


def _shown(event: OrderEvent) -> str:
    return f"{event.type} of {event.order_id[:_ID_SHOWN_MAX]!r} at {format_rfc3339(event.time_ms)}"
