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

    `share_per_unit` turns a limit into a share of orders: values are `k / n / share_per_unit`. If it
    is not None, `> limit` needs the exact tail P(X >= k | n, limit * share_per_unit) to be at most
    1 - confidence, as for a ratio (a burn rate of 14.4 with a budget of 2 % is 28.8 % of orders; a
    share of 1 or more can never be shown to be exceeded).
    """

    label: str | None
    names: tuple[str, ...]
    values: FloatArray
    k: IntArray | None = None
    n: IntArray | None = None
    p: FloatArray | None = None
    is_proven: BoolArray | None = None
    share_per_unit: float | None = None


class SideSignals(Protocol):
    """Where the panel asks for signals that orders' rows do not answer."""

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        """Read one of `model.rules.SIDE_SIGNALS`; its window and argument count, not its matchers.

        `is_split`: a reading per name of the signal's label, for a rule that is split by it or
        matches it; else one reading for the whole shop.
        """
        ...
