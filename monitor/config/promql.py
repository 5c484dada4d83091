"""Conditions of rules as PromQL over our metrics (contract §7).

Every value is aggregated to exactly the labels of the rule, so that `and`, `or` and `unless` match.
What has no metric raises NotExpressibleError with the reason; what is only nearly the same is told
by `notes`. Counts get half an order of slack: `increase` extrapolates and is never whole.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping

from monitor.core.rules.possible import Bound, bound, chance_of, fewest_that_prove, value_range
from monitor.model.errors import InvariantError
from monitor.model.rules import (
    QUANTILES,
    RATIOS,
    Arithmetic,
    Comparison,
    Logical,
    Matcher,
    Negation,
    Node,
    Number,
    Rule,
    Signal,
    Slo,
    Window,
)
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

# An order that breaks its promise counts as late_pending then, and once more when its wait ends.
_VERDICTS = {
    "delayed_ratio": 'verdict="late_pending"',
    "bad_ratio": 'verdict!~"good|late_delivered"',
    "failed_ratio": 'verdict="failed"',
}
_JUDGED = 'verdict!="late_delivered"'
_STAT_WINDOWS = ((5 * MINUTE_MS, "5m"), (15 * MINUTE_MS, "15m"), (HOUR_MS, "1h"))
_LONGEST = DAY_MS  # how far `[10m:20]` looks back here; there it is as far as 20 orders need
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_NO_METRIC = {
    "consecutive_late": "there is no metric of the order in which orders ended",
    "source_age": "there is no metric of the time since a source was heard",
    "source_silent": "there is no metric of silent sources",
    "arrival_ratio": "there is no metric of expected arrivals",
    "paid_ratio": "there is no metric of orders by provider",
    "callback_lag": "there is no metric of callbacks by provider",
    "stock": "there is no metric of stock",
    "baseline": "learned limits are not metrics",
    "worker_ratio": "there is no metric of steps that are missing",
    "event_lag": "there is no metric of how late events are told",
    "unattempted_age": "there is no metric of attempts that are missing",
    "unbooked_age": "there is no metric of payments that the shop does not know",
    "wallet": "there is no metric of suppliers' wallets",
    "wallet_left": "there is no metric of suppliers' wallets",
    "webhook_state": "there is no metric of webhooks of shops",
    "stock_gap": "there is no metric of the stock of shops",
}


class NotExpressibleError(ValueError):
    """Prometheus has nothing to answer this with; the text says why."""


class Translator:
    """Writes the conditions of one rule; `notes` collects what is only nearly the same."""

    def __init__(self, rule: Rule, slos: Mapping[str, Slo]) -> None:
        self.notes: dict[str, None] = {}
        self._rule = rule
        self._slos = slos
        foreign = [label for label in rule.by if label != "channel"]
        if foreign:
            raise NotExpressibleError(f"no metric has the label {foreign[0]!r}")

    def condition(self, node: Node, *, is_negated: bool = False) -> str:
        """PromQL that has a series where the condition holds. Raises: NotExpressibleError."""
        match node:
            case Negation(operand):
                return self.condition(operand, is_negated=not is_negated)
            case Logical(op, left, right):
                first = self.condition(left, is_negated=is_negated)
                second = self.condition(right, is_negated=is_negated)
                word = "and" if (op == "and") != is_negated else "or"
                return f"({first}) {word} ({second})"
            case Comparison(op, left, right):
                return self._comparison(
                    Comparison(_OPPOSITE[op] if is_negated else op, left, right)
                )
            case _:
                raise InvariantError("a value stands where a condition is needed")

    def value(self, node: Node) -> str:
        """PromQL of a value, in brackets where it needs them. Raises: NotExpressibleError."""
        match node:
            case Number(value):
                return _number(value)
            case Signal():
                return self._signal(node)
            case Arithmetic(op, left, right):
                low, high = value_range(node)
                if low == high:
                    return _number(low)
                return f"({self.value(left)} {op} {self.value(right)})"
            case _:
                raise InvariantError("a condition stands where a value is needed")

    # --- comparisons ------------------------------------------------------------------------------

    def _comparison(self, node: Comparison) -> str:
        found = bound(node)
        if found is None:
            return f"{self.value(node.left)} {node.op} {self.value(node.right)}"
        text = f"{self._signal(found.signal)} {found.op} {_number(found.limit)}"
        return " and ".join([text, *self._guards(found)])

    def _guards(self, found: Bound) -> list[str]:
        """The fewest orders that may say it, and the fewest of them that evidence could accept."""
        signal, least, chance = found.signal, self._rule.min_count, chance_of(found)
        if signal.name == "burn_rate":
            slo = self._slo(signal)
            signal, least = _metric_of(slo, signal, signal.window), max(least, slo.min_count)
            chance = found.limit * slo.budget if found.op in (">", ">=") else None
        if signal.name not in RATIOS and signal.name not in QUANTILES:
            return []
        span = _reach(signal)
        guards = [f"{self._count(signal, span)} >= {_number(least - 0.5)}"]
        if signal.name in RATIOS and chance is not None and 0.0 < chance < 1.0:
            fewest = _fewest(least, chance, self._rule.confidence)
            if fewest > 1:
                guards.append(f"{self._bad(signal, span)} >= {_number(fewest - 0.5)}")
            self._note("the evidence test is not exported, only the fewest orders it could accept")
        return guards

    # --- signals ----------------------------------------------------------------------------------

    def _signal(self, signal: Signal) -> str:
        if signal.name in _NO_METRIC:
            raise NotExpressibleError(f"{signal.name}: {_NO_METRIC[signal.name]}")
        if signal.window is not None and signal.window.last:
            raise NotExpressibleError("a window of the last n orders: metrics know only time")
        wanted = [matcher for matcher in signal.matchers if matcher.label != "channel"]
        if wanted:
            raise NotExpressibleError(f"no metric has the label {wanted[0].label!r}")
        if signal.name in RATIOS:
            return self._adaptive(signal, self._ratio)
        if signal.name in QUANTILES:
            self._note("orders that still wait are not in the histogram")
            return self._adaptive(signal, self._quantile)
        return _READERS[signal.name](self, signal)

    def _adaptive(self, signal: Signal, read: Callable[[Signal, str], str]) -> str:
        """`[10m:20:6h]`: ten minutes if they hold twenty orders, else six hours."""
        window = signal.window or Window(span_ms=10 * MINUTE_MS)
        short, long = _span(window.span_ms), _reach(signal)
        if short == long:
            return read(signal, long)
        if not window.max_ms:
            self._note(f"looks back at most {long}, not as far as the orders need")
        enough = f"{self._count(signal, short)} >= {_number(window.min_orders - 0.5)}"
        return f"(({read(signal, short)} and {enough}) or {read(signal, long)})"

    def _ratio(self, signal: Signal, span: str) -> str:
        return f"({self._bad(signal, span)} / {self._count(signal, span)})"

    def _bad(self, signal: Signal, span: str) -> str:
        return self._increase("delivery_orders_total", signal, span, _VERDICTS[signal.name])

    def _count(self, signal: Signal, span: str) -> str:
        if signal.name in RATIOS:
            return self._increase("delivery_orders_total", signal, span, _JUDGED)
        return self._increase("delivery_delay_seconds_count", signal, span)

    def _quantile(self, signal: Signal, span: str) -> str:
        by = ", ".join([*self._rule.by, "le"])
        series = f"delivery_delay_seconds_bucket{_selector(signal.matchers)}[{span}]"
        share = _number(QUANTILES[signal.name])
        return f"histogram_quantile({share}, sum by ({by}) (rate({series})))"

    def _mean(self, signal: Signal) -> str:
        window = signal.window or Window(span_ms=10 * MINUTE_MS)
        name = next((name for span_ms, name in _STAT_WINDOWS if span_ms >= window.span_ms), "1h")
        self._note(f"mean over {name} of all orders paid or ended in it, without trimming")
        if not self._rule.by:
            self._note("the highest channel's mean stands for the shop's")
        more = f'stat="mean",window="{name}"'
        return self._all("max", f"delivery_delay_window_seconds{_selector(signal.matchers, more)}")

    def _oldest(self, signal: Signal) -> str:
        name = "delivery_oldest_open_order_age_seconds"
        return self._all("max", f"{name}{_selector(signal.matchers)}")

    def _open(self, signal: Signal) -> str:
        return self._all("sum", f"delivery_open_orders{_selector(signal.matchers)}")

    def _health(self, signal: Signal) -> str:
        if not self._rule.by and not signal.matchers:
            return 'max(delivery_health_index{scope="*"})'
        if not self._rule.by and [one.op for one in signal.matchers] != ["="]:
            raise NotExpressibleError("health_index of several channels together has no metric")
        chosen = _selector(signal.matchers, 'scope!="*"').replace("channel", "scope")
        series = f"delivery_health_index{chosen}"
        if not self._rule.by:
            return f"max({series})"
        return self._all("max", f'label_replace({series}, "channel", "$1", "scope", "(.*)")')

    def _cusum(self, signal: Signal) -> str:
        chosen = _selector(signal.matchers)
        highest = self._all("max", f"(delivery_cusum{chosen} / delivery_cusum_limit{chosen})")
        if self._rule.by or signal.matchers:
            return highest
        # The chart of all orders is exported when there are several channels.
        shop = _selector((), 'channel="*"')
        return f"(max(delivery_cusum{shop} / delivery_cusum_limit{shop}) or {highest})"

    def _speed(self, signal: Signal) -> str:
        self._note("speed over 15m")
        # Without a split the channels are added up, so that of all together is left out.
        parts = "" if self._rule.by or signal.matchers else 'channel!="*"'
        seen = self._increase("delivery_observed_total", signal, "15m", parts)
        return f"({seen} / {self._increase('delivery_expected_total', signal, '15m', parts)})"

    def _orders(self, signal: Signal) -> str:
        if self._rule.by or signal.matchers:
            raise NotExpressibleError("payments are not counted by channel")
        window = signal.window or Window(span_ms=10 * MINUTE_MS)
        series = 'delivery_events_total{type="order.paid",outcome="accepted"}'
        return f"sum(increase({series}[{_span(window.span_ms)}]))"

    def _throughput(self, signal: Signal) -> str:
        window = signal.window or Window(span_ms=10 * MINUTE_MS)
        chosen = _selector(signal.matchers)
        span = _span(window.span_ms)
        return self._all("sum", f"rate(delivery_delay_seconds_count{chosen}[{span}])")

    def _burn(self, signal: Signal) -> str:
        slo = self._slo(signal)
        share = self._adaptive(_metric_of(slo, signal, signal.window), self._ratio)
        return f"({share} / {_number(slo.budget)})"

    def _budget(self, signal: Signal) -> str:
        slo = self._slo(signal)
        window = Window(span_ms=slo.window_ms)
        share = self._adaptive(_metric_of(slo, signal, window), self._ratio)
        return f"(1 - {share} / {_number(slo.budget)})"

    def _slo(self, signal: Signal) -> Slo:
        slo = self._slos.get(signal.argument)
        if slo is None or not 0.0 < slo.budget < 1.0:
            raise NotExpressibleError(f"{signal.name}: no SLO is called {signal.argument!r}")
        return slo

    # --- pieces -----------------------------------------------------------------------------------

    def _increase(self, name: str, signal: Signal, span: str, more: str = "") -> str:
        chosen = _selector(signal.matchers, more)
        return self._all("sum", f"increase({name}{chosen}[{span}])")

    def _all(self, op: str, inner: str) -> str:
        by = f" by ({', '.join(self._rule.by)}) " if self._rule.by else ""
        return f"{op}{by}{inner}" if inner.startswith("(") else f"{op}{by}({inner})"

    def _note(self, text: str) -> None:
        self.notes[text] = None


_READERS: dict[str, Callable[[Translator, Signal], str]] = {
    "mean_delay": Translator._mean,  # noqa: SLF001 - the table of its own methods
    "oldest_age": Translator._oldest,  # noqa: SLF001 - as above
    "open_orders": Translator._open,  # noqa: SLF001 - as above
    "health_index": Translator._health,  # noqa: SLF001 - as above
    "cusum_ratio": Translator._cusum,  # noqa: SLF001 - as above
    "speed_ratio": Translator._speed,  # noqa: SLF001 - as above
    "orders": Translator._orders,  # noqa: SLF001 - as above
    "throughput": Translator._throughput,  # noqa: SLF001 - as above
    "burn_rate": Translator._burn,  # noqa: SLF001 - as above
    "budget_remaining": Translator._budget,  # noqa: SLF001 - as above
}


def _metric_of(slo: Slo, signal: Signal, window: Window | None) -> Signal:
    return Signal(slo.metric, window, signal.matchers)


def _reach(signal: Signal) -> str:
    window = signal.window or Window(span_ms=10 * MINUTE_MS)
    if not window.min_orders:
        return _span(window.span_ms)
    return _span(window.max_ms or max(window.span_ms, _LONGEST))


def _span(span_ms: int) -> str:
    """A duration that Prometheus reads back exactly."""
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")):
        if span_ms % unit_ms == 0:
            return f"{span_ms // unit_ms}{unit}"
    return f"{span_ms}ms"


def _selector(matchers: tuple[Matcher, ...], more: str = "") -> str:
    parts = [more] if more else []
    for one in matchers:
        value = _regex(one.value) if one.op in ("=~", "!~") else one.value
        # JSON escapes what PromQL escapes in the same way.
        parts.append(f"{one.label}{one.op}{json.dumps(value, ensure_ascii=False)}")
    return f"{{{','.join(parts)}}}" if parts else ""


def _regex(globs: str) -> str:
    """A glob list `a|b*` as a regular expression, which Prometheus anchors at both ends."""
    return "|".join(".*".join(map(re.escape, glob.split("*"))) for glob in globs.split("|"))


def _fewest(least: int, chance: float, confidence: float) -> int:
    """Fewest bad orders that evidence accepts from any number of orders from `least` up.

    It grows with n, so the smallest n with which anything can be proven has it.
    """
    for n in range(max(least, 1), least + 10_000):
        fewest = fewest_that_prove(n, chance, confidence)
        if fewest is not None:
            return fewest
    return 1


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.12g}"


def duration(span_ms: int) -> str:
    """A duration as Prometheus writes it, exactly."""
    return _span(span_ms)
