"""Signals that are not read from order rows: charts, arrivals, budgets, sources, stock."""

from __future__ import annotations

from typing import Protocol

import msgspec

from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.model.rules import Signal


class SignalTable(msgspec.Struct, frozen=True, eq=False):
    """One signal at one instant: a reading per name of one label, or one for the whole shop.

    Shapes: all arrays [len(names)]. `label` None: there is one reading, names is `("",)`. `values`
    in seconds, 0..1, count or score; NaN means no data. `k` of `n` is what a reading rests on, `p`
    its tail probability. `is_proven` is the signal's own evidence: where it is False a comparison
    may not say true. None of the optional arrays means: nothing to say about that.
    """

    label: str | None
    names: tuple[str, ...]
    values: FloatArray
    k: IntArray | None = None
    n: IntArray | None = None
    p: FloatArray | None = None
    is_proven: BoolArray | None = None


class SideSignals(Protocol):
    """Where the panel asks for signals that orders' rows do not answer."""

    def table(self, signal: Signal) -> SignalTable:
        """Read one of `model.rules.SIDE_SIGNALS`; its window and argument count, not its matchers."""
        ...
