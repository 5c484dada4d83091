"""What a shard tells control about its orders: rows sorted by (judged, key), mergeable exactly.

N shards' observations merged are bit-identical to one shard's, because rows are only concatenated
and sorted by a key that does not depend on the shard (design D4f).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Kind(IntEnum):
    """How the wait of an order ended, if it did."""

    OPEN = 0
    DELIVERED = 1
    FAILED = 2
    REFUNDED = 3
    CANCELLED = 4


class Observation(msgspec.Struct, frozen=True, eq=False):
    """Rows of paid orders, one array per column, all of the same length.

    Shapes: int64[n] UTC ms, 0 where not (yet) so; `kind` int8[n] of `Kind`; `channel` int16[n]
    index into the shard-independent channel list; `is_held` bool[n]: overdue, but the breach is
    not judged yet (backlog or silent source); `is_unconfirmed` bool[n]: breached and open, but its
    source is silent, so that nobody knows whether it still waits. `judged_ms` is the first of delivery, closing and
    breach.
    """

    paid_ms: Ints
    deadline_ms: Ints
    end_ms: Ints
    breach_ms: Ints
    key: Ints
    kind: npt.NDArray[np.int8]
    channel: npt.NDArray[np.int16]
    is_held: Bools
    is_unconfirmed: Bools
    judged_ms: Ints

    @classmethod
    def of(
        cls,
        *,
        paid_ms: Ints,
        deadline_ms: Ints,
        end_ms: Ints,
        breach_ms: Ints,
        key: Ints,
        kind: npt.NDArray[np.int8],
        channel: npt.NDArray[np.int16],
        is_held: Bools,
        is_unconfirmed: Bools | None = None,
    ) -> Observation:
        """Sort rows into the canonical order and derive `judged_ms`."""
        judged = np.where(breach_ms > 0, breach_ms, end_ms)
        both = (breach_ms > 0) & (end_ms > 0)
        judged = np.where(both, np.minimum(breach_ms, end_ms), judged)
        order = np.lexsort((key, judged))
        if is_unconfirmed is None:
            is_unconfirmed = np.zeros(len(key), np.bool_)
        return cls(
            paid_ms=paid_ms[order],
            deadline_ms=deadline_ms[order],
            end_ms=end_ms[order],
            breach_ms=breach_ms[order],
            key=key[order],
            kind=kind[order],
            channel=channel[order],
            is_held=is_held[order],
            is_unconfirmed=is_unconfirmed[order],
            judged_ms=judged[order],
        )

    @property
    def is_open(self) -> Bools:
        """Orders whose buyer still waits."""
        return np.asarray(self.kind == Kind.OPEN)

    @property
    def is_judged(self) -> Bools:
        """Orders that have a verdict that counts: all but the undecided (unpaid are not here)."""
        return np.asarray(self.judged_ms > 0)

    @property
    def is_breached(self) -> Bools:
        """Orders that were neither delivered nor closed at paid + promise."""
        return np.asarray(self.breach_ms > 0)

    @property
    def is_good(self) -> Bools:
        """Delivered within the promise."""
        return np.asarray((self.kind == Kind.DELIVERED) & (self.end_ms <= self.deadline_ms))

    def wait_ms(self, now_ms: int) -> Ints:
        """How long each buyer waited, or has waited until now; never negative."""
        until = np.where(self.kind == Kind.OPEN, now_ms, self.end_ms)
        return np.maximum(until - self.paid_ms, 0)

    def where(self, mask: Bools) -> Observation:
        """The chosen rows; their order stays the canonical one."""
        return Observation(*(getattr(self, name)[mask] for name in self.__struct_fields__))

    def with_held_judged(self, now_ms: int) -> Observation:
        """The same rows with held overdue orders counted as breached: for display, not for rules."""
        overdue = self.is_held & self.is_open & (self.deadline_ms < now_ms) & (self.breach_ms == 0)
        if not overdue.any():  # nearly always: spare the sort
            return self
        return Observation.of(
            paid_ms=self.paid_ms,
            deadline_ms=self.deadline_ms,
            end_ms=self.end_ms,
            breach_ms=np.where(overdue, self.deadline_ms, self.breach_ms),
            key=self.key,
            kind=self.kind,
            channel=self.channel,
            is_held=self.is_held,
            is_unconfirmed=self.is_unconfirmed,
        )


def merge(observations: Sequence[Observation]) -> Observation:
    """One observation of many shards."""
    return Observation.of(
        paid_ms=np.concatenate([one.paid_ms for one in observations]),
        deadline_ms=np.concatenate([one.deadline_ms for one in observations]),
        end_ms=np.concatenate([one.end_ms for one in observations]),
        breach_ms=np.concatenate([one.breach_ms for one in observations]),
        key=np.concatenate([one.key for one in observations]),
        kind=np.concatenate([one.kind for one in observations]),
        channel=np.concatenate([one.channel for one in observations]),
        is_held=np.concatenate([one.is_held for one in observations]),
        is_unconfirmed=np.concatenate([one.is_unconfirmed for one in observations]),
    )
