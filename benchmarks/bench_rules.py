"""Rules at their largest: a thousand rules over a hundred channels, and the instant of every 5 s.

The instant is measured in its parts, with the shipped rules, and once more as the engine's own tick.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.row import Row
from monitor.config.rules_file import load_shipped
from monitor.core.alerting.watch import Watch
from monitor.core.engine import Engine
from monitor.core.failover.breaker import Lane, channel_speeds
from monitor.core.learning import Learning
from monitor.core.orders.table import OrderTable
from monitor.core.orders.table import Row as OrderRow
from monitor.core.orders.tallies import Tallies
from monitor.core.rules.lookback import settings_for
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.parse import Parsed, parse, signals_in
from monitor.core.rules.tables import SignalTable
from monitor.core.rules.vector import evaluate
from monitor.core.side_signals import SideSignals, SourceView
from monitor.core.signals.charts import Charts
from monitor.core.signals.critical import CriticalCounts
from monitor.core.signals.heard import Heard
from monitor.core.signals.histogram import bucket_index
from monitor.core.signals.observation import Kind, Names, Observation, observation
from monitor.model.baselines import Baseline
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.ids import ALL_ORDERS
from monitor.model.rules import SIDE_SIGNALS, Signal
from monitor.model.settings import Settings
from monitor.model.times import MINUTE_MS

T = TypeVar("T")

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
HALF_HOUR_MS = HOUR_MS // 2
PROMISE_MS = 180_000
TICK_MS = 5_000
SEED = 7
GROUP = "rules"
"""Times are of the processor, the best of some runs: others share the machine."""

# How often a thousand rules have each of these forms; {w} takes another window every time.
FORMS = (
    (250, "delayed_ratio[{w}:20:6h] > 2% by (channel)"),
    (120, "delayed_ratio[{w}] > {r}% and orders[{w}] >= 5 by (channel)"),
    (100, "bad_ratio[{w}:10:6h] > {r}% by (channel)"),
    (80, "failed_ratio[last {c}] > {r}% by (channel)"),
    (120, "mean_delay[{w}:10:6h] > {m}m by (channel)"),
    (60, "p95_delay[{w}] > {m}m by (channel)"),
    (20, "p50_delay[{w}] > 1m or p99_delay[{w}] > 20m by (channel)"),
    (60, "oldest_age > {m}m by (channel)"),
    (40, "health_index[{w}] < 70 by (channel)"),
    (40, "throughput[{w}] < 0.01 and open_orders > {c} by (channel)"),
    (40, "consecutive_late >= {m} by (channel)"),
    (40, "delayed_ratio[{w}] > 2 * delayed_ratio[6h] and not orders[{w}] < 10 by (channel)"),
    (30, "cusum_ratio > 1 by (channel)"),
)


class Side:
    """Tables as charts and sources would give them: quiet ones."""

    def __init__(self, names: dict[str, tuple[str, ...]]) -> None:
        self._names = names

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:
        label = SIDE_SIGNALS[signal.name] or None
        if not is_split or label is None:
            return SignalTable(None, ("",), np.array([0.1]))
        names = self._names[label]
        return SignalTable(label, names, np.full(len(names), 0.1))


def thousand_rules(count: int = 1_000) -> list[Parsed]:
    """Rules of all forms with windows from 1 to about 500 minutes, in proportion to `FORMS`."""
    texts = [
        form.format(w=f"{60 + 29 * index}s", r=2 + index % 9, m=2 + index % 7, c=20 + index % 50)
        for times, form in FORMS
        for index in range(max(1, times * count // 1_000))
    ]
    return [parse(text) for text in texts]


def order_rows(
    n_open: int, n_judged: int, channels: int, *, late: float = 0.005, seed: int = SEED
) -> dict[str, npt.NDArray[np.generic]]:
    """Columns of orders of the last six hours: lognormal delays around 8 s, a share of them stuck."""
    random = np.random.default_rng(seed)
    n = n_open + n_judged
    is_open = np.arange(n) < n_open
    delay = np.where(random.random(n) < late, random.integers(PROMISE_MS, HOUR_MS, n),
                     (8_000 * np.exp(0.6 * random.standard_normal(n))).astype(np.int64))  # fmt: skip
    end = np.where(is_open, 0, NOW_MS - random.integers(0, 6 * HOUR_MS, n))
    paid = np.where(is_open, NOW_MS - delay, end - delay)
    deadline = paid + PROMISE_MS
    is_late = np.where(is_open, deadline < NOW_MS, end > deadline)
    kind = np.where(is_open, Kind.OPEN, np.where(random.random(n) < 0.002, Kind.FAILED, 1))
    codes = {label: np.zeros(n, np.int16) for label in ("source", "provider", "sku")}
    return {
        "paid_ms": paid, "deadline_ms": deadline, "end_ms": end,
        "breach_ms": np.where(is_late, deadline, 0), "taken_ms": np.zeros(n, np.int64),
        "key": random.permutation(n), "kind": kind.astype(np.int8),
        "channel": random.integers(0, channels, n).astype(np.int16), **codes,
        "is_held": np.zeros(n, np.bool_), "is_unconfirmed": np.zeros(n, np.bool_),
    }  # fmt: skip


def names_of(channels: int) -> Names:
    return Names(tuple(f"c{index:03}" for index in range(channels)), ("shop",), ("pay",), ("sku",))


class Bench:
    """Rules with their signals, and what control would keep from one tick to the next."""

    def __init__(self, rules: list[Parsed]) -> None:
        self.rules = [(rule, signals_in(rule.node)) for rule in rules]
        self._critical = CriticalCounts()

    def evaluate(self, rows: Observation, now_ms: int = NOW_MS) -> int:
        """One tick: a new panel, every rule for every instance; gives how many conditions hold."""
        side = Side({label: rows.names.of(label) for label in ("channel", "source", "provider")})
        panel = Panel(rows, side, now_ms, critical=self._critical)
        domains = [panel.domain(rule.by, (), used) for rule, used in self.rules]
        asked: dict[Domain, list[Signal]] = {}
        for domain, (_, used) in zip(domains, self.rules, strict=True):
            asked.setdefault(domain, []).extend(used)
        for domain, signals in asked.items():
            panel.prepare(domain, signals)
        true = 0
        for domain, (rule, _) in zip(domains, self.rules, strict=True):
            found = evaluate(rule.node, panel, domain, confidence=0.99, min_count=2)
            true += int(np.count_nonzero(found.is_true))
        return true


class Shipped:
    """The shipped rules with the real signals beside the rows, looked at as control looks at them."""

    def __init__(self, charts: Charts, baselines: dict[str, Baseline]) -> None:
        self.rules = load_shipped()
        self._watch = Watch(self.rules)
        self._charts = charts
        self._learning = Learning(())
        self._learning.baselines.update(baselines)
        self._tallies = Tallies()
        self._critical = CriticalCounts()

    def evaluate(self, rows: Observation, now_ms: int) -> int:
        """Look at every rule once; gives how many alerts moved."""
        side = SideSignals(
            charts=self._charts.readings,
            arrivals=partial(self._learning.arrivals_now, self._tallies, now_ms),
            callbacks=partial(self._learning.callbacks_now, self._tallies, now_ms),
            budgets=self._tallies.budgets,
            sources=(SourceView("shop", 0, False),),
            baselines=self._learning.baselines,
            stock={},
            gauges=self._tallies.gauges,
            absences=lambda: (),
            rules=self.rules,
            offsets=(),
            now_ms=now_ms,
        )
        panel = Panel(rows, side, now_ms, critical=self._critical)
        self._watch.prepare((rule.alert for rule in self.rules.rules), panel)
        moved = 0
        for rule in self.rules.rules:
            for one in self._watch.evaluate(rule, panel):
                self._watch.apply(one)
                moved += 1
        return moved


def rows(scale: float) -> Iterator[Row]:
    """Measure the ticks; `scale` shrinks rules, rows and repetitions alike."""
    yield from _thousand(scale)
    yield from _instant(scale)
    yield from _tick(scale)


def _thousand(scale: float) -> Iterator[Row]:
    bench = Bench(thousand_rules(max(20, int(1_000 * scale))))
    n = max(20, int(1_000 * scale))
    for what, n_open, late, target in (
        ("healthy", 2 * n, 0.005, 50.0),
        ("as many open as judged", 10 * n, 0.005, None),
        ("half of all orders late", 2 * n, 0.5, None),
    ):
        columns = order_rows(n_open, 20 * n - n_open, 100, late=late)
        seen = observation(columns, names_of(100))
        runs = [_timed(partial(bench.evaluate, seen)) for _ in range(7)]
        note = (
            f"{n_open} open + {20 * n - n_open} judged orders, a window of its own for most rules; "
            f"{runs[0][1]} conditions hold; seed {SEED}; the first tick took {runs[0][0]:.0f} ms"
        )
        yield Row(
            GROUP, f"{len(bench.rules)} rules × 100 channels, {what}",
            min(spent for spent, _ in runs), "ms", target, "lower" if target else "info", note,
        )  # fmt: skip


def _instant(scale: float) -> Iterator[Row]:
    n = max(500, int(100_000 * scale))
    columns = order_rows(n, n, 8)
    table, names = OrderTable(), names_of(8)
    fields = OrderRow._fields
    written = list(zip(*(columns[name].tolist() for name in fields), strict=True))
    slots = [table.put(None, OrderRow(*one)) for one in written]
    table.observe(names)
    charts, baselines = Charts(), {name: _learned(name) for name in (ALL_ORDERS, *names.channel)}
    bench = Shipped(charts, baselines)
    lanes = [Lane(name, code, 60_000) for code, name in enumerate(names.channel)]
    spent: list[tuple[float, ...]] = []
    for turn in range(-1, 9):
        now_ms = NOW_MS + turn * TICK_MS
        believed, held = np.array([now_ms]), np.array([0])
        heard = Heard(believed, believed, held, speaks=np.array([True]))
        for slot in range((turn + 1) * 100, (turn + 2) * 100):
            ended = OrderRow(*written[slot])._replace(kind=Kind.DELIVERED, end_ms=now_ms - slot)
            table.put(slots[slot], ended)
        observing, seen = _timed(partial(table.observe, names))
        charting, _ = _timed(partial(charts.advance, seen, baselines, now_ms, heard))
        judging, _ = _timed(partial(bench.evaluate, seen, now_ms))
        comparing, _ = _timed(partial(channel_speeds, seen, lanes, now_ms, heard))
        spent.append((observing, charting, judging, comparing))
    del spent[0]  # the first instant begins the charts
    note = f"{n} open + {n} judged orders, 8 channels, {len(bench.rules.rules)} rules, 100 rows changed"
    whole, target = "instant: rows, learned charts, shipped rules, breaker", 25.0
    yield Row(GROUP, whole, min(sum(one) for one in spent), "ms", target, "lower", note)
    for part, what in enumerate(("rows", "charts", "rules", "breaker")):
        yield Row(GROUP, f"instant: {what} alone", min(one[part] for one in spent), "ms", note=note)


def _tick(scale: float) -> Iterator[Row]:
    n = max(500, int(100_000 * scale))
    rules = load_shipped()
    engine = Engine(settings_for(Settings(), rules), rules)
    for at_ms, events in _lives(n):
        engine.handle(Batch(tuple(events)), at_ms)
    spent = []
    for turn in range(1, 13):
        took, _ = _timed(partial(engine.handle, Tick(), NOW_MS + turn * TICK_MS))
        spent.append(took)
    note = (
        f"{n} open orders of 50 to 110 s + {n} judged, 8 channels, {len(rules.rules)} rules; "
        f"a tick every 5 s, the longest of {len(spent)} took {max(spent):.0f} ms; nothing arrives"
    )
    yield Row(GROUP, "instant: Engine.handle(Tick), median", median(spent), "ms", note=note)


def _lives(n: int) -> Iterator[tuple[int, list[OrderEvent]]]:
    """Events of `n` judged orders of six hours and `n` open slow ones, by half hours."""
    random = np.random.default_rng(SEED)
    told: dict[int, list[OrderEvent]] = {}
    for number in range(2 * n):
        if number < n:
            paid_ms = NOW_MS - 5 * MINUTE_MS - int(random.integers(0, 6 * HOUR_MS))
            delay_ms = int(8_000 * np.exp(0.6 * random.standard_normal()))
            kinds = [("order.paid", paid_ms), ("delivery.delivered", paid_ms + delay_ms)]
        else:
            kinds = [("order.paid", NOW_MS - int(random.integers(50_000, 110_000)))]
        for kind, time_ms in kinds:
            until_ms = min(NOW_MS, time_ms - time_ms % HALF_HOUR_MS + HALF_HOUR_MS)
            event = OrderEvent(
                kind, f"o{number}", "shop", f"{kind}{number}", time_ms, until_ms,
                channel=f"c{number % 8}",
            )  # fmt: skip
            told.setdefault(until_ms, []).append(event)
    for at_ms in sorted(told):
        yield at_ms, told[at_ms]


def _learned(channel: str) -> Baseline:
    """A fortnight of delays around 8 s, a little longer in half of the week."""
    delays_ms = 8_000 * np.exp(0.6 * np.random.default_rng(SEED).standard_normal(5_000))
    counts = Counter(bucket_index(int(delay_ms)) for delay_ms in delays_ms)
    return Baseline(
        channel, len(delays_ms), NOW_MS - 14 * 24 * HOUR_MS, NOW_MS, tuple(sorted(counts.items())),
        shifts=(0, 6) * 84, limit=14.0, orders_30d=1_000_000,
    )  # fmt: skip


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    began = time.thread_time()
    result = action()
    return (time.thread_time() - began) * 1000, result
