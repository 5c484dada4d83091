"""What the pictures of signals show that are not read from orders: weeks, arrivals, payments, budgets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks import shop
from benchmarks.arrival_curve import MINUTES_OF_DAY, Crowd, days_of_arrivals
from benchmarks.arrival_sim import train
from benchmarks.callback_sim import Checkout, happenings
from benchmarks.detection import CHANNEL, paces_of
from monitor.core.orders.sources import Source
from monitor.core.signals.arrays import FloatArray, IntArray
from monitor.core.signals.arrivals import SHOP, ArrivalReading
from monitor.core.signals.baseline import learn
from monitor.core.signals.calendar import hours_of_week
from monitor.core.signals.callback_counts import CallbackCounter
from monitor.core.signals.callbacks import CallbackReading, Callbacks
from monitor.core.signals.normal import normal_s
from monitor.core.signals.slo import Fault, SloBook
from monitor.core.signals.thresholds import learn_thresholds
from monitor.model.baselines import HOURS
from monitor.model.rules import Slo, Window
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS

SEED = 20_260_105
FALL_AT_MIN = 14 * 60
FALL_LEFT = 0.4
SLO = Slo("delivery", 0.98)
BURN_WINDOWS = (("5m", 5 * MINUTE_MS), ("1h", HOUR_MS), ("6h", 6 * HOUR_MS))
BURN_FROM_MIN, BURN_UNTIL_MIN, BURN_END_MIN = 120, 165, 480
DEAD_FROM_MIN = 30


class Week(NamedTuple):
    """An hour of the week each: what `baseline(p95_delay)` learned, and the limit for 1 %; seconds."""

    usual_s: FloatArray
    limit_s: FloatArray
    orders_hour: IntArray
    orders_s: FloatArray


def week() -> Week:
    """Four weeks of a shop with 20 orders an hour, three times as slow at night."""
    rng = np.random.default_rng(SEED)
    orders = shop.healthy(rng, 1 / 3, 28 * DAY_MS)
    hours = hours_of_week(orders.paid_ms, ())
    is_night = hours % 24 < 7
    delays = (orders.delivered_ms - orders.paid_ms) * np.where(is_night, 3, 1)
    slower = shop.Orders(orders.paid_ms, orders.paid_ms + delays, orders.run)
    end_ms = shop.START_MS + 28 * DAY_MS
    baseline = learn(
        None, paces_of(slower), CHANNEL, excluded_hours=(), peak=0.0, orders_30d=len(delays),
        offsets=(), now_ms=end_ms + 2 * HOUR_MS,
    )  # fmt: skip
    assert baseline is not None
    usual = [normal_s(baseline, "p95_delay", hour) or np.nan for hour in range(HOURS)]
    limits = learn_thresholds(delays, np.ones(len(delays), np.bool_), hours, 0.01)
    return Week(np.array(usual), np.array(limits.by_hour_s), hours, delays / 1000.0)


def fall() -> tuple[IntArray, list[ArrivalReading], IntArray]:
    """A Monday on which from 14:00 on six of ten orders are missing, after six weeks of learning.

    Minutes of the day, the shop's reading at each, and orders per half hour; int64[48].
    """
    crowd = Crowd(1, 1_000)
    trained = train(crowd, SEED)
    rng = np.random.default_rng(SEED + 1)
    (day,) = days_of_arrivals(crowd, 1, SEED + 4)
    fallen = np.where(
        np.arange(MINUTES_OF_DAY)[:, None] >= FALL_AT_MIN, rng.binomial(day, FALL_LEFT), day
    )[:, 0]
    minutes, readings = [], []
    for minute, count in enumerate(fallen.tolist()):
        at_ms = trained.now_ms + minute * MINUTE_MS
        if count:
            trained.counter.add("shop-000", at_ms, count)
        if minute % 10 == 9:
            found = trained.arrivals.evaluate(trained.counter, at_ms + MINUTE_MS)
            readings.append(next(one for one in found if one.source == SHOP))
            minutes.append(minute + 1)
    return np.array(minutes), readings, fallen.reshape(48, 30).sum(axis=1)


def usual_half_hours() -> FloatArray:
    """Orders that a half hour of a Monday brings on average; float64[48]."""
    days = [day for index, day in enumerate(days_of_arrivals(Crowd(40, 1_000), 1, SEED + 3))]
    means: FloatArray = days[0].mean(axis=1).reshape(48, 30).sum(axis=1)
    return means


def drought() -> tuple[FloatArray, dict[str, list[CallbackReading]]]:
    """Two providers after a day of learning; from minute 30 on no payment of one is confirmed."""
    checkout = Checkout(providers=("alipay", "wechat"))
    callbacks, counter = Callbacks(shop.START_MS), CallbackCounter()
    start_ms = shop.START_MS + 26 * HOUR_MS
    dead_ms = start_ms + DEAD_FROM_MIN * MINUTE_MS
    hours = happenings(checkout, 27, SEED, shop.START_MS, "wechat", dead_ms)
    events = sorted((one for hour in hours for one in hour), key=lambda one: one.at_ms)
    at, minutes = 0, []
    readings: dict[str, list[CallbackReading]] = {name: [] for name in checkout.providers}
    for now_ms in range(shop.START_MS + MINUTE_MS, start_ms + HOUR_MS, MINUTE_MS):
        while at < len(events) and events[at].at_ms < now_ms:
            event = events[at]
            if event.created_ms is None:
                counter.created(event.provider, event.at_ms)
            else:
                counter.paid(event.provider, event.created_ms, event.at_ms)
            at += 1
        counter.advance((now_ms - 1) // MINUTE_MS)
        if now_ms % HOUR_MS == 0:
            callbacks.learn(counter, now_ms)
        if now_ms >= start_ms:
            minutes.append((now_ms - start_ms) / MINUTE_MS)
            for reading in callbacks.evaluate(counter, now_ms):
                readings[reading.provider].append(reading)
    return np.array(minutes), readings


class Silence(NamedTuple):
    """Minutes, `source_age` at each, how long a silence may last, and up to when it is believed."""

    minutes: FloatArray
    age_min: FloatArray
    limit_min: FloatArray
    quiet_min: float
    silent_min: float


def silence() -> Silence:
    """A source with an order a minute for a day that then says nothing for half an hour."""
    rng = np.random.default_rng(SEED)
    source = Source("shop", shop.START_MS, 0)
    now_ms = shop.START_MS
    while now_ms < shop.START_MS + DAY_MS:
        now_ms += round(rng.exponential(MINUTE_MS))
        source.hear(now_ms)
        source.count_order(now_ms)
    last_ms = source.last_ms
    instants = last_ms + np.arange(0, 31 * MINUTE_MS, 15_000)
    limits = [(source.limit_ms() or 0) / MINUTE_MS] * len(instants)
    ages = (instants - last_ms) / MINUTE_MS
    silent = next(at for at in instants.tolist() if source.is_quiet_too_long(at))
    quiet_ms = source.quiet_until_ms(int(instants[-1]))
    return Silence(
        ages, ages, np.array(limits), (quiet_ms - last_ms) / MINUTE_MS,
        (silent - last_ms) / MINUTE_MS,
    )  # fmt: skip


class Burn(NamedTuple):
    """Minutes, burn rates by window, and the share of the budget that is left."""

    minutes: IntArray
    rates: dict[str, FloatArray]
    left: FloatArray


def burn() -> Burn:
    """A hundred orders an hour, one of 200 late, for 30 days; then every second one for 45 minutes."""
    rng = np.random.default_rng(SEED)
    book = SloBook()
    start_ms = shop.START_MS + 30 * DAY_MS
    for hour in range(30 * 24):
        judged = rng.poisson(100)
        late = rng.binomial(judged, 0.005)
        at_ms = shop.START_MS + hour * HOUR_MS
        for number in range(judged):
            book.add(CHANNEL, at_ms + number * HOUR_MS // judged, Fault(is_breached=number < late))
    minutes: list[int] = []
    rates: dict[str, list[float]] = {name: [] for name, _ in BURN_WINDOWS}
    left: list[float] = []
    for minute in range(BURN_END_MIN):
        now_ms = start_ms + minute * MINUTE_MS
        share = 1 / 2 if BURN_FROM_MIN <= minute < BURN_UNTIL_MIN else 0.005
        for _ in range(rng.poisson(100 / 60)):
            book.add(CHANNEL, now_ms, Fault(is_breached=bool(rng.random() < share)))
        if minute % 3 == 0:
            minutes.append(minute)
            for name, span_ms in BURN_WINDOWS:
                spent = book.burn(SLO, Window(span_ms=span_ms), now_ms)
                rates[name].append(spent.value or 0.0)
            left.append(book.budget_remaining(SLO, now_ms).value or 0.0)
    return Burn(
        np.array(minutes),
        {name: np.array(values, np.float64) for name, values in rates.items()},
        np.array(left),
    )
