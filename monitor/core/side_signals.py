"""Signals that no order row answers, put together for one instant: what rules read beside the rows.

Each is read when a rule asks for it.

    cusum_ratio speed_ratio          the charts, by channel
    arrival_ratio                    orders against those expected, by source
    paid_ratio callback_lag          payments against orders, by provider
    burn_rate budget_remaining       the book of judged orders, by channel
    source_age source_silent         the sources themselves
    baseline(signal)                 a limit a person took over, else what was learned, by channel
    stock(sku)                       keys left in the pool
    wallet wallet_left webhook_state stock_gap     what was measured outside
    worker_ratio event_lag unattempted_age unbooked_age     what is missing of each source
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from monitor.core.orders.absences import Absence, Missed
from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrivals import ArrivalReading, arrival_table
from monitor.core.signals.calendar import Offsets, hour_of_week
from monitor.core.signals.callbacks import CallbackReading, lag_table, paid_table
from monitor.core.signals.charts import ChartReading
from monitor.core.signals.gauges import Gauges
from monitor.core.signals.normal import normal_s
from monitor.core.signals.slo import SloBook
from monitor.model.baselines import Baseline
from monitor.model.errors import InvariantError
from monitor.model.ids import ALL_ORDERS
from monitor.model.rules import ABSENCE_SIGNALS, BUDGET_SIGNALS, RuleSet, Signal
from monitor.model.times import SECOND_MS


class SourceView(msgspec.Struct, frozen=True):
    """A source as rules see it."""

    name: str
    age_ms: int
    is_silent: bool


class SideSignals(msgspec.Struct, frozen=True, eq=False):
    """Keeps `core.rules.tables.SideSignals` over everything that control knows at one instant.

    What costs something to read is read when a rule asks for it.
    """

    charts: Callable[[], Mapping[str, ChartReading]]
    arrivals: Callable[[], Sequence[ArrivalReading]]
    callbacks: Callable[[], Sequence[CallbackReading]]
    budgets: SloBook
    sources: Sequence[SourceView]
    baselines: Mapping[str, Baseline]
    stock: Mapping[str, int]
    gauges: Gauges
    absences: Callable[[], Sequence[Absence]]
    rules: RuleSet
    offsets: Offsets
    now_ms: int

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        """Read one signal by name. Raises: InvariantError for one that order rows answer."""
        match signal.name:
            case "cusum_ratio" | "speed_ratio":
                return self._charted(signal.name, is_split=is_split)
            case "arrival_ratio":
                return arrival_table(self.arrivals(), "source" if is_split else None)
            case "paid_ratio":
                return paid_table(self.callbacks())
            case "callback_lag":
                return lag_table(self.callbacks())
            case name if name in BUDGET_SIGNALS:
                return self.budgets.table(signal, self.rules.slos, self.now_ms, is_split=is_split)
            case "source_age" | "source_silent":
                return self._sourced(signal.name)
            case "baseline":
                return self._normal(signal.argument, is_split=is_split)
            case "stock":
                return _single(self.stock.get(signal.argument))
            case "wallet" | "wallet_left" | "webhook_state" | "stock_gap":
                return self.gauges.table(signal.name, self.now_ms)
            case name if name in ABSENCE_SIGNALS:
                return self._missed(ABSENCE_SIGNALS[name])
            case _:
                raise InvariantError(f"{signal.name} is read from orders")

    def _charted(self, name: str, *, is_split: bool) -> SignalTable:
        """One chart per channel; the one of all orders is among them once there are several."""
        charts = self.charts()
        channels = tuple(one for one in charts if one != ALL_ORDERS)
        names = tuple(charts) if len(channels) > 1 else channels
        if not is_split:
            names = (ALL_ORDERS,) if ALL_ORDERS in charts else ()
        chosen = [charts[one] for one in names]
        read = [one.ratio if name == "cusum_ratio" else one.speed_ratio for one in chosen]
        table = SignalTable(
            label="channel",
            names=names,
            values=_floats(read),
            k=np.array([one.observed for one in chosen], np.int64),
            n=np.array([round(max(one.expected, 0.0)) for one in chosen], np.int64),
        )
        return table if is_split else _unsplit(table)

    def _sourced(self, name: str) -> SignalTable:
        ages = [source.age_ms / SECOND_MS for source in self.sources]
        silences = [float(source.is_silent) for source in self.sources]
        return SignalTable(
            label="source",
            names=tuple(source.name for source in self.sources),
            values=_floats(ages if name == "source_age" else silences),
        )

    def _missed(self, part: str) -> SignalTable:
        found = self.absences()
        read: list[Missed] = [getattr(one, part) for one in found]
        return SignalTable(
            label="source",
            names=tuple(one.source for one in found),
            values=_floats([one.value for one in read]),
            k=np.array([one.k for one in read], np.int64),
            n=np.array([one.n for one in read], np.int64),
            is_proven=np.array([one.is_proven for one in read], np.bool_),
        )

    def _normal(self, signal: str, *, is_split: bool) -> SignalTable:
        hour = hour_of_week(self.now_ms, self.offsets)
        taken = {
            limit.channel or ALL_ORDERS: limit.limit_s(hour)
            for limit in self.rules.learned
            if limit.signal == signal
        }
        known = sorted({ALL_ORDERS, *taken, *self.baselines}) if is_split else [ALL_ORDERS]
        read = [
            taken[name] if name in taken else normal_s(self.baselines.get(name), signal, hour)
            for name in known
        ]
        table = SignalTable("channel", tuple(known), _floats(read))
        return table if is_split else _unsplit(table)


def _floats(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _single(value: float | None) -> SignalTable:
    return SignalTable(None, ("",), _floats([value]))


def _unsplit(table: SignalTable) -> SignalTable:
    """The one reading of a table for the whole shop; no data if it has none."""
    if not table.names:
        return _single(None)
    return msgspec.structs.replace(table, label=None, names=("",))
