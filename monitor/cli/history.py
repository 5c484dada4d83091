"""Recorded events of healthy days for the verbs that learn from them or measure noise with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from monitor.cli.output import warn
from monitor.cli.recording import read_recording
from monitor.model.errors import InputError
from monitor.model.settings import Settings
from monitor.model.times import from_datetime, parse_rfc3339
from monitor.sim.history import History, Span, history

REJECTED_SHOWN_MAX = 5


def read_history(
    names: Sequence[str], settings: Settings, excluded: Sequence[Span] = ()
) -> History:
    """Read files and fold them to orders; progress and bad lines are told on standard error.

    Raises: InputError when a file cannot be read or holds no event.
    """
    recording = read_recording(names, settings.sources)
    for line in recording.lines[:REJECTED_SHOWN_MAX]:
        warn(str(line))
    if recording.rejected > REJECTED_SHOWN_MAX:
        warn(f"… {recording.rejected} lines were not taken")
    if not recording.events:
        raise InputError(f"not one valid event in {', '.join(names)}", code="no_events")
    total = len(recording.events)
    is_shown = sys.stderr.isatty()

    def progress(done: int) -> None:
        if is_shown:
            print(f"\rfolded {done:,} of {total:,} events", end="", file=sys.stderr, flush=True)

    past = history(recording.events, settings, excluded, progress)
    if is_shown and total:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return past


def parse_span(text: str, option: str) -> Span:
    """Read `FROM/TO`, two RFC 3339 times with zone. Raises: InputError."""
    hint = "write for example 2026-03-04T10:00:00+08:00/2026-03-04T12:30:00+08:00"
    parts = text.split("/")
    try:
        moments = [parse_rfc3339(part.strip()) for part in parts]
        is_zoned = all(one.tzinfo is not None for one in moments)
        times = [int(from_datetime(one)) for one in moments] if is_zoned else []
    except (ValueError, OverflowError):
        raise InputError(f"{option} {text!r} is not FROM/TO", hint=hint) from None
    if not is_zoned:
        raise InputError(f"{option} {text!r} has no time zone", hint=hint)
    if len(times) != 2 or times[0] >= times[1]:
        raise InputError(f"{option} {text!r} is not a time and a later one", hint=hint)
    return times[0], times[1]
