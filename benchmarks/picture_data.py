"""What the pictures of docs/signals.md show: seeded shops, read by the functions of the product.

Nothing here computes a signal. Orders are made up, `seen` says what is known of them at an instant,
and `Panel`, `Charts`, `Arrivals` and the others answer as they do in the service.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import shop
from benchmarks.detection import learned, monthly
from monitor.core.rules.panel import Panel
from monitor.core.rules.tables import SignalTable
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.charts import STEP_MS, ChartReading, Charts
from monitor.core.signals.observation import Kind, Names, Observation, observation
from monitor.model.baselines import Baseline
from monitor.model.errors import InvariantError
from monitor.model.ids import ALL_ORDERS
from monitor.model.rules import Signal, Window
from monitor.model.times import DAY_MS, MINUTE_MS

SEED = 20_260_105
CHANNEL = "simulated"
PER_MINUTE = 10.0
PROMISE_MS = 3 * MINUTE_MS
FAULT_MIN, REPAIR_MIN, END_MIN = 30, 40, 60
"""The outage of most pictures: ten minutes of an hour in which nothing is delivered."""

NAMES = Names((CHANNEL,), ("shop",), ("pay",), ("card",))
TEN_MINUTES = Window(span_ms=10 * MINUTE_MS)


class Story(NamedTuple):
    """Orders of one shop: when each was paid and is delivered at last; int64[n] twice."""

    paid_ms: IntArray
    delivered_ms: IntArray


class NoTables:
    """Stands where the panel asks for signals that orders do not answer: these pictures ask none."""

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:  # noqa: ARG002 - a Protocol
        raise InvariantError(f"{signal.name} is not part of this picture")


def outage() -> Story:
    """Ten orders a minute for an hour; for ten minutes nothing is delivered, then all that waits.

    What hung is delivered within two minutes of the repair, in the order of payment.
    """
    rng = np.random.default_rng(SEED)
    orders = shop.healthy(rng, PER_MINUTE, END_MIN * MINUTE_MS)
    fault, repair = at_ms(FAULT_MIN), at_ms(REPAIR_MIN)
    is_hit = (orders.delivered_ms >= fault) & (orders.paid_ms < repair)
    late = repair + np.rint((orders.paid_ms - fault) * 0.2).astype(np.int64) + 10_000
    delivered = np.where(is_hit, np.maximum(late, orders.delivered_ms), orders.delivered_ms)
    return Story(orders.paid_ms, delivered)


def at_ms(minute: float) -> int:
    """An instant of the story."""
    return shop.START_MS + round(minute * MINUTE_MS)


def seen(story: Story, now_ms: int) -> Observation:
    """What is known at an instant: who has paid, who has the goods, who waits past the promise."""
    chosen = np.flatnonzero(story.paid_ms <= now_ms)
    paid, delivered = story.paid_ms[chosen], story.delivered_ms[chosen]
    is_open = delivered > now_ms
    deadline = paid + PROMISE_MS
    is_breached = np.minimum(delivered, now_ms) > deadline
    zeros, nowhere = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int16)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "paid_ms": paid, "deadline_ms": deadline, "end_ms": np.where(is_open, 0, delivered),
        "breach_ms": np.where(is_breached, deadline, 0), "taken_ms": zeros, "key": chosen,
        "kind": np.where(is_open, Kind.OPEN, Kind.DELIVERED).astype(np.int8),
        "channel": nowhere, "source": nowhere, "provider": nowhere, "sku": nowhere,
        "is_held": zeros.astype(np.bool_), "is_unconfirmed": zeros.astype(np.bool_),
    }  # fmt: skip
    return observation(columns, NAMES)


def panel(story: Story, now_ms: int) -> Panel:
    """The signals of an instant."""
    return Panel(seen(story, now_ms), NoTables(), now_ms)


def read(story: Story, signal: Signal, minutes: FloatArray) -> FloatArray:
    """A signal over time; NaN where it has no value, inf where a percentile is not reached."""
    found = []
    for minute in minutes.tolist():
        instant = panel(story, at_ms(minute))
        found.append(instant.read(signal, instant.domain(()), min_count=1).values[0])
    return np.array(found, np.float64)


def means(story: Story, window: Window, minutes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`mean_delay` and the mean without the worst 5 % over time, in seconds."""
    signal = Signal("mean_delay", window)
    trimmed = []
    for minute in minutes.tolist():
        instant = panel(story, at_ms(minute))
        value = instant.trimmed_s(signal, instant.domain(()), 0)
        trimmed.append(np.nan if value is None else value)
    return read(story, signal, minutes), np.array(trimmed, np.float64)


