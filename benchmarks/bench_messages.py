"""How many messages a healthy shop gets from the shipped rules over orders, and how soon a slow one.

Shops sell on a real shop's week (nights with a twenty-fifth of the day), 0.5 % of their orders are
late. A message is an alert that fires. The same condition at a confidence of 99.9 % stands for
automatic actions: what a switch needs besides, a tripped breaker, can only make them fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.bench_detection import healthy_pages
from benchmarks.detection import CANARY_TIMES, monthly
from benchmarks.engine_shop import Fault, baselines, broken, delivered_only, told
from benchmarks.healthy_shop import Orders, month
from benchmarks.messages import (
    Episode,
    episodes,
    late_within,
    looks_of_mean,
    looks_of_ratio,
    panel_episodes,
    silent_spells,
    with_confidence,
)
from benchmarks.row import Row
from benchmarks.shop import START_MS
from monitor.config.rules_file import load_shipped
from monitor.core.signals.arrays import FloatArray
from monitor.model.errors import InvariantError
from monitor.model.rules import Rule
from monitor.model.settings import SourceSettings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

SEED = 20_260_112
GROUP = "messages"
VOLUMES = (50, 300, 2_000)
ACTION_CONFIDENCE = 0.999
PATIENT = (SourceSettings("shop", heartbeat_ms=24 * HOUR_MS),)
"""A source whose nights are no silence: what these figures are about is rules over orders."""
ENGINE_FAULTS = (
    ("outage at 1/min", Fault(1, 20 * MINUTE_MS, 15 * MINUTE_MS), 315.0),
    ("outage at 10/min", Fault(10, 8 * MINUTE_MS, 4 * MINUTE_MS), 70.0),
    ("outage at 100/min", Fault(100, 3 * MINUTE_MS, MINUTE_MS), 15.0),
    ("30 % stuck at 10/min", Fault(10, 8 * MINUTE_MS, 8 * MINUTE_MS, share=0.3), 260.0),
    (
        "outage at 100 a day with a canary a minute",
        Fault(100 / 1_440, 25 * MINUTE_MS, 8 * MINUTE_MS, has_canary=True),
        300.0,
    ),
)
_MONTHS = 80
_HEALTH_BACK_MS = 16 * MINUTE_MS


def shipped(alert: str) -> Rule:
    """One of the shipped rules."""
    return next(rule for rule in load_shipped().rules if rule.alert == alert)


def delayed(
    per_day: float,
    months: int,
    *,
    channels: int = 1,
    is_flat: bool = False,
    late_share: float = 0.005,
    seed: int = SEED,
) -> tuple[float, float]:
    """Messages and automatic actions of DelayedOver2Percent in thirty days of all channels."""
    rule = shipped("DelayedOver2Percent")
    strict = with_confidence(rule, ACTION_CONFIDENCE)
    messages = actions = 0
    for number in range(months * channels):
        rng = np.random.default_rng((seed, number))
        orders = month(rng, per_day / channels, late_share=late_share, is_flat=is_flat)
        messages += _count(episodes(rule, looks_of_ratio(rule, orders)))
        actions += _count(episodes(strict, looks_of_ratio(strict, orders)))
    return messages / months, actions / months


def mean_messages(
    per_day: float, days: int, runs: int, *, is_flat: bool = True, seed: int = SEED
) -> int:
    """Firings of MeanOver3Minutes in all the runs over a healthy shop."""
    rule = shipped("MeanOver3Minutes")
    shops = (
        month(np.random.default_rng((seed, run)), per_day, days, is_flat=is_flat)
        for run in range(runs)
    )
    return sum(_count(episodes(rule, looks_of_mean(rule, orders))) for orders in shops)


def slowed(alert: str, factor: int, per_day: float, runs: int, *, seed: int = SEED) -> FloatArray:
    """Seconds until a rule fires when all orders take so many times longer; infinity if never.

    Shapes: float64[runs]. Nothing is late before, so a firing before is an error.
    """
    rule = shipped(alert)
    looks = looks_of_mean if alert == "MeanOver3Minutes" else looks_of_ratio
    found = np.full(runs, np.inf)
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        healthy = month(rng, per_day, 1, late_share=0.0, is_flat=True)
        onset_ms = START_MS + 12 * HOUR_MS + int(rng.integers(0, HOUR_MS))
        delays = healthy.end_ms - healthy.paid_ms
        delays = np.where(healthy.paid_ms >= onset_ms, factor * delays, delays)
        orders = Orders(healthy.paid_ms, healthy.paid_ms + delays)
        fired = [one.fired_ms for one in episodes(rule, looks(rule, orders))]
        if fired and fired[0] < onset_ms:
            raise InvariantError("it fired before anything was slow")
        found[run] = (fired[0] - onset_ms) / SECOND_MS if fired else np.inf
    return found


def one_stuck_of_ten() -> Orders:
    """Nine orders of six seconds and one that waits for an hour among them."""
    paid = START_MS + np.arange(10) * MINUTE_MS
    wait = np.where(np.arange(10) == 4, HOUR_MS, 6 * SECOND_MS)
    return Orders(paid, paid + wait)


def weekly(
    alert: str, per_day: float, days: int, *, seed: int = SEED, late_share: float = 0.005
) -> float:
    """Firings a week of a rule of any signal of rows, looked at where orders are slow."""
    rule = shipped(alert)
    orders = month(np.random.default_rng(seed), per_day, days, late_share=late_share)
    where = late_within(orders, MINUTE_MS, _HEALTH_BACK_MS, rule.interval_ms)
    return _count(panel_episodes(rule, orders, where)) * 7 / days


def silences_weekly(per_day: float, days: int, *, seed: int = SEED) -> float:
    """How often a week a healthy source is called silent, after a fortnight of learning."""
    orders = month(np.random.default_rng(seed), per_day, days + 14)
    early = orders.paid_ms < START_MS + 14 * DAY_MS
    before = silent_spells(Orders(orders.paid_ms[early], orders.end_ms[early]))
    return (silent_spells(orders) - before) * 7 / days


def rows(scale: float) -> Iterator[Row]:
    """All figures; scale 1.0 takes about five minutes."""
    yield from _delayed_rows(max(4, round(_MONTHS * scale)))
    yield from _mean_rows(scale)
    yield from _other_rows(scale)
    yield from _engine_rows(scale)


def _delayed_rows(months: int) -> Iterator[Row]:
    for per_day in VOLUMES:
        messages, actions = delayed(per_day, months)
        note = f"{months} months, 0.5 % late, a real week's curve, seed {SEED}"
        what = f'false ">2 %" messages at {per_day:,} orders a day'
        yield Row(GROUP, what, messages, "per 30 d", 1.6, "lower", note)
        what = f"automatic actions at {per_day:,} orders a day"
        note = f"the same months at confidence {ACTION_CONFIDENCE}, breaker not asked"
        yield Row(GROUP, what, actions, "per 30 d", 0.2, "lower", note)
    few = max(2, months // 4)
    variants: Sequence[tuple[str, Callable[[], tuple[float, float]]]] = (
        ("2,000 a day at a flat rate", lambda: delayed(2_000, few, is_flat=True)),
        ("2,000 a day over 3 channels, together", lambda: delayed(2_000, few, channels=3)),
        ("2,000 a day, 1 % late", lambda: delayed(2_000, few, late_share=0.01)),
    )
    for what, measured in variants:
        messages, actions = measured()
        note = f"{few} months; at confidence {ACTION_CONFIDENCE}: {actions:.2f}"
        yield Row(GROUP, f'false ">2 %" messages, {what}', messages, "per 30 d", note=note)


def _mean_rows(scale: float) -> Iterator[Row]:
    fired = mean_messages(1_440, 90, 1)
    what = "firings of the mean rule, healthy shop at 1/min"
    note = "90 days, flat, 0.5 % stuck for 30 to 120 min"
    yield Row(GROUP, what, fired, "", 0.0, "lower", note)
    runs = max(1, round(5 * scale))
    fired = mean_messages(1_440, 90, runs, seed=SEED + 1)
    note = f"{runs} x 90 days more; three stuck orders of ten are rare, not impossible"
    yield Row(GROUP, what + ", more days", fired / runs, "per 90 d", note=note)
    for per_day in (100, 1_440):
        # Where ten orders take hours, two stuck ones among them are a mean over three minutes.
        fired = mean_messages(per_day, 90, runs, is_flat=False)
        note = f"{runs} x 90 days on a real week's curve"
        what = f"firings of the mean rule, healthy shop at {per_day:,} orders a day"
        yield Row(GROUP, what, fired / runs, "per 90 d", note=note)
    yield from _slow_rows(max(20, round(200 * scale)))
    rule, orders = shipped("MeanOver3Minutes"), one_stuck_of_ten()
    fired = _count(episodes(rule, looks_of_mean(rule, orders)))
    what = "firings of the mean rule: nine orders at 6 s, one stuck for an hour"
    yield Row(GROUP, what, fired, "", 0.0, "lower", "looked at at every instant")


def _slow_rows(runs: int) -> Iterator[Row]:
    """Twenty times the usual is a mean of 3 min 40 s, and hardly over three without its worst."""
    for alert, factor, limit in (
        ("MeanOver3Minutes", 40, 20.0),
        ("MeanOver3Minutes", 20, 60.0),
        ("DelayedOver2Percent", 20, 20.0),
    ):
        seconds = slowed(alert, factor, 1_440, runs)
        note = f"{runs} runs at 1/min"
        for share, name in ((0.5, "median"), (0.9, "p90")):
            minutes = float(np.quantile(seconds, share, method="higher")) / 60
            what = f"all orders take {factor} times as long, time to {alert}, {name}"
            yield Row(GROUP, what, minutes, "min", limit, "lower", note)


def _other_rows(scale: float) -> Iterator[Row]:
    sizes = ((50, 90), (300, 30), (1_440, 10))
    for alert in ("HealthIndexLow", "OldestOrderWaiting"):
        for per_day, full in sizes:
            days = max(7, round(full * scale))
            what = f"{alert} in a healthy shop at {per_day:,} orders a day"
            note = f"{days} days, 0.5 % stuck for 30 to 120 min"
            yield Row(GROUP, what, weekly(alert, per_day, days), "per week", note=note)
    for per_day in VOLUMES:
        days = max(14, round(90 * scale))
        what = f"SourceSilent in a healthy shop at {per_day:,} orders a day"
        note = f"{days} days on a real week's curve, no heartbeat configured"
        yield Row(GROUP, what, silences_weekly(per_day, days), "per week", note=note)


def _engine_rows(scale: float) -> Iterator[Row]:
    """The same targets as in `bench_detection`, through the whole engine as it is shipped."""
    runs = max(10, round(60 * scale))
    for what, fault, limit_s in ENGINE_FAULTS:
        known = baselines(fault.per_minute)
        if fault.has_canary:
            known = baselines(fault.per_minute + 1, times=CANARY_TIMES)
        found = [broken(fault, known, seed) for seed in range(runs)]
        seconds = np.array([run.seconds_to("DeliveryStalled") for run in found])
        note = f"{runs} runs on the whole engine, shipped rules, baselines of a month"
        for share, name, target in ((0.5, "median", None), (0.9, "p90", limit_s)):
            value = float(np.quantile(seconds, share, method="higher"))
            yield Row(GROUP, f"engine: {what}, {name}", value, "s", target, "lower", note)
        early = sum(run.early_pages() for run in found)
        yield Row(GROUP, f"engine: {what}, pages before", early, "", 0.0, "lower", note)
        if fault.share == 1:
            blind = [delivered_only(run, told(run)) for run in found]
            note = f"the same {runs} runs; late share: {np.mean([one for _, one in blind]):.2f}"
            by_mean = float(np.mean([one for one, _ in blind]))
            title = f"engine: {what}, a mean of delivered orders fires"
            yield Row(GROUP, title, by_mean, "share", 0.0, "lower", note)
    days = max(180, round(1_500 * scale))
    rate = 1 + 100 / 1_440
    pages = healthy_pages(rate, days, orders_30d=CANARY_TIMES * monthly(rate))
    what = "false pages at 100 orders a day with a canary a minute"
    note = f"charts without caution and guard, {days} days; each order counts {CANARY_TIMES} times"
    yield Row(GROUP, what, pages * 7 / days, "per week", 0.1, "lower", note)


def _count(found: Iterator[Episode]) -> int:
    return sum(1 for _ in found)
