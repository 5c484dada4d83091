"""Many orders that reach a level together are one batch: told once, approved once.

The first orders of an outage are answered one by one; from then on, while others keep coming,
everybody who reaches the level belongs to the batch. It ends when nobody has come for as long.
"""

from __future__ import annotations

import msgspec

from monitor.model.ids import derived_id
from monitor.model.playbooks import Crowd, Playbook
from monitor.model.settings import Settings

RECENT_MAX = 1_000  # different moments remembered per level


class CrowdSnapshot(msgspec.Struct, frozen=True):
    """Arrivals per level as (time, number), and the latest batch of each level."""

    arrivals: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = ()
    batches: tuple[Crowd, ...] = ()


class Crowds:
    """Who reached which level lately, and the batches that came of it."""

    def __init__(self, snapshot: CrowdSnapshot | None = None) -> None:
        snapshot = snapshot or CrowdSnapshot()
        self.batches: dict[int, Crowd] = {one.level: one for one in snapshot.batches}
        self._arrivals: dict[int, dict[int, int]] = {
            level: dict(moments) for level, moments in snapshot.arrivals
        }

    def joined(
        self, level: Playbook, amounts: list[int | None], settings: Settings, now_ms: int
    ) -> Crowd | None:
        """The batch that orders of these amounts belong to, with them; None while they are few."""
        books = settings.playbooks
        since_ms = now_ms - books.batch_window_ms
        known = self.batches.get(level.level)
        if known is None or known.last_ms <= since_ms:
            moments = self._arrivals.get(level.level, {})
            lately = sum(count for at_ms, count in moments.items() if at_ms > since_ms)
            if lately + len(amounts) <= books.batch_above:
                return None
            batch_id = derived_id("bat", level.name, str(level.level), str(now_ms))
            known = Crowd(batch_id, level.level, level.name, now_ms, now_ms, 0, 0, 0)
        amount_minor = known.amount_minor + sum(amount or 0 for amount in amounts)
        state = known.state
        if state == "open" and _needs_approval(level, amounts, amount_minor):
            state = "waiting"
        return msgspec.structs.replace(
            known, last_ms=now_ms, orders=known.orders + len(amounts),
            amount_minor=amount_minor, state=state,
        )  # fmt: skip

    def find(self, batch_id: str) -> Crowd | None:
        """The batch of that name, if it is the latest of its level."""
        return next((one for one in self.batches.values() if one.batch_id == batch_id), None)

    def arrived(self, level: int, at_ms: int, window_ms: int) -> None:
        """An order reached a level."""
        moments = self._arrivals.setdefault(level, {})
        moments[at_ms] = moments.get(at_ms, 0) + 1
        while len(moments) > RECENT_MAX or next(iter(moments)) <= at_ms - window_ms:
            del moments[next(iter(moments))]

    def apply(self, batch: Crowd) -> None:
        """Make a batch's new value true."""
        self.batches[batch.level] = batch

    def snapshot(self) -> CrowdSnapshot:
        """Everything as plain data."""
        return CrowdSnapshot(
            tuple(
                (level, tuple(moments.items())) for level, moments in sorted(self._arrivals.items())
            ),
            tuple(self.batches[level] for level in sorted(self.batches)),
        )


def _needs_approval(level: Playbook, amounts: list[int | None], amount_minor: int) -> bool:
    """Whether together they are worth more than goes without a person; unknown is worth more."""
    limit = level.approval_above_minor
    return limit is not None and (None in amounts or amount_minor > limit)
