"""Pictures of the signals that are read from orders: delays, ratios, means, queues, health."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks import picture_data as data
from benchmarks import shop
from benchmarks.picture_style import BLUE, GREEN, GREY, ORANGE, RED, outage_shaded, pair, shaded
from monitor.core.signals.critical import CriticalCounts
from monitor.core.signals.health import COMPONENTS, health_index
from monitor.core.signals.histogram import LOWER_S, LogHistogram
from monitor.core.signals.observation import Kind
from monitor.core.signals.survival import period
from monitor.model.rules import Signal, Window
from monitor.model.times import HOUR_MS, MINUTE_MS


def histogram(figure: Figure) -> None:
    """Buckets of one 32nd octave, and quantiles read off them beside the exact ones."""
    left, right = pair(figure)
    delays = shop.delays_ms(np.random.default_rng(data.SEED), 20_000)
    counted = LogHistogram.of(delays)
    left.step(LOWER_S, counted.counts, where="post", color=BLUE, lw=0.9)
    left.set(xscale="log", xlim=(0.4, 900), xlabel="delay, seconds", ylabel="orders per bucket",
             title="20,000 delays in buckets 2.2 % wide")  # fmt: skip
    for q, color in ((0.5, GREEN), (0.95, ORANGE), (0.99, RED)):
        value = counted.quantile(q)
        assert value is not None
        left.axvline(value, color=color, label=f"p{100 * q:g} = {value:.1f} s")
    left.legend()
    shares = np.linspace(0.05, 0.999, 120)
    exact = np.quantile(delays, shares) / 1000
    read = np.array([counted.quantile(q) or np.nan for q in shares.tolist()])
    right.axhspan(-1.1, 1.1, color="#e3edf7", lw=0, label="± 1.1 %")
    right.plot(100 * shares, 100 * (read / exact - 1), color=BLUE, label="histogram − exact")
    right.set(xlabel="percentile", ylabel="error, %", ylim=(-2, 2), title="Error of the percentile")
    right.legend()


def waiting(figure: Figure) -> None:
    """Survival and p90 with the orders that wait, and without."""
    left, right = pair(figure)
    story, minute = data.outage(), data.FAULT_MIN + 5.0
    curve = period(*data.lives(story, minute))
    now_ms = data.at_ms(minute)
    is_done = (story.delivered_ms <= now_ms) & (
        story.delivered_ms > now_ms - data.TEN_MINUTES.span_ms
    )
    done = np.sort((story.delivered_ms - story.paid_ms)[is_done]) / 1000
    ages = np.linspace(0.5, 300, 200)
    left.plot(ages, [curve.at(age) for age in ages.tolist()], color=BLUE, label="waiting counted")
    left.plot(ages, 1 - np.searchsorted(done, ages, side="right") / done.size, color=GREY,
              label="delivered only")  # fmt: skip
    left.set(xlabel="age of an order, seconds", ylabel="share not delivered", ylim=(0, 1),
             title="Five minutes into an outage")  # fmt: skip
    left.legend()
    minutes = np.arange(10, data.END_MIN, 0.5)
    outage_shaded(right)
    counted = data.read(story, Signal("p90_delay", data.TEN_MINUTES), minutes)
    right.plot(minutes, np.where(np.isinf(counted), np.nan, counted), color=BLUE, label="p90_delay")
    unreached = minutes[np.isinf(counted)]
    right.plot(unreached, np.full(unreached.size, 900.0), color=BLUE, ls=":", label="not reached")
    right.plot(minutes, data.delivered_quantile(story, 0.9, minutes), color=GREY,
               label="delivered only")  # fmt: skip
    right.set(
        yscale="log", xlabel="minute", ylabel="seconds", title="p90 over the last ten minutes"
    )
    right.legend()


def evidence(figure: Figure) -> None:
    """The smallest number of late orders that fires, by number of judged orders."""
    axes = figure.subplots()
    n = np.arange(1, 121)
    critical = CriticalCounts()
    for confidence, color in ((0.99, BLUE), (0.999, RED)):
        least = [
            next(k for k in range(200) if _fires(critical, k, size, confidence))
            for size in n.tolist()
        ]
        axes.step(n, least, where="mid", color=color,
                  label=f"fires from here on, confidence {confidence:g}")  # fmt: skip
    axes.plot(n, 0.02 * n, color=GREY, ls="--", label="2 %, what a plain ratio compares with")
    axes.plot([10], [1], "o", color=GREEN)
    axes.plot([10], [3], "o", color=RED)
    axes.annotate("1 of 10: quiet", (10, 1), (12, 0.9), color=GREEN)
    axes.annotate("3 of 10: fires", (10, 3), (12, 2.25), color=RED)
    axes.set(xlabel="judged orders n", ylabel="late orders k", ylim=(0, 11),
             title="delayed_ratio > 2 %: how many late orders are evidence")  # fmt: skip
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0))


def _fires(critical: CriticalCounts, k: int, n: int, confidence: float) -> bool:
    if k > n:  # n late orders of n are the most there can be
        return True
    found = critical.is_reached(np.array([k]), np.array([n]), 0.02, confidence)
    return bool(k / n > 0.02 and found[0])


def mean(figure: Figure) -> None:
    """One stuck order lifts the mean and not the trimmed one; a slow-down lifts both."""
    minutes = np.arange(11.0, data.END_MIN)
    stories = (
        (data.stuck_one(), Window(last=10), "Nine orders at 6 s, one stuck"),
        (data.slow_down(), Window(10 * MINUTE_MS, 10, 6 * HOUR_MS), "All slow from minute 20 on"),
    )
    for axes, (story, window, title) in zip(pair(figure), stories, strict=True):
        plain, trimmed = data.means(story, window, minutes)
        axes.plot(minutes, plain, color=GREY, label="mean")
        axes.plot(minutes, trimmed, color=BLUE, label="without the worst 5 %")
        axes.axhline(180, color=RED, ls="--", lw=1, label="limit 3 min")
        axes.set(xlabel="minute", ylabel="seconds", ylim=(0, 400), title=title)
        axes.legend(loc="upper left")


def ratios(figure: Figure) -> None:
    """The late share and the streak of an outage."""
    left, right = pair(figure)
    story, minutes = data.outage(), np.arange(10, data.END_MIN, 0.5)
    outage_shaded(left)
    for name, color in (("delayed_ratio", RED), ("bad_ratio", ORANGE), ("failed_ratio", GREY)):
        values = data.read(story, Signal(name, data.TEN_MINUTES), minutes)
        left.plot(minutes, 100 * values, color=color, label=name, ls=_dash(name))
    left.axhline(2, color=BLUE, ls="--", lw=1, label="limit 2 %")
    left.set(xlabel="minute", ylabel="% of judged orders", title="Ratios of the last ten minutes")
    left.legend(loc="upper left")
    outage_shaded(right)
    streak = data.read(story, Signal("consecutive_late"), minutes)
    right.plot(minutes, streak, color=RED)
    right.set(xlabel="minute", ylabel="orders", title="consecutive_late")


def _dash(name: str) -> str:
    return ":" if name == "bad_ratio" else "-"


def window(figure: Figure) -> None:
    """How far back three windows reach in a small shop's day and night."""
    axes = figure.subplots()
    story, minutes = data.two_days(), np.arange(360, 2_880, 10.0)
    for night in (0, 1_440):
        shaded(axes, max(night, 360) / 60, (night + 480) / 60, "night" if night else "")
    for text, one, color in (
        ("[10m]", Window(10 * MINUTE_MS), GREY),
        ("[10m:20], at most 6 h", Window(10 * MINUTE_MS, 20), ORANGE),
        ("[10m:20:3h]", Window(10 * MINUTE_MS, 20, 3 * HOUR_MS), BLUE),
    ):
        reach = data.reach_min(story, one, minutes)
        axes.plot(minutes / 60, reach / 60, color=color, label=text)
    axes.set(xlabel="hour", ylabel="reaches back, hours",
             title="Adaptive windows: six orders an hour by day, one in two hours at night")  # fmt: skip
    axes.legend()


