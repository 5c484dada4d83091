"""When a rule is due: at fixed points in time, soon after something changed, at its own deadlines.

    interval     multiples of the rule's interval, so a replay looks at the same instants
    change       an order was judged or ended: at once, but no more often than every `gap_ms`
    deadline     an alert's `for` or `keep_firing_for` ends
    charts       every 5 s while orders wait, for rules that read them

So a decision follows the event that makes its evidence sufficient within a second, and a quiet shop
costs nothing between two intervals.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


class Schedule:
    """When each rule was and will be looked at; forgotten at a restart, then everything is due."""

    def __init__(self) -> None:
        self._interval_ms: dict[str, int] = {}
        self._next_ms: dict[str, int] = {}
        self._deadline_ms: dict[str, int] = {}
        self._changed_ms: int | None = None
        self._soonest_ms: int | None = None
        self._is_planned = True  # whether `_soonest_ms` says when something is due next
        self._floor_ms = 0
        self._gap_ms = 0

    def configure(self, intervals_ms: Mapping[str, int], *, gap_ms: int, floor_ms: int) -> None:
        """Take over the rules' intervals; nothing is evaluated more often than every `floor_ms`."""
        self._interval_ms = {name: max(ms, floor_ms, 1) for name, ms in intervals_ms.items()}
        self._next_ms.clear()
        self._deadline_ms.clear()
        self._gap_ms, self._floor_ms = gap_ms, floor_ms
        self._is_planned = False

    def note_change(self, now_ms: int, evaluated_ms: int) -> None:
        """Something that rules look at has changed; they were evaluated last at `evaluated_ms`.

        A replay of years, which has a floor, looks at fixed points only.
        """
        if self._changed_ms is None and not self._floor_ms:
            self._changed_ms = max(now_ms, evaluated_ms + self._gap_ms)
            self._is_planned = False

    def note_deadline(self, rule: str, at_ms: int | None) -> None:
        """When time alone will move an alert of a rule next; None: never."""
        if at_ms != self._deadline_ms.get(rule):
            self._is_planned = False
        if at_ms is None:
            self._deadline_ms.pop(rule, None)
        else:
            self._deadline_ms[rule] = at_ms

    def take_due(self, now_ms: int, also: Collection[str] = ()) -> list[str]:
        """Rules to evaluate now, in their order; their next instants are set.

        `also` are due in any case: what they read has just been measured.
        """
        self._is_planned = False
        has_changed = self._changed_ms is not None and self._changed_ms <= now_ms
        if has_changed:
            self._changed_ms = None
        due = []
        for name, every_ms in self._interval_ms.items():
            is_planned = self._next_ms.get(name, 0) <= now_ms
            if is_planned:
                self._next_ms[name] = next_multiple(now_ms, every_ms)
            is_ripe = self._deadline_ms.get(name, now_ms + 1) <= now_ms
            if is_planned or has_changed or is_ripe or name in also:
                self._deadline_ms.pop(name, None)
                due.append(name)
        return due

    def next_ms(self) -> int | None:
        """When something is due next; None without rules. Asked at every turn, so it is kept."""
        if not self._is_planned:
            self._soonest_ms = self._soonest()
            self._is_planned = True
        return self._soonest_ms

    def _soonest(self) -> int | None:
        moments = [self._next_ms.get(name, 0) for name in self._interval_ms]
        moments += self._deadline_ms.values()
        if self._changed_ms is not None and self._interval_ms:
            moments.append(self._changed_ms)
        return min(moments, default=None)


def next_multiple(now_ms: int, every_ms: int) -> int:
    """The next evaluation instant: fixed points in time, so a replay evaluates at the same ones."""
    return (now_ms // every_ms + 1) * every_ms
