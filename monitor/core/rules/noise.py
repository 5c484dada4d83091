"""Does a limit lie within what healthy days do? Asked of recorded orders, or of a rate alone.

For a ratio or a percentile the answer is a number of false alarms in 30 days: in a window of n
orders evidence asks for k; a healthy shop has that many with the probability P(X >= k | n, share),
and that many independent windows are seen in 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from monitor.core.rules.lint_text import Lint
from monitor.core.rules.matching import matches
from monitor.core.rules.parse import signals_in
from monitor.core.rules.possible import (
    Bound,
    alternatives,
    bounds_of,
    chance_of,
    fewest_that_prove,
)
from monitor.core.signals.arrays import IntArray
from monitor.core.signals.evidence import binomial_tail, trimmed_mean_ms
from monitor.core.signals.survival import NEVER_MS
from monitor.model.rules import RATIOS, Rule, Signal, Window
from monitor.model.times import DAY_MS, SECOND_MS, format_duration

# Issue a warning when a healthy shop would be told so more often than this in 30 days.
FALSE_ALARMS_MAX = 1.6
ORDERS_MIN = 50  # of history, before it is called what is healthy
DAYS = 30
SHOP = ""  # the scope of all orders


class Healthy(msgspec.Struct, frozen=True, eq=False):
    """What is known of one scope's healthy days: how many orders, and with history how they went.

    `ratios` by signal (0..1) and `durations_ms` int64[n] sorted are empty without history.
    """

    orders_per_day: float
    ratios: Mapping[str, float] = {}
    durations_ms: IntArray = msgspec.field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def has_history(self) -> bool:
        """Whether there are enough orders to say what is healthy."""
        return self.durations_ms.size >= ORDERS_MIN

    def share_above(self, limit_s: float) -> float:
        """Share of orders that took longer, those never delivered included."""
        inside = int(np.searchsorted(self.durations_ms, limit_s * SECOND_MS, side="right"))
        return 1.0 - inside / self.durations_ms.size


def lint_noise(rule: Rule, scopes: Mapping[str, Healthy]) -> list[Lint]:
    """Compare a rule with healthy days; `scopes` by channel, and `SHOP` for all orders together."""
    found: dict[str, Lint] = {}
    for signal in signals_in(rule.expr):
        for lint in _too_short(rule, signal, scopes):
            found.setdefault(lint.code, lint)
    for part in alternatives(rule.expr) or ():
        for one in bounds_of(part):
            for lint in _inside_noise(rule, one, scopes):
                found.setdefault(lint.code, lint)
    return list(found.values())


def _scopes(rule: Rule, signal: Signal, scopes: Mapping[str, Healthy]) -> list[tuple[str, Healthy]]:
    """The scopes a signal is read for; the rate alone knows only the shop."""
    wanted = [matcher for matcher in signal.matchers if matcher.label == "channel"]
    if not wanted and "channel" not in rule.by:
        return [(SHOP, scopes[SHOP])]
    named = [
        (name, one)
        for name, one in scopes.items()
        if name != SHOP and matches(wanted, {"channel": name})
    ]
    return named or [(SHOP, scopes[SHOP])]


def _too_short(rule: Rule, signal: Signal, scopes: Mapping[str, Healthy]) -> Iterator[Lint]:
    window = signal.window
    if window is None or window.last or (window.min_orders and not window.max_ms):
        return
    reach_ms = max(window.span_ms, window.max_ms)
    busiest = max(one.orders_per_day for _, one in _scopes(rule, signal, scopes))
    expected = busiest * reach_ms / DAY_MS
    if expected < 1.0:
        message = (
            f"at {busiest:.3g} orders a day {signal.name}[{format_duration(reach_ms)}] holds "
            f"{expected:.2g} orders on average"
        )
        needed = format_duration(round(DAY_MS / busiest)) if busiest else "a longer window"
        hint = f"one order is expected in {needed}" if busiest else "there are no orders at all"
        yield Lint("window-shorter-than-one-expected-order", "expr", message, hint)


def _inside_noise(rule: Rule, one: Bound, scopes: Mapping[str, Healthy]) -> Iterator[Lint]:
    if one.op not in (">", ">="):
        return
    for name, healthy in _scopes(rule, one.signal, scopes):
        message = _noise(rule, one, healthy)
        if message:
            where = f" on {name}" if name else ""
            hint = "raise the limit, or lengthen the window"
            yield Lint("threshold-inside-noise", "expr", f"'{one}'{where}: {message}", hint)
            return


def _noise(rule: Rule, one: Bound, healthy: Healthy) -> str | None:
    chance = chance_of(one)
    if not healthy.has_history:
        return _too_coarse(one, healthy)
    if chance is None:
        return _inside_delays(one, healthy)
    is_ratio = one.signal.name in RATIOS
    share = healthy.ratios[one.signal.name] if is_ratio else healthy.share_above(one.limit)
    if share >= chance:
        what = "orders" if is_ratio else "orders beyond the limit"
        return f"healthy days have {share:.2%} of such {what}, which is not below {chance:.2%}"
    n = max(_orders_in(one.signal.window, healthy.orders_per_day), rule.min_count)
    fewest = fewest_that_prove(n, chance, rule.confidence)
    if fewest is None:
        return None
    windows = DAYS * healthy.orders_per_day / n
    alarms = windows * binomial_tail(fewest, n, share)
    if alarms <= FALSE_ALARMS_MAX:
        return None
    return (
        f"{fewest} of {n} orders fire it, which healthy days ({share:.2%}) reach about "
        f"{alarms:.1f} times in {DAYS} days"
    )


def _inside_delays(one: Bound, healthy: Healthy) -> str | None:
    """A mean below the healthy mean; an age that more than one healthy order of 100 reaches."""
    if one.signal.name == "mean_delay":
        # As the rule does: without the worst 5 %.
        finite = healthy.durations_ms[healthy.durations_ms < NEVER_MS]
        mean_ms = trimmed_mean_ms(finite) or 0.0
        if mean_ms >= one.limit * SECOND_MS:
            return f"the mean of healthy days is {format_duration(round(mean_ms))}"
    if one.signal.name == "oldest_age" and healthy.share_above(one.limit) > 0.01:
        return f"{healthy.share_above(one.limit):.1%} of healthy orders wait that long"
    return None


def _too_coarse(one: Bound, healthy: Healthy) -> str | None:
    """Without history: a window of plain time in which one order is over the limit already."""
    window = one.signal.window
    if window is None or window.last or window.min_orders or one.signal.name not in RATIOS:
        return None
    n = healthy.orders_per_day * window.span_ms / DAY_MS
    if n < 1.0 or one.limit >= 1.0 / n:
        return None
    return f"its window holds {n:.1f} orders on average, of which one is {1.0 / n:.1%} already"


def _orders_in(window: Window | None, orders_per_day: float) -> int:
    """How many orders a window usually holds."""
    if window is None:
        return 0
    if window.last:
        return window.last
    inside = orders_per_day * window.span_ms / DAY_MS
    if inside < window.min_orders:
        most = orders_per_day * window.max_ms / DAY_MS if window.max_ms else window.min_orders
        inside = min(float(window.min_orders), most)
    return max(1, round(inside))
