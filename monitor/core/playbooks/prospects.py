"""How probable it is that an order will be late: the ETA's own curve, kept for a minute."""

from __future__ import annotations

from monitor.core.engine_state import EngineState
from monitor.core.orders.order import Order
from monitor.core.signals.eta import LOW_BELOW
from monitor.core.views.curves import ChannelCurves
from monitor.model.times import SECOND_MS

KEPT_MS = 60 * SECOND_MS


class Prospects:
    """Curves of channels as they were at most `KEPT_MS` ago."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._curves: ChannelCurves | None = None
        self._made_ms = 0

    def p_late(self, order: Order, now_ms: int) -> float | None:
        """Probability to miss the promise; None with too few deliveries to say."""
        if self._curves is None or not 0 <= now_ms - self._made_ms < KEPT_MS:
            self._curves, self._made_ms = ChannelCurves(self._state, now_ms), now_ms
        curve = self._curves.of(self._state.channel_of(order))
        if curve.n_events < LOW_BELOW:
            return None
        age_s, promise_s = (ms / SECOND_MS for ms in (order.age_ms(now_ms), order.facts.promise_ms))
        return curve.probability_later_than(promise_s, age_s)
