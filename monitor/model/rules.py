"""Rules as data: the parsed expression tree and the fields of contract §4."""

from __future__ import annotations

import msgspec

# Signals of contract §4 that this version computes, with the labels they can be split by.
# The unit is one of ratio, duration (compared in seconds), count and score.
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
}
RATIOS = ("delayed_ratio", "bad_ratio", "failed_ratio")
QUANTILES = {"p50_delay": 0.50, "p90_delay": 0.90, "p95_delay": 0.95, "p99_delay": 0.99}
SOURCE_SIGNALS = ("source_age", "source_silent")


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
    min_count: int = 2
    no_data: str = "keep"
    mode: str = "enforce"
    actions: tuple[Action, ...] = ()
    runbook_url: str | None = None
    owner: str | None = None


class RuleSet(msgspec.Struct, frozen=True):
    """All rules in the order of the files."""

    rules: tuple[Rule, ...] = ()
