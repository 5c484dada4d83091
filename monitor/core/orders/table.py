"""All orders that signals look at, as columns: open ones and those judged not long ago.

One row per paid order, numpy arrays owned by this class and by nobody else (design D4e): a tick
over many orders is a few vector operations. `observe()` hands out sorted copies, so what control
computes does not depend on slots, shards or arrival.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.core.orders.facts import Facts
from monitor.core.signals.observation import Kind, Observation

Ints = npt.NDArray[np.int64]

_NEW_ROWS = 256
_COLUMNS = ("paid_ms", "deadline_ms", "end_ms", "breach_ms", "key")


class OrderTable:
    """Columns over slots; a free list reuses slots of orders that left."""

    def __init__(self) -> None:
        self._columns: dict[str, Ints] = {name: np.zeros(0, np.int64) for name in _COLUMNS}
        self._kind = np.zeros(0, np.int8)
        self._channel = np.zeros(0, np.int16)
        self._held = np.zeros(0, np.bool_)
        self._unconfirmed = np.zeros(0, np.bool_)
        self._used = np.zeros(0, np.bool_)
        self._free: list[int] = []
        self._observation: Observation | None = None

    def __len__(self) -> int:
        return len(self._used) - len(self._free)

    def put(
        self,
        slot: int | None,
        facts: Facts,
        *,
        key: int,
        channel: int,
        breach_ms: int | None,
        is_held: bool,
        is_unconfirmed: bool = False,
    ) -> int:
        """Write one paid order and return its slot; `key` is the order's stable 63-bit hash."""
        assert facts.paid_ms is not None
        assert facts.deadline_ms is not None
        if slot is None:
            slot = self._take_slot()
        kind, end_ms = _ending(facts)
        for name, value in (
            ("paid_ms", facts.paid_ms),
            ("deadline_ms", facts.deadline_ms),
            ("end_ms", end_ms),
            ("breach_ms", 0 if breach_ms is None else breach_ms),
            ("key", key),
        ):
            self._columns[name][slot] = value
        self._kind[slot] = kind
        self._channel[slot] = channel
        self._held[slot] = is_held
        self._unconfirmed[slot] = is_unconfirmed
        self._observation = None
        return slot

    def remove(self, slot: int) -> None:
        """Forget the order in a slot."""
        self._used[slot] = False
        self._free.append(slot)
        self._observation = None

    def observe(self) -> Observation:
        """All rows as sorted copies; the same object until a row changes."""
        if self._observation is None:
            rows = np.flatnonzero(self._used)
            self._observation = Observation.of(
                **{name: column[rows] for name, column in self._columns.items()},
                kind=self._kind[rows],
                channel=self._channel[rows],
                is_held=self._held[rows],
                is_unconfirmed=self._unconfirmed[rows],
            )
        return self._observation

    def _take_slot(self) -> int:
        if not self._free:
            start = len(self._used)
            grown = max(_NEW_ROWS, start)
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.zeros(grown, np.int64)])
            self._kind = np.concatenate([self._kind, np.zeros(grown, np.int8)])
            self._channel = np.concatenate([self._channel, np.zeros(grown, np.int16)])
            self._held = np.concatenate([self._held, np.zeros(grown, np.bool_)])
            self._unconfirmed = np.concatenate([self._unconfirmed, np.zeros(grown, np.bool_)])
            self._used = np.concatenate([self._used, np.zeros(grown, np.bool_)])
            self._free = list(range(start + grown - 1, start - 1, -1))
        slot = self._free.pop()
        self._used[slot] = True
        return slot


def _ending(facts: Facts) -> tuple[Kind, int]:
    """How and when the wait ended; a delivery counts even if the order was closed before it."""
    if facts.delivered_ms is not None:
        return Kind.DELIVERED, facts.delivered_ms
    for kind, at_ms in (
        (Kind.FAILED, facts.failed_ms),
        (Kind.REFUNDED, facts.refunded_ms),
        (Kind.CANCELLED, facts.cancelled_ms),
    ):
        if at_ms is not None:
            return kind, at_ms
    return Kind.OPEN, 0
