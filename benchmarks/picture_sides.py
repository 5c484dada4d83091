"""Pictures of the signals that come from charts, learned weeks, arrivals, payments and budgets."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks import picture_data as data
from benchmarks import picture_tables as tables
from benchmarks.picture_style import BLUE, GREEN, GREY, ORANGE, RED, outage_shaded, pair, shaded


def cusum(figure: Figure) -> None:
    """The chart in health, outage and recovery; deliveries owed and seen; the speed."""
    left, right = pair(figure)
    minutes, readings = data.charted(data.outage())
    limit = readings[-1].limit
    for axes in (left, right):
        outage_shaded(axes)
        axes.set(xlabel="minute", xlim=(20, 50))
    left.plot(minutes, [one.cusum for one in readings], color=BLUE, label="C")
    left.axhline(limit, color=RED, ls="--", lw=1, label=f"limit h = {limit:.1f}")
    left.axhline(limit / 2, color=GREEN, ls="--", lw=1, label="clear, h/2")
    alarm = next(at for at, one in zip(minutes, readings, strict=True) if one.is_alarm)
    left.set(title=f"cusum_ratio = C/h: above 1 after {60 * (alarm - data.FAULT_MIN):.0f} s")
    left.legend(loc="upper right", fontsize=7)
    speeds = [np.nan if one.speed_ratio is None else one.speed_ratio for one in readings]
    right.plot(minutes, speeds, color=BLUE, label="speed_ratio")
    right.axhline(1, color=GREY, lw=1, ls="--")
    right.set(title="Deliveries seen ÷ expected, half-life 3 min", ylim=(0, None))
    right.legend(loc="upper right")


def season(figure: Figure) -> None:
    """What an hour of the week usually takes, and the limit learned for it."""
    axes = figure.subplots()
    week = tables.week()
    hours = np.arange(week.usual_s.size)
    axes.plot(
        week.orders_hour[::80], week.orders_s[::80], ".", color="#c9ced6", ms=3, label="orders"
    )
    axes.step(hours, week.usual_s, where="mid", color=BLUE, label="baseline(p95_delay)")
    axes.step(hours, week.limit_s, where="mid", color=RED, label="limit that 1 % exceed, learned")
    axes.set(yscale="log", xlabel="hour of the week, Monday 00:00 first", ylabel="seconds",
             ylim=(1, 2_000), xlim=(0, 167), xticks=range(0, 168, 24),
             title="A shop that is three times as slow from 0 to 7 o'clock")  # fmt: skip
    axes.legend(loc="upper right", ncols=3)


def arrivals(figure: Figure) -> None:
    """Orders expected and seen on a day on which six of ten are missing from 14:00 on."""
    left, right = pair(figure)
    minutes, readings, seen = tables.fall()
    at = tables.FALL_AT_MIN / 60
    half_hours = np.arange(48) / 2
    left.step(half_hours, tables.usual_half_hours(), where="post", color=GREY, label="usual")
    left.step(half_hours, seen, where="post", color=BLUE, label="seen")
    shaded(left, at, 24, "60 % missing")
    left.set(
        xlabel="hour", ylabel="orders per half hour", title="A day of 1,000 orders", xlim=(0, 24)
    )
    left.legend(loc="upper left")
    shaded(right, at, 24, "60 % missing")
    ratio = np.array([np.nan if one.ratio is None else one.ratio for one in readings])
    proven = np.array([one.is_proven for one in readings])
    first = float(minutes[int(proven.argmax())])
    right.plot(minutes / 60, ratio, color=BLUE, label="arrival_ratio")
    right.plot((minutes / 60)[proven], ratio[proven], ".", color=RED, label="proven", ms=4)
    right.axhline(0.7, color=GREY, ls="--", lw=1)
    right.set(xlabel="hour", ylim=(0, 1.6), xlim=(0, 24),
              title=f"Proven {first - tables.FALL_AT_MIN:.0f} min after the fall")  # fmt: skip
    right.legend(loc="upper right")


def callbacks(figure: Figure) -> None:
    """Paid of created orders of two providers, one of which stops to confirm."""
    left, right = pair(figure)
    minutes, readings = tables.drought()
    for axes in (left, right):
        shaded(axes, tables.DEAD_FROM_MIN, 60, "no callbacks of wechat")
    for name, color in (("alipay", GREEN), ("wechat", BLUE)):
        ratio = np.array([np.nan if one.ratio is None else one.ratio for one in readings[name]])
        proven = np.array([one.is_proven for one in readings[name]])
        left.plot(minutes, 100 * ratio, color=color, label=name)
        left.plot(minutes[proven], 100 * ratio[proven], ".", color=RED, ms=4)
        lags = [np.nan if one.lag_s is None else one.lag_s for one in readings[name]]
        right.plot(minutes, lags, color=color, label=name)
    left.set(xlabel="minute", ylabel="% of created orders", ylim=(0, 100),
             title="paid_ratio; red: proven to be low")  # fmt: skip
    left.legend(loc="upper left", ncols=2)
    right.set(xlabel="minute", ylabel="seconds", ylim=(0, None),
              title="callback_lag: of those that came, p95")  # fmt: skip
    right.legend(loc="lower left")


def silence(figure: Figure) -> None:
    """How long a silence goes before it means something."""
    axes = figure.subplots()
    told = tables.silence()
    axes.axvspan(
        0, told.quiet_min, color="#e3edf7", lw=0, label="four usual gaps: charts go on charging"
    )
    axes.plot(told.minutes, told.age_min, color=BLUE, label="source_age")
    axes.plot(
        told.minutes, told.limit_min, color=RED, ls="--", lw=1, label="limit, from its learned rate"
    )
    axes.axvline(
        told.silent_min,
        color=GREY,
        lw=1,
        label=f"source_silent = 1 from {told.silent_min:.0f} min on",
    )
    axes.set(xlabel="minutes since the last word of a shop with an order a minute", ylabel="minutes",
             title="A source falls silent", ylim=(0, 30), xlim=(0, 30))  # fmt: skip
    axes.legend(loc="lower right")


def burn(figure: Figure) -> None:
    """Burn rates of an incident over three windows, and the budget it costs."""
    left, right = pair(figure)
    spent = tables.burn()
    hours = spent.minutes / 60
    for axes in (left, right):
        shaded(axes, tables.BURN_FROM_MIN / 60, tables.BURN_UNTIL_MIN / 60, "every second is late")
        axes.set(xlabel="hour")
    for (name, values), color in zip(spent.rates.items(), (GREY, BLUE, ORANGE), strict=True):
        left.plot(hours, values, color=color, label=f"over {name}", lw=0.8 if name == "5m" else 1.4)
    for rate in (14.4, 6.0):
        left.axhline(rate, color=RED, ls="--", lw=1)
        left.annotate(f"{rate:g}", (7.6, rate + 0.4), color=RED)
    left.set(title="burn_rate(delivery, …), objective 98 %", ylim=(0, 34))
    left.legend(loc="upper right")
    right.plot(hours, 100 * spent.left, color=BLUE)
    right.set(title="budget_remaining(delivery)", ylabel="% of 30 days' budget", ylim=(0, 100))
