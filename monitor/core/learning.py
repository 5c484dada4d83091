"""What is normal, learned as hours go by: delays per channel, arrivals, payments.

Baselines change the limits of charts, so each is a decision in the log with what it rests on. What
is learned of arrivals and payments only says what an hour usually brings; it is a measurement, kept
in the snapshot. A few channels are looked at in one look, so that none takes long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.core.orders.tallies import Tallies
from monitor.core.signals import baseline as baselines_of
from monitor.core.signals.arrivals import ArrivalReading, Arrivals, ArrivalsSnapshot
from monitor.core.signals.calendar import Offsets
from monitor.core.signals.callbacks import CallbackReading, Callbacks, CallbacksSnapshot
from monitor.core.signals.charts import Charts
from monitor.core.signals.drift import Settled, settled
from monitor.core.signals.paces import Paces
from monitor.model.baselines import Baseline
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import BaselineLearned
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

LOOK_MS = 5 * MINUTE_MS
VOLUME_MS = 3 * DAY_MS
"""Span whose orders say how many come in thirty days; paces are kept at least that long."""
PER_LOOK = 8
"""Channels that one look learns: a day of a busy one takes some milliseconds."""

CANARY_CAUTION = 3
"""A shop whose traffic is mostly our own orders allows a third as many false alarms per order."""


class Learning:
    """Baselines by channel, and the usual week of arrivals and payments."""

    def __init__(self, offsets: Offsets) -> None:
        self.offsets = offsets
        self.baselines: dict[str, Baseline] = {}
        self._arrivals: Arrivals | None = None
        self._callbacks: Callbacks | None = None
        self._hour: int | None = None
        self._new = _Turns(LOOK_MS)
        self._due = _Turns(HOUR_MS)

    @property
    def is_behind(self) -> bool:
        """Whether some channels wait for the next look."""
        return bool(self._new.waiting or self._due.waiting)

    def configure(self, offsets: Offsets) -> None:
        """Take over the shop's time zone; a week that was learned in another one starts anew."""
        if tuple(offsets) == tuple(self.offsets):
            return
        self.offsets = offsets
        self._arrivals = None

    def learn(self, tallies: Tallies, charts: Charts, now_ms: int) -> Iterator[BaselineLearned]:
        """Once an hour learn what is due; the caller applies each decision before the next.

        What a new channel shows at first is looked at sooner.
        """
        self._begin(now_ms)
        paces = tallies.paces
        names = (ALL_ORDERS, *paces.channels())
        new = self._new.take([name for name in names if name not in self.baselines], now_ms)
        due = self._due.take(names, now_ms)
        orders_30d = _orders_30d(tallies, now_ms) if new or due else 0
        for channel in new:
            seen = self._first_look(channel, paces, charts, orders_30d, now_ms)
            if seen is not None:
                yield BaselineLearned(seen, now_ms)
        self._learn_week(tallies, now_ms)
        for channel in due:
            learned = self._learned(channel, paces, charts, orders_30d, now_ms)
            if learned is not None:
                yield BaselineLearned(learned, now_ms)

    def apply(self, decision: BaselineLearned) -> None:
        """Make a baseline the one that counts; live and in recovery alike."""
        self.baselines[decision.baseline.channel] = decision.baseline

    def arrivals_now(self, tallies: Tallies, now_ms: int) -> tuple[ArrivalReading, ...]:
        """How orders come in, per source and for the shop."""
        self._begin(now_ms)
        assert self._arrivals is not None
        return self._arrivals.evaluate(tallies.arrivals, now_ms)

    def callbacks_now(self, tallies: Tallies, now_ms: int) -> tuple[CallbackReading, ...]:
        """How payments are confirmed, per provider."""
        self._begin(now_ms)
        assert self._callbacks is not None
        return self._callbacks.evaluate(tallies.callbacks, now_ms)

    def snapshot(self) -> tuple[ArrivalsSnapshot | None, CallbacksSnapshot | None]:
        """What was learned of arrivals and payments; None before the first look."""
        return (
            None if self._arrivals is None else self._arrivals.snapshot(),
            None if self._callbacks is None else self._callbacks.snapshot(),
        )

    def restore(
        self,
        baselines: list[Baseline],
        arrivals: ArrivalsSnapshot | None,
        callbacks: CallbacksSnapshot | None,
    ) -> None:
        """Take over a snapshot, but no week learned in another time zone.

        Say `resume` once the state is whole.
        """
        self.baselines = {baseline.channel: baseline for baseline in baselines}
        self._arrivals = None
        # One that does not say its time zone was written before any did, and is believed.
        if arrivals is not None and arrivals.offsets in (None, tuple(self.offsets)):
            self._arrivals = Arrivals.restore(arrivals, self.offsets)
        self._callbacks = Callbacks.restore(callbacks) if callbacks else None

    def resume(self, heard_ms: int, now_ms: int) -> None:
        """The monitor did not run between these instants: nothing is expected of that time."""
        for one in (self._arrivals, self._callbacks):
            if one is not None and heard_ms < now_ms:
                one.not_observing(heard_ms, now_ms)

    def _begin(self, now_ms: int) -> None:
        """The first look at the shop: nothing before it is known."""
        if self._arrivals is None:
            self._arrivals = Arrivals(now_ms, self.offsets)
        if self._callbacks is None:
            self._callbacks = Callbacks(now_ms)

    def _learn_week(self, tallies: Tallies, now_ms: int) -> None:
        """Once an hour take in the hours of arrivals and payments that are old enough."""
        hour = now_ms // HOUR_MS
        if self._hour == hour:
            return
        self._hour = hour
        assert self._arrivals is not None
        assert self._callbacks is not None
        self._arrivals.learn(tallies.arrivals, now_ms)
        self._callbacks.learn(tallies.callbacks, now_ms)

    def _first_look(
        self, channel: str, paces: Paces, charts: Charts, orders_30d: int, now_ms: int
    ) -> Baseline | None:
        """The first baseline of a channel without any, while nothing is wrong with it."""
        chart = charts.reading(channel)
        is_wrong = chart is not None and (chart.is_broken or 2 * chart.cusum > chart.limit)
        if is_wrong or channel in self.baselines:  # learned since it began to wait
            return None
        return baselines_of.first_look(paces, channel, orders_30d=orders_30d, now_ms=now_ms)

    def _learned(
        self, channel: str, paces: Paces, charts: Charts, orders_30d: int, now_ms: int
    ) -> Baseline | None:
        previous = self.baselines.get(channel)
        peak = charts.peak(channel, now_ms)
        chart = charts.reading(channel)
        # An alarm in which no promises break says that normal has changed, not that it is missed.
        is_disputed = chart is not None and chart.is_alarm and not chart.is_broken
        if not baselines_of.is_due(previous, paces, channel, peak, now_ms, is_disputed=is_disputed):
            return None
        is_calm = chart is None or not chart.is_alarm or is_disputed
        until_ms = baselines_of.learnable_until(now_ms)
        return baselines_of.learn(
            previous,
            paces,
            channel,
            excluded_hours=charts.excluded_hours(channel, now_ms),
            peak=peak,
            orders_30d=orders_30d,
            offsets=self.offsets,
            now_ms=now_ms,
            news=self._news(previous, paces, until_ms) if is_calm else None,
        )

    def _news(self, previous: Baseline | None, paces: Paces, until_ms: int) -> Settled | None:
        """Whether delays have settled at another level than was learned."""
        if previous is None or baselines_of.is_preliminary(previous):
            return None
        return settled(previous, paces, self.offsets, until_ms)


class _Turns:
    """Channels of which each is looked at once in a period, `PER_LOOK` of them at a time."""

    def __init__(self, every_ms: int) -> None:
        self.waiting: dict[str, None] = {}
        self._every_ms = every_ms
        self._period: int | None = None

    def take(self, channels: Sequence[str], now_ms: int) -> list[str]:
        """Whose turn it is; who has waited since the last period comes before all others."""
        period = now_ms // self._every_ms
        if self._period != period:
            self._period = period
            self.waiting |= dict.fromkeys(channels)
        taken = list(self.waiting)[:PER_LOOK]
        for name in taken:
            del self.waiting[name]
        return taken


def _orders_30d(tallies: Tallies, now_ms: int) -> int:
    """Orders in thirty days at the pace of the last ones, as limits of charts count them."""
    paces = tallies.paces
    first_ms = paces.first_ms()
    if first_ms is None:
        return 0
    from_ms = max(first_ms, now_ms - now_ms % HOUR_MS - VOLUME_MS)
    span_ms = max(now_ms - from_ms, HOUR_MS)
    orders = round(paces.count(ALL_ORDERS, from_ms, now_ms) / span_ms * 30 * DAY_MS)
    return orders * CANARY_CAUTION if tallies.has_canaries else orders
