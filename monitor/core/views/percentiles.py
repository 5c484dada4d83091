"""How long deliveries take in one window, with how sure that is: percentiles and the mean's bound."""

from __future__ import annotations

import msgspec
import numpy as np

from monitor.core.signals.curve import SurvivalCurve
from monitor.core.signals.observation import Kind
from monitor.core.signals.scope import Scope
from monitor.core.signals.survival import mean_lower_bound_s as lower_bound_of
from monitor.model.rules import QUANTILES


class PercentileView(msgspec.Struct, frozen=True):
    """Seconds; a percentile that is not reached is null with a lower bound.

    `ci_low` and `ci_high` are its 95 % interval, null where the band does not come down so far; the
    counts are those of the orders it rests on: delivered, and waiting or closed without delivery.
    """

    value: float | None
    lower_bound: float
    ci_low: float | None
    ci_high: float | None
    n_events: int
    n_censored: int
    estimator: str = "km_period"


def percentiles(curve: SurvivalCurve) -> dict[str, PercentileView]:
    """All percentiles of the API by name, `p50` and so on."""
    found = curve.quantiles(tuple(QUANTILES.values()))
    return {
        name.removesuffix("_delay"): PercentileView(
            value=one.value_s,
            lower_bound=one.lower_bound_s,
            ci_low=one.ci_low_s,
            ci_high=one.ci_high_s,
            n_events=curve.n_events,
            n_censored=curve.n_censored,
        )
        for name, one in zip(QUANTILES, found, strict=True)
    }


def mean_lower_bound_s(scope: Scope, since_ms: int) -> float | None:
    """What the mean delay cannot be below: orders that ended in the window and those that wait.

    Seconds. An order closed without delivery counts with the age it would have by now.
    """
    rows = scope.rows
    ended = ~rows.is_open & (rows.end_ms > since_ms) & (rows.end_ms <= scope.now_ms)
    chosen = scope.mask & (rows.is_open | ended) & (rows.paid_ms <= scope.now_ms)
    ages = scope.now_ms - rows.paid_ms
    spent = np.where(rows.kind == Kind.DELIVERED, rows.wait_ms(scope.now_ms), ages)
    return lower_bound_of(spent[chosen])