def queue(figure: Figure) -> None:
    """What waits and what flows in an outage."""
    story, minutes = data.outage(), np.arange(10, data.END_MIN, 0.5)
    grid = figure.subplots(2, 2, sharex=True)
    for axes, name, unit, factor, flow in (
        (grid[0][0], "open_orders", "orders", 1.0, None),
        (grid[0][1], "oldest_age", "minutes", 1 / 60, None),
        (grid[1][0], "throughput", "per minute", 60.0, data.TEN_MINUTES),
        (grid[1][1], "orders", "in 10 min", 1.0, data.TEN_MINUTES),
    ):
        outage_shaded(axes)
        values = data.read(story, Signal(name, flow), minutes)
        axes.plot(minutes, factor * values, color=BLUE)
        axes.set(title=name, ylabel=unit, ylim=(0, None))
    for axes in grid[1]:
        axes.set_xlabel("minute")


def health(figure: Figure) -> None:
    """The index, and the points each component takes from it."""
    axes = figure.subplots()
    story, minutes = data.outage(), np.arange(16, data.END_MIN, 0.5)
    lost: dict[str, list[float]] = {name: [] for name in COMPONENTS}
    for minute in minutes.tolist():
        now_ms = data.at_ms(minute)
        rows = data.seen(story, now_ms)
        is_recent = (rows.kind == Kind.DELIVERED) & (rows.end_ms > now_ms - 15 * MINUTE_MS)
        waits = rows.wait_ms(now_ms)
        index = health_index(waits[is_recent], waits[rows.is_open], 0, 0, 0)
        for name in COMPONENTS:
            lost[name].append(index.components[name])
    top = 100 * np.ones(minutes.size)
    outage_shaded(axes)
    for name, color in (("late_delivered_l1", "#f3c98b"), ("late_delivered_l2", ORANGE),
                        ("pending_l1", "#e59a92"), ("pending_l2", RED)):  # fmt: skip
        below = top - np.array(lost[name])
        axes.fill_between(minutes, below, top, color=color, lw=0, label=name)
        top = below
    signal = Signal("health_index")
    axes.plot(minutes, data.read(story, signal, minutes), color=BLUE, label="health_index")
    axes.axhline(70, color=GREY, ls="--", lw=1, label="HealthIndexLow")
    axes.set(
        xlabel="minute", ylabel="points", ylim=(0, 100), title="What an outage costs, by component"
    )
    axes.legend(loc="lower left", ncols=2)
