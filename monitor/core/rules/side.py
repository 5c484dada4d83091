"""Readings of signals that come in tables of their own: which entry is that of which instance."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.core.rules.matching import matches
from monitor.core.rules.readings import INSUFFICIENT, NO_DATA, OK, Readings
from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.model.rules import Signal

LOW_IS_BAD = (
    "health_index",
    "speed_ratio",
    "arrival_ratio",
    "paid_ratio",
    "budget_remaining",
    "stock",
    "wallet",
    "wallet_left",
    "webhook_state",
)
"""Signals that fall when something is wrong: evidence is asked for where one is said to be low."""

_ADDED = ("source_silent",)


def read_table(
    table: SignalTable,
    signal: Signal,
    by: Sequence[str],
    instances: Sequence[Sequence[str]],
    min_count: int = 0,
) -> Readings:
    """Read a signal for every instance.

    An instance that names the table's label has that entry, no data if there is none. Any other has
    the worst of the entries that match, or for a number of sources their sum. A share of orders
    (`share_per_unit`) of fewer than `min_count` is insufficient.
    """
    if table.label is None:
        chosen = np.zeros(len(instances), np.int64)
    elif table.label in by:
        place = by.index(table.label)
        known = {name: index for index, name in _matching(table, signal)}
        chosen = np.array([known.get(one[place], -1) for one in instances], np.int64)
    else:
        entries = np.array([index for index, _ in _matching(table, signal)], np.int64)
        if signal.name in _ADDED and entries.size:
            total = float(np.sum(table.values[entries]))
            n = np.full(len(instances), entries.size)
            return _stated(np.full(len(instances), total), Readings(np.zeros(0), n=n))
        chosen = np.full(len(instances), _worst(table, signal, entries), np.int64)
    found = _entries(table, chosen)
    if found.share_per_unit is None or found.n is None:
        return found
    states = np.zeros(chosen.size, np.int8) if found.states is None else found.states
    states = np.where((states == OK) & (found.n < min_count), np.int8(INSUFFICIENT), states)
    return msgspec.structs.replace(found, states=states)


def _matching(table: SignalTable, signal: Signal) -> list[tuple[int, str]]:
    label = table.label or ""
    return [
        (index, name)
        for index, name in enumerate(table.names)
        if matches(signal.matchers, {label: name})
    ]


def _worst(table: SignalTable, signal: Signal, entries: IntArray) -> int:
    """The entry furthest to the bad side, the first of equal ones; -1 if none has data."""
    values = table.values[entries]
    is_known = np.isfinite(values)
    if not is_known.any():
        return -1
    known = entries[is_known]
    is_low_bad = signal.name in LOW_IS_BAD
    return int(known[np.argmin(values[is_known]) if is_low_bad else np.argmax(values[is_known])])


def _entries(table: SignalTable, chosen: IntArray) -> Readings:
    """The chosen entries of a table; -1 is no data."""
    if not table.names:
        nothing = np.full(chosen.size, np.nan)
        return Readings(nothing, states=np.full(chosen.size, NO_DATA, np.int8))
    values = np.where(chosen >= 0, table.values[chosen], np.nan)
    parts = Readings(
        values,
        k=None if table.k is None else np.where(chosen >= 0, table.k[chosen], 0),
        n=None if table.n is None else np.where(chosen >= 0, table.n[chosen], 0),
        p=None if table.p is None else table.p[chosen],
        is_proven=None if table.is_proven is None else table.is_proven[chosen],
        share_per_unit=table.share_per_unit,
    )
    return _stated(values, parts)


def _stated(values: FloatArray, parts: Readings) -> Readings:
    is_known = np.isfinite(values)
    states = None if is_known.all() else np.where(is_known, np.int8(OK), np.int8(NO_DATA))
    return Readings(
        np.where(is_known, values, np.nan), parts.k, parts.n, states,
        parts.p, parts.is_proven, parts.share_per_unit,
    )  # fmt: skip