def delivered_quantile(story: Story, q: float, minutes: FloatArray) -> FloatArray:
    """What a monitor of deliveries shows: the quantile of delays delivered in the last 10 min."""
    found = []
    for minute in minutes.tolist():
        now_ms = at_ms(minute)
        is_done = (story.delivered_ms <= now_ms) & (
            story.delivered_ms > now_ms - TEN_MINUTES.span_ms
        )
        delays = (story.delivered_ms - story.paid_ms)[is_done]
        found.append(np.quantile(delays, q) / 1000 if delays.size else np.nan)
    return np.array(found, np.float64)


def lives(story: Story, minute: float) -> tuple[IntArray, IntArray, BoolArray]:
    """Ages at which orders entered and left the last ten minutes, and whether by delivery."""
    now_ms = at_ms(minute)
    since_ms = now_ms - TEN_MINUTES.span_ms
    chosen = (story.paid_ms < now_ms) & (story.delivered_ms > since_ms)
    paid, delivered = story.paid_ms[chosen], story.delivered_ms[chosen]
    entry = np.maximum(since_ms - paid, 0)
    return entry, np.minimum(delivered, now_ms) - paid, np.asarray(delivered <= now_ms)


def stuck_one() -> Story:
    """Nine orders delivered after 6 s, and one, paid at the beginning, that is never delivered."""
    paid = shop.START_MS + np.arange(10, dtype=np.int64) * 60_000
    delivered = paid + 6_000
    delivered[0] = shop.NEVER_MS
    return Story(paid, delivered)


def slow_down() -> Story:
    """A minute between two orders; from minute 20 on each takes five minutes instead of 8 s."""
    paid = shop.START_MS + np.arange(END_MIN, dtype=np.int64) * MINUTE_MS
    return Story(paid, paid + np.where(np.arange(END_MIN) < 20, 8_000, 300_000))


def two_days() -> Story:
    """A small shop: six orders an hour by day, one in two hours at night, each delivered in 8 s."""
    gaps = []
    minute = 0.0
    rng = np.random.default_rng(SEED)
    while minute < 2 * 1_440:
        is_night = minute % 1_440 < 8 * 60
        minute += rng.exponential(120.0 if is_night else 10.0)
        gaps.append(minute)
    paid = shop.START_MS + np.rint(np.array(gaps) * MINUTE_MS).astype(np.int64)
    return Story(paid, paid + 8_000)


def reach_min(story: Story, window: Window, minutes: FloatArray) -> FloatArray:
    """How far back a window reaches at each instant, in minutes."""
    found = []
    signal = Signal("delayed_ratio", window)
    for minute in minutes.tolist():
        instant = panel(story, at_ms(minute))
        since_ms = instant.since_ms(signal, instant.domain(()), 0)
        assert since_ms is not None
        found.append((at_ms(minute) - since_ms) / MINUTE_MS)
    return np.array(found, np.float64)


def charted(story: Story) -> tuple[FloatArray, list[ChartReading]]:
    """The chart of the channel every 5 s: minutes since the beginning, and what it says."""
    baseline = baseline_of_weeks()
    charts = Charts()
    minutes, found = [], []
    baselines = {CHANNEL: baseline, ALL_ORDERS: baseline}
    for now_ms in range(at_ms(0), at_ms(END_MIN) + 1, STEP_MS):
        charts.advance(seen(story, now_ms), baselines, now_ms)
        readings = charts.readings()
        if CHANNEL in readings:
            minutes.append((now_ms - shop.START_MS) / MINUTE_MS)
            found.append(readings[CHANNEL])
    return np.array(minutes, np.float64), found


def baseline_of_weeks() -> Baseline:
    """What a week of this shop teaches."""
    rng = np.random.default_rng(SEED + 1)
    return learned(rng, PER_MINUTE, orders_30d=monthly(PER_MINUTE), span_ms=7 * DAY_MS + 3_600_000)
