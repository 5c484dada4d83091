"""Rules as data: the parsed expression tree and the fields of contract §4."""

from __future__ import annotations

import msgspec

from monitor.model.times import DAY_MS

# Signals of contract §4. The unit is one of ratio (0..1), duration (compared in seconds), count,
# score and number: a multiple of what is normal or allowed, which has no upper end.
SIGNALS: dict[str, str] = {
    "delayed_ratio": "ratio",
    "bad_ratio": "ratio",
    "failed_ratio": "ratio",
    "mean_delay": "duration",
    "p50_delay": "duration",
    "p90_delay": "duration",
    "p95_delay": "duration",
    "p99_delay": "duration",
    "oldest_age": "duration",
    "open_orders": "count",
    "orders": "count",
    "throughput": "count",
    "health_index": "score",
    "consecutive_late": "count",
    "source_age": "duration",
    "source_silent": "count",
    "cusum_ratio": "number",
    "speed_ratio": "number",
    "arrival_ratio": "number",
    "paid_ratio": "ratio",
    "callback_lag": "duration",
    "burn_rate": "number",
    "budget_remaining": "ratio",
    "stock": "count",
    "baseline": "duration",
    "worker_ratio": "number",
    "event_lag": "duration",
    "unattempted_age": "duration",
    "unbooked_age": "duration",
    "wallet": "count",
    "wallet_left": "duration",
    "webhook_state": "count",
    "stock_gap": "count",
}
RATIOS = ("delayed_ratio", "bad_ratio", "failed_ratio")
QUANTILES = {"p50_delay": 0.50, "p90_delay": 0.90, "p95_delay": 0.95, "p99_delay": 0.99}
SOURCE_SIGNALS = ("source_age", "source_silent")
BUDGET_SIGNALS = ("burn_rate", "budget_remaining")
# Signals about what is missing of a source, and the part of its absence that each reads.
ABSENCE_SIGNALS = {
    "worker_ratio": "worker",
    "event_lag": "lag",
    "unattempted_age": "unattempted",
    "unbooked_age": "unbooked",
}
BASELINED = (*QUANTILES, "mean_delay")  # what `baseline(…)` may be asked for

ORDER_LABELS = ("channel", "source", "provider", "sku")
# Signals that are answered by a `SignalTable` instead of order rows, and the one label each can be
# split by; an empty label means that there is one reading for the whole shop. Where the
# rule is not split by it, the signal is read for all of them together.
SIDE_SIGNALS: dict[str, str] = {
    "cusum_ratio": "channel",
    "speed_ratio": "channel",
    "arrival_ratio": "source",
    "paid_ratio": "provider",
    "callback_lag": "provider",
    "burn_rate": "channel",
    "budget_remaining": "channel",
    "stock": "",
    "source_age": "source",
    "source_silent": "source",
    "baseline": "channel",
    "worker_ratio": "source",
    "event_lag": "source",
    "unattempted_age": "source",
    "unbooked_age": "source",
    "wallet": "channel",
    "wallet_left": "channel",
    "webhook_state": "source",
    "stock_gap": "sku",
}


def labels_of(signal: str) -> tuple[str, ...]:
    """List the labels a signal can be matched and split by."""
    label = SIDE_SIGNALS.get(signal)
    if label is None:
        return ORDER_LABELS
    return (label,) if label else ()


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """`[10m]`, `[10m:20]`, `[10m:20:6h]` or `[last 50]`.

    `span_ms` back; further back until `min_orders` judged orders, at most `max_ms`; or the last
    `last` judged orders whatever their age.
    """

    span_ms: int = 0
    min_orders: int = 0
    max_ms: int = 0
    last: int = 0


class Matcher(msgspec.Struct, frozen=True):
    """`channel="x"`; op is = != =~ !~ where =~ takes a glob list `a|b*`."""

    label: str
    op: str
    value: str


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A literal; durations are seconds, percentages ratios."""

    value: float


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """A signal reference such as `delayed_ratio{channel="x"}[10m:20:6h]`."""

    name: str
    window: Window | None = None
    matchers: tuple[Matcher, ...] = ()
    argument: str = ""  # of burn_rate(slo), budget_remaining(slo), stock(sku), baseline(signal)


class Arithmetic(msgspec.Struct, frozen=True, tag="arithmetic"):
    """`left op right` with op in + - * /."""

    op: str
    left: Node
    right: Node


class Comparison(msgspec.Struct, frozen=True, tag="comparison"):
    """`left op right` with op in > >= < <= == !=."""

    op: str
    left: Node
    right: Node


class Logical(msgspec.Struct, frozen=True, tag="logical"):
    """`left and right`, `left or right`."""

    op: str
    left: Node
    right: Node


class Negation(msgspec.Struct, frozen=True, tag="negation"):
    """`not operand`."""

    operand: Node


Node = Number | Signal | Arithmetic | Comparison | Logical | Negation


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a firing rule may ask for; this version knows `failover` and `manual_review`."""

    type: str


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alerting rule, checked and compiled. `expr_text` is what the author wrote."""

    alert: str
    expr_text: str
    expr: Node
    group: str
    interval_ms: int
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    resolve_when: Node | None = None
    by: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    severity: str = "warning"
    confidence: float = 0.99
    # What `confidence` was worked out from, as written (`1/30d`); empty if it was given itself.
    max_false_alarms: str = ""
    min_count: int = 2
    no_data: str = "keep"
    mode: str = "enforce"
    actions: tuple[Action, ...] = ()
    runbook_url: str | None = None
    owner: str | None = None


class Slo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service level objective: of the judged orders of a window this share is to be good.

    `objective` 0..1; `metric` is the ratio whose k of n counts against it; `by` is what its alerts
    are split by. Fewer than `min_count` judged orders say nothing about the budget.
    """

    name: str
    objective: float
    window_ms: int = 30 * DAY_MS
    metric: str = "delayed_ratio"
    by: tuple[str, ...] = ()
    min_count: int = 20
    labels: tuple[tuple[str, str], ...] = ()
    owner: str | None = None

    @property
    def budget(self) -> float:
        """Share of orders that may be bad, 0..1."""
        return round(1.0 - self.objective, 12)


class LearnedLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit proposed by `rules learn` and taken over by a person: what `baseline(signal)` reads.

    `by_hour`: seconds, 168 of them (Monday 00:00 local time first) or one for every hour.
    `channel` is empty for the whole shop. `target` is the share of healthy hours above the limit.
    `excluded` are the (from_ms, to_ms) of incidents nothing was learned from.
    """

    signal: str
    channel: str
    by_hour: tuple[float, ...]
    n: int
    method: str
    from_ms: int
    to_ms: int
    excluded: tuple[tuple[int, int], ...] = ()
    target: float = 0.01

    def limit_s(self, hour_of_week: int) -> float:
        """The limit of an hour of the week, 0 (Monday 00:00) … 167, in seconds."""
        return self.by_hour[hour_of_week % len(self.by_hour)]


class RuleSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """All rules in the order of the files, the objectives they name, and learned limits."""

    rules: tuple[Rule, ...] = ()
    slos: tuple[Slo, ...] = ()
    learned: tuple[LearnedLimit, ...] = ()
