"""What is given up when more comes in than can be taken, and how often that happened."""

from __future__ import annotations

from collections import Counter

TRACES, SIGNALS, PAGES, EVENTS, UNREAD, QUOTA, CONNECTIONS = SHED = (
    "traces",
    "signals",
    "pages",
    "events",
    "unread",
    "quota",
    "connections",
)


class Shed:
    """Counts what was given up since the process started, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(SHED, 0))

    def count(self, what: str) -> None:
        """Note one more; `what` is of `SHED`."""
        self.counts[what] += 1
