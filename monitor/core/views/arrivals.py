"""How orders come in and payments are confirmed, as rules read it."""

from __future__ import annotations

import msgspec

from monitor.core.engine import Engine
from monitor.core.signals.arrivals import SHOP
from monitor.model.times import SECOND_MS, format_duration


class ArrivalView(msgspec.Struct, frozen=True):
    """Orders of one source, or of the shop (`*`): `observed` of `expected` in the window.

    `state`: ok, learning, no_data. `p` is the chance of so few; `is_proven` that chance is no
    explanation any more.
    """

    source: str
    state: str
    ratio: float | None
    observed: int
    expected: float
    window: str | None
    p: float
    is_proven: bool


class CallbackView(msgspec.Struct, frozen=True):
    """Payments of one provider: `paid` of `created` orders in the window, `usual` of old.

    `lag_s` is the 95th percentile of the wait for a confirmation; null without one.
    """

    provider: str
    state: str
    ratio: float | None
    paid: int
    created: int
    usual: float | None
    window: str | None
    p: float
    is_proven: bool
    lag_s: float | None


def arrivals(engine: Engine, now_ms: int) -> list[ArrivalView]:
    """Every source, the shop first; empty before the first order."""
    control, tallies = engine.control, engine.shard.tallies
    return [
        ArrivalView(
            source=one.source or "*",
            state=one.state,
            ratio=one.ratio,
            observed=one.observed,
            expected=one.expected,
            window=_window(one.window_ms),
            p=one.p,
            is_proven=one.is_proven,
        )
        for one in control.learning.arrivals_now(tallies, now_ms)
    ]


def callbacks(engine: Engine, now_ms: int) -> list[CallbackView]:
    """Every provider of which an order was created."""
    control, tallies = engine.control, engine.shard.tallies
    return [
        CallbackView(
            provider=one.provider,
            state="learning" if one.usual is None else "ok",
            ratio=one.ratio,
            paid=one.paid,
            created=one.created,
            usual=one.usual,
            window=_window(one.window_ms) if one.created else None,
            p=one.p,
            is_proven=one.is_proven,
            lag_s=one.lag_s,
        )
        for one in control.learning.callbacks_now(tallies, now_ms)
    ]


def shop_arrival_ratio(engine: Engine, now_ms: int) -> float | None:
    """Orders seen ÷ expected of the whole shop; None while that is being learned."""
    readings = engine.control.learning.arrivals_now(engine.shard.tallies, now_ms)
    return next((one.ratio for one in readings if one.source == SHOP), None)


def _window(span_ms: int) -> str | None:
    return format_duration(span_ms // SECOND_MS * SECOND_MS) if span_ms else None
