"""A simulated shop with payment providers under the production `Callbacks`.

Buyers abandon 40 % of checkouts, a little more in some hours; confirmations take eight seconds in
the middle and 41 s at the 95th percentile, one in thirty-three minutes longer. Then one provider's
confirmations stop, while its orders go on being created.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from monitor.core.signals.callback_counts import CallbackCounter
from monitor.core.signals.callbacks import CallbackReading, Callbacks
from monitor.model.times import HOUR_MS, MINUTE_MS

START_MS = 1_767_571_200_000  # Monday 2026-01-05 00:00 UTC
_SLOW_SHARE = 0.03
_SLOW_MEAN_MS = 4 * MINUTE_MS
_BREAK_MINUTES = 60


class Checkout(msgspec.Struct, frozen=True):
    """A shop's payments: providers, orders a minute over all of them, share that is paid."""

    providers: tuple[str, ...] = ("alipay", "usdt", "wechat")
    orders_per_minute: float = 10.0
    paid_share: float = 0.6
    share_deviation: float = 0.03
    lag_median_s: float = 8.0
    lag_sigma: float = 1.0


class Payment(msgspec.Struct, frozen=True, order=True):
    """An order's creation, or (`created_ms` given) its payment."""

    at_ms: int
    provider: str
    created_ms: int | None = None


class Watched(msgspec.Struct, frozen=True, eq=False):
    """A monitor that has watched a checkout for some hours."""

    callbacks: Callbacks
    counter: CallbackCounter
    now_ms: int


def happenings(
    checkout: Checkout,
    hours: int,
    seed: int,
    start_ms: int = START_MS,
    dead: str = "",
    at_ms: int = 0,
) -> Iterator[list[Payment]]:
    """Creations and payments, an hour of creations at a time, each hour sorted by time.

    From `at_ms` on no payment of the provider `dead` is confirmed any more.
    """
    draw = np.random.default_rng(seed)
    rate = checkout.orders_per_minute * 60.0 / len(checkout.providers)
    for hour in range(hours):
        events: list[Payment] = []
        for provider in checkout.providers:
            n = int(draw.poisson(rate * draw.gamma(100.0, 0.01)))
            share = checkout.paid_share + checkout.share_deviation * draw.standard_normal()
            created = start_ms + hour * HOUR_MS + draw.integers(0, HOUR_MS, n)
            lags = (
                1000.0
                * checkout.lag_median_s
                * np.exp(checkout.lag_sigma * draw.standard_normal(n))
            )
            is_slow = draw.random(n) < _SLOW_SHARE
            lags = np.where(is_slow, lags + draw.exponential(_SLOW_MEAN_MS, n), lags)
            is_paid = draw.random(n) < share
            for at, lag, paid in zip(
                created.tolist(), lags.tolist(), is_paid.tolist(), strict=True
            ):
                events.append(Payment(at, provider))
                when = at + int(lag)
                if paid and not (provider == dead and when >= at_ms):
                    events.append(Payment(when, provider, at))
        events.sort(key=lambda event: event.at_ms)
        yield events


def watch(
    checkout: Checkout, hours: int, seed: int, *, judged_from: int
) -> tuple[Watched, dict[str, int]]:
    """Watch a healthy shop; alarms per provider from an hour on, an hour's pause between two."""
    callbacks, counter = Callbacks(START_MS), CallbackCounter()
    alarms = dict.fromkeys(checkout.providers, 0)
    last = dict.fromkeys(checkout.providers, -_BREAK_MINUTES - 1)
    late: list[Payment] = []
    for hour, fresh in enumerate(happenings(checkout, hours, seed)):
        start_ms = START_MS + hour * HOUR_MS
        pending = sorted([*late, *fresh], key=lambda event: event.at_ms)
        at = 0
        for minute in range(1, 61):
            now_ms = start_ms + minute * MINUTE_MS
            at = _feed(counter, pending, at, now_ms)
            if hour < judged_from:
                continue
            for reading in callbacks.evaluate(counter, now_ms):
                if reading.is_proven:
                    step = hour * 60 + minute
                    alarms[reading.provider] += step - last[reading.provider] > _BREAK_MINUTES
                    last[reading.provider] = step
        late = pending[at:]
        callbacks.learn(counter, start_ms + HOUR_MS)
    return Watched(callbacks, counter, START_MS + hours * HOUR_MS), alarms


def drought(
    watched: Watched, checkout: Checkout, dead: str, seed: int
) -> tuple[float, tuple[str, ...]]:
    """Minutes from the last confirmation to proof, and whom it names first; inf after two hours."""
    callbacks = Callbacks.restore(watched.callbacks.snapshot())
    counter = CallbackCounter.restore(watched.counter.snapshot())
    onset_ms = watched.now_ms + int(np.random.default_rng(seed).integers(10, 60)) * MINUTE_MS
    days = happenings(checkout, 3, seed + 1, watched.now_ms, dead, onset_ms)
    events = sorted((event for hour in days for event in hour), key=lambda event: event.at_ms)
    at = 0
    for now_ms in range(watched.now_ms + MINUTE_MS, watched.now_ms + 3 * HOUR_MS, 15_000):
        at = _feed(counter, events, at, now_ms)
        proven = _proven(callbacks.evaluate(counter, now_ms))
        if proven and now_ms > onset_ms:
            return (now_ms - onset_ms) / MINUTE_MS, proven
    return float("inf"), ()


def _proven(readings: tuple[CallbackReading, ...]) -> tuple[str, ...]:
    return tuple(reading.provider for reading in readings if reading.is_proven)


def _feed(counter: CallbackCounter, events: list[Payment], at: int, until_ms: int) -> int:
    """Tell the counter what happened before an instant; returns how far that is."""
    while at < len(events) and events[at].at_ms < until_ms:
        event = events[at]
        if event.created_ms is None:
            counter.created(event.provider, event.at_ms)
        else:
            counter.paid(event.provider, event.created_ms, event.at_ms)
        at += 1
    counter.advance((until_ms - 1) // MINUTE_MS)
    return at
