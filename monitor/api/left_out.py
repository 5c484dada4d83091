"""What was not taken since the process started: events, fields, and what was too much.

Not part of the engine's state, because nothing of it is in the log: a restart counts from zero.
"""

from __future__ import annotations

from collections import Counter

from monitor.api.shed import MESSAGES, SHED


class LeftOut:
    """Counts what requests contained beyond the events that reached the engine."""

    def __init__(self) -> None:
        # By authenticated source: what a rejected event says of itself proves nothing.
        self.rejected: Counter[str] = Counter()
        self.ignored_fields = 0
        self.shed: Counter[str] = Counter(dict.fromkeys(SHED, 0))  # by what was given up

    def count(self, source: str, *, rejected: int, ignored_fields: int) -> None:
        """Add what one request of a source contained."""
        if rejected:
            self.rejected[source] += rejected
        self.ignored_fields += ignored_fields

    def count_full(self) -> None:
        """Add a signed message that was refused because too many are known."""
        self.shed[MESSAGES] += 1
