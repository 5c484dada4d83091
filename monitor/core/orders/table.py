"""All orders that signals look at, as columns: open ones and those judged not long ago.

One row per paid order, numpy arrays owned by this class and by nobody else (design D4e): a tick
over many orders is a few vector operations. `observe()` hands out sorted copies, so what control
computes does not depend on slots, shards or arrival.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.core.orders.facts import Facts
from monitor.core.signals.observation import (
    COLUMNS,
    Ints,
    Kind,
    Names,
    Observation,
    canonical_order,
    judged_at,
)

Codes = tuple[int, int, int, int]
Columns = dict[str, npt.NDArray[Any]]  # by name, each with a type of its own

_NEW_ROWS = 256
_MANY = 8  # more changes than one row in so many are not worth a merge
# Plain numbers: numpy takes an enum's members one by one.
_OPEN, _DELIVERED = Kind.OPEN.value, Kind.DELIVERED.value
_FAILED, _REFUNDED, _CANCELLED = Kind.FAILED.value, Kind.REFUNDED.value, Kind.CANCELLED.value
_TYPES: dict[str, type[np.generic]] = {
    "kind": np.int8,
    "channel": np.int16,
    "source": np.int16,
    "provider": np.int16,
    "sku": np.int16,
    "is_held": np.bool_,
    "is_unconfirmed": np.bool_,
}


class Row(NamedTuple):
    """One paid order, a value for each of `COLUMNS`; times are 0 where not (yet) so."""

    paid_ms: int
    deadline_ms: int
    end_ms: int
    breach_ms: int
    taken_ms: int
    key: int
    kind: int
    channel: int
    source: int
    provider: int
    sku: int
    is_held: bool
    is_unconfirmed: bool


class OrderTable:
    """Columns over slots; a free list reuses slots of orders that left."""

    def __init__(self) -> None:
        self._columns: Columns = {name: np.zeros(0, _TYPES.get(name, np.int64)) for name in COLUMNS}
        self._used = np.zeros(0, np.bool_)
        self._free: list[int] = []
        self._written: dict[int, Row] = {}  # not in the columns yet
        self._changed: dict[int, None] = {}
        self._order: Ints = np.zeros(0, np.int64)
        self._sorted = _columns_of(self._columns, self._order)  # what was handed out last
        self._observation: Observation | None = None

    def __len__(self) -> int:
        return len(self._used) - len(self._free)

    def put(self, slot: int | None, row: Row) -> int:
        """Write one paid order and return its slot."""
        if slot is None:
            slot = self._take_slot()
        self._written[slot] = row
        self._observation = None
        return slot

    def key_of(self, slot: int) -> int:
        """The key of the order in a slot: hashing its id again would cost more."""
        row = self._written.get(slot)
        return int(self._columns["key"][slot]) if row is None else row.key

    def remove(self, slot: int) -> None:
        """Forget the order in a slot."""
        self._written.pop(slot, None)
        self._used[slot] = False
        self._free.append(slot)
        self._changed[slot] = None
        self._observation = None

    def observe(self, names: Names) -> Observation:
        """All rows as sorted copies; the same object until a row changes."""
        if self._observation is None:
            self._write()
            self._sort()
            self._observation = Observation(**self._sorted, names=names)
        if self._observation.names is not names:
            self._observation = msgspec.structs.replace(self._observation, names=names)
        return self._observation

    def _write(self) -> None:
        """Bring waiting rows into the columns, one vector each: a single cell costs 50 times more."""
        if not self._written:
            return
        slots = np.fromiter(self._written, np.int64, len(self._written))
        for column, values in zip(
            self._columns.values(), zip(*self._written.values(), strict=True), strict=True
        ):
            column[slots] = values
        self._changed.update(dict.fromkeys(self._written))
        self._written.clear()

    def _sort(self) -> None:
        """Bring the copies into the order (judged, key), with what changed since the last time."""
        if not self._changed:
            return
        changed = np.fromiter(self._changed, np.int64, len(self._changed))
        self._changed.clear()
        is_changed = np.zeros(len(self._used), np.bool_)
        is_changed[changed] = True
        kept = (~is_changed[self._order]).nonzero()[0]
        changed = changed[self._used[changed]]
        if len(changed) * _MANY > len(kept):
            self._order = np.concatenate([self._order[kept], changed])
            self._order = self._order[_canonical(self._columns, self._order)]
            self._sorted = _columns_of(self._columns, self._order)
        else:
            self._merge(kept, changed[_canonical(self._columns, changed)])

    def _merge(self, kept: Ints, slots: Ints) -> None:
        """Put changed rows among those that stay in order: sorting all of them costs far more.

        Shapes: places in the last order and slots of changed rows, both in canonical order.
        """
        known, news = self._sorted, _columns_of(self._columns, slots)
        place = _places(known, kept, news)
        # Neighbours stay neighbours, so this reads memory from end to end; by slots it would jump.
        source = np.insert(kept, place, 0)
        place += np.arange(len(place))
        self._order = self._order.take(source)
        self._order[place] = slots
        self._sorted = {name: column.take(source) for name, column in known.items()}
        for name, column in self._sorted.items():
            column[place] = news[name]

    def _take_slot(self) -> int:
        if not self._free:
            start = len(self._used)
            grown = max(_NEW_ROWS, start)
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.zeros(grown, column.dtype)])
            self._used = np.concatenate([self._used, np.zeros(grown, np.bool_)])
            self._free = list(range(start + grown - 1, start - 1, -1))
        slot = self._free.pop()
        self._used[slot] = True
        return slot


def _columns_of(columns: Columns, slots: Ints) -> Columns:
    """Copies of the rows in some slots, with the time of their judgement."""
    taken = {name: column.take(slots) for name, column in columns.items()}
    return taken | {"judged_ms": judged_at(taken["breach_ms"], taken["end_ms"])}


def _canonical(columns: Columns, slots: Ints) -> Ints:
    breach, end, key = (columns[name].take(slots) for name in ("breach_ms", "end_ms", "key"))
    return canonical_order(judged_at(breach, end), key)


def _places(known: Columns, kept: Ints, news: Columns) -> Ints:
    """How many of the known rows that are kept come before each new one, by halving."""
    judged, key = known["judged_ms"], known["key"]
    low = np.zeros(len(news["key"]), np.int64)
    high = np.full(len(low), len(kept))
    for _ in range(len(kept).bit_length()):
        middle = (low + high) >> 1
        at = kept[np.minimum(middle, len(kept) - 1)]
        is_tied = judged[at] == news["judged_ms"]
        is_before = (judged[at] < news["judged_ms"]) | (is_tied & (key[at] < news["key"]))
        low = np.minimum(np.where(is_before, middle + 1, low), high)
        high = np.where(is_before, high, middle)
    return low


def row_of(
    facts: Facts,
    *,
    key: int,
    breach_ms: int | None = None,
    taken_ms: int | None = None,
    codes: Codes = (0, 0, 0, 0),
    is_held: bool = False,
    is_unconfirmed: bool = False,
) -> Row:
    """The row of one paid order; `key` is its stable 63-bit hash, `codes` follow `LABELS`."""
    assert facts.paid_ms is not None
    assert facts.deadline_ms is not None
    kind, end_ms = _ending(facts)
    return Row(
        facts.paid_ms, facts.deadline_ms, end_ms, breach_ms or 0, taken_ms or 0, key, kind,
        *codes, is_held, is_unconfirmed,
    )  # fmt: skip


def _ending(facts: Facts) -> tuple[int, int]:
    """How and when the wait ended; a delivery counts even if the order was closed before it."""
    if facts.delivered_ms is not None:
        return _DELIVERED, facts.delivered_ms
    for kind, at_ms in (
        (_FAILED, facts.failed_ms),
        (_REFUNDED, facts.refunded_ms),
        (_CANCELLED, facts.cancelled_ms),
    ):
        if at_ms is not None:
            return kind, at_ms
    return _OPEN, 0
