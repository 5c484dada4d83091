"""Random instants and random rules: rows of several channels and sources, side tables, conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from monitor.core.rules.tables import SignalTable
from monitor.core.signals.observation import Names, Observation, merge, observation
from monitor.model.rules import (
    SIDE_SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Matcher,
    Negation,
    Node,
    Number,
    Signal,
    Window,
)

NOW_MS = 1_800_000_000_000
YEAR_MS = 365 * 86_400_000
NAMES = Names(("b", "a", "c"), ("shop", "mall"), ("alipay", "unknown"), ("key", "card"))
Order = Mapping[str, int]

spans_ms = st.one_of(
    st.integers(-5_000, 2_000_000),
    st.sampled_from([0, 1_000, 5_000, 60_000, 180_000, 180_001, 600_000, 3_600_000, YEAR_MS]),
)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """One order as columns: any ending, also one before its payment or after now."""
    paid_ms = NOW_MS - draw(spans_ms)
    deadline_ms = paid_ms + draw(st.sampled_from([60_000, 180_000, YEAR_MS]))
    kind = draw(st.integers(0, 4))
    end_ms = paid_ms + draw(spans_ms) if kind else 0
    is_breached = draw(st.booleans()) if not kind else end_ms > deadline_ms
    return {
        "paid_ms": paid_ms,
        "deadline_ms": deadline_ms,
        "end_ms": end_ms,
        "breach_ms": deadline_ms if is_breached else 0,
        "taken_ms": draw(st.sampled_from([0, 0, 0, paid_ms + 90_000, NOW_MS - 100_000])),
        "kind": kind,
        "channel": draw(st.integers(0, 2)),
        "source": draw(st.integers(0, 1)),
        "provider": draw(st.integers(0, 1)),
        "sku": draw(st.integers(0, 1)),
        "is_held": draw(st.sampled_from([0] * 9 + [1])),
        "is_unconfirmed": draw(st.sampled_from([0] * 9 + [1])),
    }


TYPES = {"kind": np.int8, "is_held": np.bool_, "is_unconfirmed": np.bool_, "channel": np.int16,
         "source": np.int16, "provider": np.int16, "sku": np.int16}  # fmt: skip


def rows_of(written: Sequence[Order], keys: Sequence[int] | None = None) -> Observation:
    """Orders as the observation of one shard; their keys are their places unless given."""
    keyed = [
        {**order, "key": key}
        for key, order in zip(keys or range(len(written)), written, strict=False)
    ]
    names = [*TYPES, "paid_ms", "deadline_ms", "end_ms", "breach_ms", "taken_ms", "key"]
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.array([order[name] for order in keyed], TYPES.get(name, np.int64))
        for name in names
    }
    return merge([observation(columns, NAMES)])


class Side:
    """Side tables that say something different for every name."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self.numbers = numbers

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        label = SIDE_SIGNALS[signal.name] or None
        names = {"channel": ("a", "b", "z"), "source": ("mall", "shop")}.get(
            label or "", ("alipay",)
        )
        if not is_split or label is None:
            label, names = None, ("",)
        values = np.array([self.numbers[i % len(self.numbers)] for i in range(len(names))])
        if signal.name == "burn_rate":
            k, n = np.array([3, 1, 0])[: len(names)], np.array([10, 10, 0])[: len(names)]
            share = np.divide(k, n, out=np.full(len(names), np.nan), where=n > 0)
            return SignalTable(label, names, share / 0.02, k=k, n=n, share_per_unit=0.02)
        if signal.name in ("cusum_ratio", "paid_ratio"):
            is_proven = np.array([True, False, True])[: len(names)]
            p = np.array([0.001, 0.2, 0.0])[: len(names)]
            return SignalTable(label, names, values, p=p, is_proven=is_proven)
        return SignalTable(label, names, values)


sides = st.lists(
    st.sampled_from([0.0, 0.5, 1.0, 2.5, 180.0, float("nan")]), min_size=1, max_size=3
).map(Side)

windows = st.one_of(
    st.builds(Window, st.sampled_from([1_000, 60_000, 600_000, 3_600_000])),
    st.builds(Window, st.just(60_000), st.integers(1, 6), st.sampled_from([0, 60_000, 1_800_000])),
    st.builds(Window, last=st.integers(1, 6)),
)
matcher_lists = st.one_of(
    st.just(()),
    st.tuples(
        st.builds(
            Matcher,
            st.sampled_from(["channel", "source", "provider", "sku"]),
            st.sampled_from(["=", "!=", "=~", "!~"]),
            st.sampled_from(["a", "b", "a|c", "*a*", "shop", "key", "nobody"]),
        )
    ),
)
WINDOWED = ("delayed_ratio", "bad_ratio", "failed_ratio", "mean_delay", "p50_delay", "p90_delay",
            "p99_delay", "orders", "throughput", "health_index")  # fmt: skip
NOW = ("oldest_age", "open_orders", "consecutive_late", "health_index")
order_signals = st.one_of(
    st.builds(Signal, st.sampled_from(WINDOWED), windows, matcher_lists),
    st.builds(Signal, st.sampled_from(NOW), st.none(), matcher_lists),
)
signals = st.one_of(
    order_signals, order_signals, st.builds(Signal, st.sampled_from(sorted(SIDE_SIGNALS)))
)
numbers = st.sampled_from([0.0, 0.02, 0.3, 0.5, 1.0, 3.0, 60.0, 70.0, 180.0, 1e308]).map(Number)
values = st.recursive(
    st.one_of(signals, numbers),
    lambda inner: st.builds(Arithmetic, st.sampled_from("+-*/"), inner, inner),
    max_leaves=3,
)
operators = st.sampled_from([">", ">", ">", ">=", "<", "<=", "==", "!="])
comparisons = st.one_of(
    st.builds(Comparison, operators, signals, numbers),
    st.builds(Comparison, operators, numbers, signals),
    st.builds(Comparison, operators, values, values),
)
conditions: st.SearchStrategy[Node] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Negation, inner), st.builds(Logical, st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=4,
)
label_lists = st.sampled_from(
    [(), ("channel",), ("channel",), ("source",), ("channel", "source"), ("sku", "provider")]
)
worlds = st.lists(orders(), max_size=14)


@st.composite
def usual_orders(draw: st.DrawFn) -> Order:
    """One order of an ordinary half hour: most are delivered, soon or late, some still wait."""
    took_ms = draw(st.sampled_from([1_000, 5_000, 5_000, 9_000, 70_000, 200_000, 2_000_000]))
    is_open = draw(st.integers(0, 4)) == 0
    ago_ms = draw(st.integers(0, 1_800_000))
    paid_ms = NOW_MS - took_ms - (0 if is_open else ago_ms)
    breach_ms = paid_ms + 180_000 if took_ms > 180_000 else 0
    return {
        "paid_ms": paid_ms, "deadline_ms": paid_ms + 180_000, "breach_ms": breach_ms,
        "end_ms": 0 if is_open else NOW_MS - ago_ms, "kind": 0 if is_open else 1,
        "taken_ms": draw(st.sampled_from([0, 0, 0, paid_ms + 4_000])), "source": 0, "sku": 0,
        "channel": draw(st.integers(0, 2)), "provider": 0, "is_held": 0, "is_unconfirmed": 0,
    }  # fmt: skip


half_hours = st.lists(usual_orders(), min_size=1, max_size=30)
