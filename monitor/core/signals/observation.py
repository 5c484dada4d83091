"""What a shard tells control about its orders: rows sorted by (judged, key), mergeable exactly.

N shards' observations merged are bit-identical to one shard's, because rows are only concatenated
and sorted by a key that does not depend on the shard (design D4f).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int16]
Bools = npt.NDArray[np.bool_]

LABELS = ("channel", "source", "provider", "sku")


class Kind(IntEnum):
    """How the wait of an order ended, if it did."""

    OPEN = 0
    DELIVERED = 1
    FAILED = 2
    REFUNDED = 3
    CANCELLED = 4


# Plain numbers: looking a member up in an enumeration costs as much as comparing a hundred numbers.
_OPEN, _DELIVERED = Kind.OPEN.value, Kind.DELIVERED.value


class Names(msgspec.Struct, frozen=True):
    """What the code columns of an observation stand for: code i is the i-th name."""

    channel: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    sku: tuple[str, ...] = ()

    def of(self, label: str) -> tuple[str, ...]:
        """Names of one of `LABELS`."""
        names: tuple[str, ...] = getattr(self, label)
        return names


class Observation(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Rows of paid orders, one array per column, all of the same length; what follows is kept.

    Shapes: int64[n] UTC ms, 0 where not (yet) so; `kind` int8[n] of `Kind`; `channel`, `source`,
    `provider`, `sku` int16[n] codes of `names`. `taken_ms`: the fallback took the order over from
    its channel. `is_held` bool[n]: not judged yet because nobody knows (backlog or silent source);
    `is_unconfirmed` bool[n]: open, but its source says nothing, so that nobody knows whether it
    still waits. `judged_ms` is the first of delivery, closing and breach.
    """

    paid_ms: Ints
    deadline_ms: Ints
    end_ms: Ints
    breach_ms: Ints
    taken_ms: Ints
    key: Ints
    kind: npt.NDArray[np.int8]
    channel: Codes
    source: Codes
    provider: Codes
    sku: Codes
    is_held: Bools
    is_unconfirmed: Bools
    judged_ms: Ints
    names: Names

    @cached_property
    def is_open(self) -> Bools:
        """Orders whose buyer still waits."""
        return np.asarray(self.kind == _OPEN)

    @cached_property
    def open_at(self) -> npt.NDArray[np.intp]:
        """Where the orders are whose buyer still waits, ascending."""
        return self.is_open.nonzero()[0]

    @cached_property
    def is_judged(self) -> Bools:
        """Orders that have a verdict that counts: all but the undecided (unpaid are not here)."""
        return np.asarray(self.judged_ms > 0)

    @cached_property
    def is_breached(self) -> Bools:
        """Orders that were neither delivered nor closed at paid + promise."""
        return np.asarray(self.breach_ms > 0)

    @cached_property
    def is_good(self) -> Bools:
        """Delivered within the promise."""
        return np.asarray((self.kind == _DELIVERED) & (self.end_ms <= self.deadline_ms))

    def wait_ms(self, now_ms: int) -> Ints:
        """How long each buyer waited, or has waited until now; never negative."""
        until = np.where(self.is_open, now_ms, self.end_ms)
        return np.maximum(until - self.paid_ms, 0)

    def where(self, chosen: Bools | Ints) -> Observation:
        """The chosen rows, by mask or by index; ascending indices keep the canonical order."""
        return Observation(**{name: getattr(self, name)[chosen] for name in ROWS}, names=self.names)

    def with_held_judged(self, now_ms: int) -> Observation:
        """The same rows with held overdue orders counted as breached: for display, not for rules."""
        overdue = self.is_held & self.is_open & (self.deadline_ms < now_ms) & (self.breach_ms == 0)
        if not overdue.any():  # nearly always: spare the sort
            return self
        columns = {name: getattr(self, name) for name in COLUMNS}
        columns["breach_ms"] = np.where(overdue, self.deadline_ms, self.breach_ms)
        return observation(columns, self.names)


ROWS = tuple(name for name in Observation.__struct_fields__ if name != "names")
COLUMNS = tuple(name for name in ROWS if name != "judged_ms")
"""What a row is made of; `judged_ms` follows from it."""


def judged_at(breach_ms: Ints, end_ms: Ints) -> Ints:
    """The first of breach and end; 0 where neither has happened. Shapes: int64[n] each."""
    first = np.minimum(breach_ms, end_ms)
    return np.where(first > 0, first, np.maximum(breach_ms, end_ms))


def observation(columns: dict[str, npt.NDArray[np.generic]], names: Names) -> Observation:
    """Bring rows into the canonical order; `columns` holds one array for each of `COLUMNS`."""
    judged = judged_at(np.asarray(columns["breach_ms"]), np.asarray(columns["end_ms"]))
    order = canonical_order(judged, np.asarray(columns["key"]))
    return Observation(
        **{name: np.asarray(columns[name])[order] for name in COLUMNS},
        judged_ms=judged[order],
        names=names,
    )


def canonical_order(judged_ms: Ints, key: Ints) -> Ints:
    """Order of rows by (judged, key); quick when they are nearly in order already.

    Shapes: int64[n], int64[n] → int64[n]. Timsort finds the ascending runs of rows that were sorted
    the last time; a lexical sort of both columns costs ten times as much.
    """
    order = np.argsort(judged_ms, kind="stable")
    judged, keys = judged_ms[order], key[order]
    wrong = (judged[1:] == judged[:-1]) & (keys[1:] < keys[:-1])
    if not wrong.any():
        return order
    tied = np.isin(judged, judged[1:][wrong])
    places = np.flatnonzero(tied)
    inside = np.lexsort((keys[places], judged[places]))
    order[places] = order[places][inside]
    return order


def merge(observations: Sequence[Observation]) -> Observation:
    """One observation of many shards, whose names may differ; the merged names are sorted."""
    names = Names(**{label: _all_names(observations, label) for label in LABELS})
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.concatenate([getattr(one, name) for one in observations])
        for name in COLUMNS
        if name not in LABELS
    }
    for label in LABELS:
        columns[label] = np.concatenate([_recoded(one, label, names) for one in observations])
    return observation(columns, names)


def _all_names(observations: Sequence[Observation], label: str) -> tuple[str, ...]:
    return tuple(sorted({name for one in observations for name in one.names.of(label)}))


def _recoded(one: Observation, label: str, names: Names) -> Codes:
    place = {name: index for index, name in enumerate(names.of(label))}
    codes: Codes = np.array([place[name] for name in one.names.of(label)] or [0], np.int16)
    column: Codes = getattr(one, label)
    return codes[column]
