"""What a buyer may be told: when the goods will come, how sure that is, and when we speak next.

Everything is conditional on the age already waited: after two minutes the orders that came in five
seconds are no comparison any more. Where the basis is weak no time is given at all, only the time
of the next word, because a false range costs more trust than none.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from monitor.core.signals.curve import SurvivalCurve

Confidence = Literal["high", "medium", "low"]
Reason = Literal["few_data", "volatile", "source_silent", "incident"]

LOW_BELOW = 20
HIGH_FROM = 200
VOLATILE_SPREAD = 10.0
"""Rest of the wait at p90 over that at p50: 2.8 on a calm day, 10 when a part of the orders hangs."""

_SHORTEST_S = 1.0


class Eta(msgspec.Struct, frozen=True):
    """The prospect of one order in flight; instants in Unix ms.

    p50 and p90 are None when no time is promised or the curve does not reach that far; `p_late` is
    the probability of delivery after the promise, None when nothing is known.
    """

    promised_at_ms: int
    p50_at_ms: int | None
    p90_at_ms: int | None
    p_late: float | None
    confidence: Confidence
    reason: Reason | None
    next_word_at_ms: int


class Quote(msgspec.Struct, frozen=True):
    """The prospect of an order not bought yet; seconds, None where the curve does not reach."""

    p50_s: float | None
    p90_s: float | None
    p_late: float | None
    promise_s: float
    n: int


def estimate(
    curve: SurvivalCurve,
    paid_ms: int,
    promise_ms: int,
    now_ms: int,
    *,
    source_silent: bool,
    incident: bool,
    next_word_ms: int,
) -> Eta:
    """Prospect of an order paid at `paid_ms` and still in flight at `now_ms`.

    `promise_ms` and `next_word_ms` are durations: after paid, and after now. While its source is
    silent nothing is known about the order, so not even `p_late` is given.
    """
    age_s = max(0, now_ms - paid_ms) / 1000.0
    p50_s = curve.remaining_quantile(age_s, 0.5).value_s
    p90_s = curve.remaining_quantile(age_s, 0.9).value_s
    confidence, reason = _confidence(
        curve.n_events,
        None if p50_s is None else p50_s - age_s,
        None if p90_s is None else p90_s - age_s,
        source_silent=source_silent,
        incident=incident,
    )
    is_promised = confidence != "low"
    return Eta(
        promised_at_ms=paid_ms + promise_ms,
        p50_at_ms=_instant(paid_ms, p50_s) if is_promised else None,
        p90_at_ms=_instant(paid_ms, p90_s) if is_promised else None,
        p_late=(None if source_silent else _p_late(curve, promise_ms / 1000.0, age_s)),
        confidence=confidence,
        reason=reason,
        next_word_at_ms=now_ms + max(0, next_word_ms),
    )


def quote(curve: SurvivalCurve, promise_ms: int) -> Quote:
    """Prospect of an order bought now, against a promise in ms; `n` orders stand behind it."""
    return Quote(
        p50_s=curve.quantile(0.5).value_s,
        p90_s=curve.quantile(0.9).value_s,
        p_late=_p_late(curve, promise_ms / 1000.0, 0.0),
        promise_s=promise_ms / 1000.0,
        n=curve.n,
    )


def _p_late(curve: SurvivalCurve, promise_s: float, age_s: float) -> float | None:
    """Probability to be late; None before the first delivery, for then everything looks late."""
    if curve.n_events == 0 and age_s < promise_s:
        return None
    return curve.probability_later_than(promise_s, age_s)


def _confidence(
    n_events: int,
    p50_rest_s: float | None,
    p90_rest_s: float | None,
    *,
    source_silent: bool,
    incident: bool,
) -> tuple[Confidence, Reason | None]:
    """How far the estimate may be trusted, and the first reason why not further."""
    if source_silent:
        return "low", "source_silent"
    if incident:
        return "low", "incident"
    if n_events < LOW_BELOW:
        return "low", "few_data"
    if p50_rest_s is None:
        return "low", "volatile"
    if n_events < HIGH_FROM:
        return "medium", "few_data"
    if p90_rest_s is None or p90_rest_s > VOLATILE_SPREAD * max(p50_rest_s, _SHORTEST_S):
        return "medium", "volatile"
    return "high", None


def _instant(paid_ms: int, age_s: float | None) -> int | None:
    return None if age_s is None else paid_ms + round(age_s * 1000.0)
