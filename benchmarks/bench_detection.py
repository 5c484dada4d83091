"""How soon outages are paged, and how seldom a healthy shop is: the targets of the charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from benchmarks import shop
from benchmarks.detection import (
    CANARY_TIMES,
    WARM_MS,
    Increments,
    delivered_only,
    faults_ms,
    learned,
    monthly,
    pages,
    raised,
    seconds_to_page,
)
from benchmarks.row import Row
from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.core.signals.charts import STEP_MS
from monitor.core.signals.ledger import Waits, increments
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

SEED = 20_260_105
GROUP = "detection"
_RUNS = 600
_BARE = "; charts by increments + paths, without caution and guard"
_WEEK_MS = 7 * DAY_MS


class Fault(msgspec.Struct, frozen=True):
    """What breaks, and for how long it is watched; `share` of the orders never arrive."""

    per_minute: float
    watched_ms: int
    share: float = 1.0
    orders_30d: int = 0
    canary_ms: int = 0
    step_ms: int = STEP_MS  # between two evaluations


# At a hundred orders a minute something changes every second, and then charts are evaluated at once.
OUTAGES = {
    "total outage at 100 orders/min": (Fault(100, 5 * MINUTE_MS, step_ms=SECOND_MS), 10.0, 15.0),
    "total outage at 10 orders/min": (Fault(10, 10 * MINUTE_MS), 40.0, 70.0),
    "total outage at 1 order/min": (Fault(1, HOUR_MS), 180.0, 315.0),
    "one of three channels dead at 10 orders/min, own chart": (
        Fault(10 / 3, 15 * MINUTE_MS, orders_30d=monthly(10)), None, 130.0,
    ),
    "30 % of orders stuck at 10/min": (Fault(10, 30 * MINUTE_MS, share=0.3), None, 260.0),
    "outage at 100 orders a day with a canary a minute": (
        Fault(0.07, HOUR_MS, orders_30d=CANARY_TIMES * monthly(1.07), canary_ms=60 * SECOND_MS),
        None, 300.0,
    ),
}  # fmt: skip


def outage(
    fault: Fault, *, runs: int, seed: int = SEED, shops: int = 4, made: Increments = increments
) -> tuple[FloatArray, FloatArray]:
    """Seconds from the fault, and from the first order that hangs, to the page, in each run.

    Shapes: float64[runs] twice; infinity where no page came. The runs are shared out over some
    shops, each with a history and a baseline of its own.
    """
    parts = [
        _outages(np.random.default_rng(seed + shop_), fault, runs // shops, made)
        for shop_ in range(shops)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _outages(
    rng: np.random.Generator, fault: Fault, runs: int, made: Increments
) -> tuple[FloatArray, FloatArray]:
    rate = fault.per_minute + (MINUTE_MS / fault.canary_ms if fault.canary_ms else 0)
    # Above ten a minute a week is as good a history as a month, and quicker to make.
    span_ms = 28 * DAY_MS if rate <= 10 else 7 * DAY_MS
    baseline = learned(rng, rate, orders_30d=fault.orders_30d or monthly(rate), span_ms=span_ms)
    waits, faults = _broken(rng, fault, runs)
    seconds = seconds_to_page(waits, faults, baseline, fault.watched_ms, fault.step_ms, made)
    first = np.full(runs, shop.NEVER_MS)
    hangs = ~waits.is_delivered
    np.minimum.at(first, waits.channel[hangs], waits.paid_ms[hangs])
    return seconds, seconds - np.maximum(first - faults, 0) / 1000.0


def _broken(rng: np.random.Generator, fault: Fault, runs: int) -> tuple[Waits, IntArray]:
    span_ms = WARM_MS + fault.watched_ms
    orders = shop.healthy(rng, fault.per_minute, span_ms, runs=runs)
    if fault.canary_ms:
        orders = shop.with_canaries(rng, orders, fault.canary_ms, span_ms, runs)
    is_hit = None if fault.share == 1 else rng.random(len(orders.run)) < fault.share
    faults = faults_ms(rng, runs, fault.step_ms)
    return shop.broken(orders, faults, is_hit, is_total=fault.share == 1), faults


def blind_share(per_minute: float, *, runs: int, seed: int = SEED) -> tuple[float, float]:
    """In which share of total outages rules over delivered orders ever fire: mean, late share."""
    fault = Fault(per_minute, HOUR_MS)
    waits, _ = _broken(np.random.default_rng(seed), fault, runs)
    by_mean, by_share = delivered_only(waits, runs, fault.watched_ms)
    return float(by_mean.mean()), float(by_share.mean())


def healthy_pages(
    per_minute: float,
    days: int,
    *,
    charts: int = 1,
    orders_30d: int = 0,
    seed: int = SEED,
    made: Increments = increments,
) -> int:
    """Pages of a healthy shop, of all charts together; the rate is that of each chart."""
    rng = np.random.default_rng(seed)
    volume = orders_30d or monthly(per_minute * charts)
    baseline = learned(rng, per_minute, orders_30d=volume)
    orders = shop.healthy(rng, per_minute, days * DAY_MS, runs=charts)
    count, _ = pages(shop.waits(orders), baseline, charts=charts, span_ms=days * DAY_MS, made=made)
    return count


def varying_pages(
    per_minute: float, days: int, *, history_days: int, seed: int = SEED
) -> tuple[int, float]:
    """Pages where delays vary by ±30 % from block to block, and the limit that was learned."""
    rng = np.random.default_rng(seed)
    baseline = learned(rng, per_minute, orders_30d=monthly(per_minute))
    history = shop.healthy(rng, per_minute, history_days * DAY_MS, block_sigma=0.3)
    baseline = raised(baseline, shop.waits(history), history_days * DAY_MS)
    orders = shop.healthy(rng, per_minute, days * DAY_MS, block_sigma=0.3)
    count, _ = pages(shop.waits(orders), baseline, charts=1, span_ms=days * DAY_MS)
    return count, baseline.limit


def quantile(seconds: FloatArray, share: float) -> float:
    """The value a share of the runs did not exceed; no interpolation, infinity stays infinity."""
    return float(np.quantile(seconds, share, method="higher"))


def rows(scale: float) -> Iterator[Row]:
    """All figures; scale 1.0 takes about a minute."""
    runs = max(50, round(_RUNS * scale))
    yield from _outage_rows(runs)
    yield from _small_shop_rows(runs, scale)
    for per_minute in (1, 10):
        by_mean, by_share = blind_share(per_minute, runs=runs)
        note = f"{runs} total outages of an hour, windows of 5 min, seed {SEED}"
        what = f"outages at {per_minute}/min in which a rule over delivered orders fires: "
        yield Row(GROUP, what + "mean > 3 min", by_mean, "share", 0.05, "lower", note)
        yield Row(GROUP, what + "late > 2 %", by_share, "share", note=note + "; by luck")
    yield from _quiet_rows(scale)


def _outage_rows(runs: int) -> Iterator[Row]:
    for what, (fault, median, p90) in OUTAGES.items():
        seconds, _ = outage(fault, runs=runs)
        note = f"{runs} outages, seed {SEED}, evaluated every {fault.step_ms // SECOND_MS} s{_BARE}"
        yield Row(GROUP, f"{what}, median", quantile(seconds, 0.5), "s", median, "lower", note)
        yield Row(GROUP, f"{what}, p90", quantile(seconds, 0.9), "s", p90, "lower", note)


def _small_shop_rows(runs: int, scale: float) -> Iterator[Row]:
    whole, hanging = outage(Fault(0.07, 4 * HOUR_MS), runs=runs)
    what = "outage at 100 orders a day, "
    note = f"{runs} outages; two orders are needed, and 55 min is the p90 of the second to come"
    yield Row(GROUP, what + "p90 from the fault", quantile(whole, 0.9) / 60, "min", note=note)
    note = f"{runs} outages; before the first order hangs there is nothing to be seen"
    minutes = quantile(hanging, 0.9) / 60
    yield Row(GROUP, what + "p90 from the first stuck order", minutes, "min", 40, "lower", note)
    days = max(60, round(900 * scale))
    weekly = healthy_pages(0.07, days) * 7 / days
    what = "false pages at 100 orders a day"
    yield Row(GROUP, what, weekly, "per week", 0.1, "lower", f"{days} healthy days{_BARE}")


def _quiet_rows(scale: float) -> Iterator[Row]:
    repeats = max(4, round(12 * scale))
    weekly = _mean(lambda seed: healthy_pages(1, 90, seed=seed), repeats) * _WEEK_MS / (90 * DAY_MS)
    note = f"{repeats} times 90 healthy days{_BARE}"
    yield Row(GROUP, "false pages at 1 order/min", weekly, "per week", 0.3, "lower", note)
    count = healthy_pages(10, 20)
    yield Row(
        GROUP, "false pages at 10 orders/min", count, "in 20 d", 0, "lower", f"seed {SEED}{_BARE}"
    )
    days = max(4, round(28 * scale))
    count = healthy_pages(0.25, days, charts=40, orders_30d=monthly(10))
    note = f"{days} days at 10 orders/min in all, the shop's volume in every limit{_BARE}"
    yield Row(
        GROUP,
        "false pages of 40 scopes together",
        count * 7 / days,
        "per week",
        0.25,
        "lower",
        note,
    )
    for per_minute, full in ((1, 112), (10, 56)):
        days = max(14, round(full * scale))
        count, limit = varying_pages(per_minute, days, history_days=28)
        note = f"{days} days after 28 of learning; limit learned: {limit:.1f}{_BARE}"
        what = f"false pages at {per_minute}/min, delays ±30 % per 10 min"
        yield Row(GROUP, what, count * 7 / days, "per week", 0.25, "lower", note)


def _mean(measure: Callable[[int], float], repeats: int) -> float:
    return sum(measure(SEED + repeat) for repeat in range(repeats)) / repeats
