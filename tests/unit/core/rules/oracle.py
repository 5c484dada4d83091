"""Rules evaluated the slow way: one instance, one comparison, one mask over all rows at a time.

What the product does with arrays over all instances, this does with scalars and `Scope`: the two
share the tree, the matchers and the signal mathematics of one scope, and nothing of the grouping,
the windows, the evidence or the logic.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from monitor.core.rules.findings import Finding
from monitor.core.rules.matching import matches
from monitor.core.rules.tables import SideSignals, SignalTable
from monitor.core.signals.evidence import binomial_tail
from monitor.core.signals.health import ANCHORS, health_from_sums, loss
from monitor.core.signals.observation import Kind, Observation
from monitor.core.signals.scope import Scope
from monitor.model.alerts import Evidence
from monitor.model.rules import (
    QUANTILES,
    RATIOS,
    SIDE_SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Matcher,
    Negation,
    Node,
    Number,
    Signal,
    Window,
)

HEALTH_WINDOW = Window(span_ms=900_000)
COMPARE = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt,
    "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
MIRROR = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
TELLING = ("insufficient_evidence", "trimmed_mean", "trimmed_health", "below")
LOW_IS_BAD = (
    "health_index", "speed_ratio", "arrival_ratio", "paid_ratio", "budget_remaining", "stock",
    "wallet", "wallet_left", "webhook_state")  # fmt: skip
ENOUGH = 5  # orders that weigh, for the health index to mean anything


TRIMMED = {"mean_delay": "trimmed_mean", "health_index": "trimmed_health"}


class Reading(NamedTuple):
    """One signal of one instance; `entry` is its place in a side table."""

    value: float | None = None
    k: int | None = None
    n: int | None = None
    state: str = "ok"
    trimmed: float | None = None
    p: float | None = None
    is_proven: bool = True
    share: float | None = None


class Oracle:
    """Evaluates conditions for one instance of one instant."""

    def __init__(
        self, rows: Observation, side: SideSignals, now_ms: int, labels: Mapping[str, str],
        *, confidence: float = 0.99, min_count: int = 2,
    ) -> None:  # fmt: skip
        self.rows, self.side, self.now_ms, self.labels = rows, side, now_ms, labels
        self.confidence, self.min_count = confidence, min_count

    # --- conditions ---------------------------------------------------------------------------

    def judge(self, node: Node, is_negated: bool = False) -> Finding:
        match node:
            case Negation(operand):
                return self.judge(operand, not is_negated)
            case Logical(op, left, right):
                parts = [self.judge(left, is_negated), self.judge(right, is_negated)]
                return both(*parts) if (op == "and") != is_negated else either(*parts)
            case Comparison(op, left, right):
                said = OPPOSITE.get(op, op) if is_negated else op
                if isinstance(right, Signal) and (
                    not isinstance(left, Signal)
                    or (says_bad(right, MIRROR[said]) and not says_bad(left, said))
                ):
                    op, left, right = MIRROR[op], right, left
                is_low_bad = isinstance(left, Signal) and left.name in LOW_IS_BAD
                if is_negated and op in ((">", ">=") if is_low_bad else ("<", "<=")):
                    return self.compare(OPPOSITE[op], left, right)
                found = self.compare(op, left, right)
                return opposite(found) if is_negated else found
            case _:
                raise AssertionError(node)

    def compare(self, op: str, left: Node, right: Node) -> Finding:
        if isinstance(left, Signal):
            return self.compare_signal(left, op, self.value(right))
        first, second = self.value(left), self.value(right)
        for reading in (first, second):
            if reading.state != "ok":
                return unknown(reading.state, Evidence())
        assert first.value is not None
        assert second.value is not None
        evidence = Evidence(finite(first.value), finite(second.value))
        if COMPARE[op](first.value, second.value):
            return Finding("true", "threshold", evidence)
        return Finding("false", "below", evidence)

    def compare_signal(self, signal: Signal, op: str, right: Reading) -> Finding:
        limit = math.nan if right.value is None or right.state != "ok" else right.value
        reading = self.read(signal, limit)
        value = math.inf if reading.value is None else reading.value
        evidence = Evidence(
            reading.value, finite(limit), reading.k, reading.n, reading.p, signal.name
        )
        if reading.state != "ok":
            return unknown(reading.state, evidence)
        if right.state != "ok":
            return unknown(right.state, evidence)
        if signal.name in QUANTILES and op in (">", ">="):
            return self.compare_percentile(signal, op, limit, reading, evidence)
        if not COMPARE[op](value, limit):
            return Finding("false", "below", evidence)
        if not says_bad(signal, op):
            return Finding("true", "threshold", evidence)
        if signal.name in TRIMMED:
            is_over = reading.trimmed is not None and COMPARE[op](reading.trimmed, limit)
            return Finding(
                *(("true", "threshold") if is_over else ("false", TRIMMED[signal.name])), evidence
            )
        chance = limit if signal.name in RATIOS else None
        if reading.share is not None and op in (">", ">="):
            chance = limit * reading.share
        reason = "threshold"
        is_proven = reading.is_proven
        if chance is not None:
            assert reading.k is not None
            assert reading.n is not None
            p = binomial_tail(reading.k, reading.n, chance)
            evidence = Evidence(reading.value, finite(limit), reading.k, reading.n, p, signal.name)
            is_proven &= p <= (1.0 - self.confidence) * (1.0 + 1e-9)
            reason = "evidence"
        if not is_proven:
            return Finding("false", "insufficient_evidence", evidence)
        return Finding("true", reason, evidence)

    def compare_percentile(
        self, signal: Signal, op: str, limit: float, reading: Reading, evidence: Evidence
    ) -> Finding:
        """Enough orders over the limit first, then the curve over it."""
        chance = 1.0 - QUANTILES[signal.name]
        assert reading.k is not None
        assert reading.n is not None
        if not reading.k / reading.n > chance:
            return Finding("false", "below", evidence)
        tested = msgspec.structs.replace(evidence, p=binomial_tail(reading.k, reading.n, chance))
        assert tested.p is not None
        if not tested.p <= (1.0 - self.confidence) * (1.0 + 1e-9):
            return Finding("false", "insufficient_evidence", tested)
        if not COMPARE[op](math.inf if reading.value is None else reading.value, limit):
            return Finding("false", "below", tested)
        return Finding("true", "evidence", tested)

    # --- values -------------------------------------------------------------------------------

    def value(self, node: Node) -> Reading:
        match node:
            case Number(value):
                return Reading(value)
            case Signal():
                reading = self.read(node, None)
                if reading.state == "ok" and reading.value is None:
                    return reading._replace(value=math.inf)
                return reading
            case Arithmetic(op, left, right):
                return calculate(op, self.value(left), self.value(right))
            case _:
                raise AssertionError(node)

    def read(self, signal: Signal, limit_s: float | None) -> Reading:
        if signal.name in SIDE_SIGNALS:
            return self.read_side(signal)
        scope = self.scope(signal.matchers)
        if signal.name in QUANTILES:
            reading = read_percentile(scope, signal, limit_s)
        elif signal.window is not None and signal.name != "health_index":
            reading = read_window(scope, signal.name, signal.window)
        else:
            reading = read_now(scope, signal)
        needs_orders = signal.name in (*RATIOS, *QUANTILES, "mean_delay", "health_index")
        if reading.state == "ok" and needs_orders:
            fewest = max(self.min_count, ENOUGH if signal.name == "health_index" else 0)
            if not reading.n:
                return reading._replace(state="no_data")
            if reading.n < fewest:
                return reading._replace(state="insufficient")
        return reading

    def scope(self, matchers: Sequence[Matcher]) -> Scope:
        rows = self.rows
        mask = ~(rows.is_held | rows.is_unconfirmed)
        for row in np.flatnonzero(mask).tolist():
            names = {
                label: rows.names.of(label)[int(getattr(rows, label)[row])]
                for label in ("channel", "source", "provider", "sku")
            }
            is_mine = all(names[label] == name for label, name in self.labels.items())
            mask[row] = is_mine and matches(matchers, names)
        is_by_channel = "channel" in self.labels or any(one.label == "channel" for one in matchers)
        return Scope(rows, mask, self.now_ms, is_by_channel=is_by_channel)

    def read_side(self, signal: Signal) -> Reading:
        reading = self.read_entry(signal)
        if reading.share is not None and reading.n is not None and reading.n < self.min_count:
            return reading._replace(state="insufficient")
        return reading

    def read_entry(self, signal: Signal) -> Reading:
        is_split = SIDE_SIGNALS[signal.name] in self.labels or bool(signal.matchers)
        table = self.side.table(signal, is_split=is_split)
        if table.label is None:
            return entry(table, 0)
        chosen = [
            index
            for index, name in enumerate(table.names)
            if self.labels.get(table.label, name) == name
            and matches(signal.matchers, {table.label: name})
        ]
        if signal.name == "source_silent" and table.label not in self.labels:
            if not chosen:
                return Reading(n=0, state="no_data")
            return Reading(float(sum(table.values[chosen])), n=len(chosen))
        known = [index for index in chosen if math.isfinite(table.values[index])]
        if not known:
            return Reading(state="no_data")
        worst = min if signal.name in LOW_IS_BAD else max
        return entry(table, worst(known, key=lambda index: float(table.values[index])))


def says_bad(signal: Signal, op: str) -> bool:
    return op in (("<", "<=") if signal.name in LOW_IS_BAD else (">", ">="))


def entry(table: SignalTable, index: int) -> Reading:
    value = float(table.values[index])
    if not math.isfinite(value):
        return Reading(state="no_data")
    return Reading(
        value,
        None if table.k is None else int(table.k[index]),
        None if table.n is None else int(table.n[index]),
        p=None if table.p is None else float(table.p[index]),
        is_proven=table.is_proven is None or bool(table.is_proven[index]),
        share=table.share_per_unit,
    )


def read_window(scope: Scope, name: str, window: Window) -> Reading:
    since_ms = scope.since_ms(window)
    if name == "mean_delay":
        delays = scope.delays(since_ms)
        if delays.mean_ms is None:
            return Reading(n=0, state="no_data")
        trimmed = None if delays.trimmed_ms is None else delays.trimmed_ms / 1000
        return Reading(delays.mean_ms / 1000, n=delays.n, trimmed=trimmed)
    if name == "orders":
        n = sum(since_ms < at_ms <= scope.now_ms for at_ms in scope.rows.paid_ms[scope.mask])
        return Reading(float(n), n=n)
    if name == "throughput":
        delivered = scope.delivered_since(since_ms)
        return Reading(delivered / (max(scope.now_ms - since_ms, 1) / 1000), n=delivered)
    counts = scope.counts(since_ms)
    k = {
        "delayed_ratio": counts.breached,
        "bad_ratio": counts.judged - counts.good,
        "failed_ratio": counts.failed,
    }[name]
    if not counts.judged:
        return Reading(k=0, n=0, state="no_data")
    return Reading(k / counts.judged, k, counts.judged)


def read_now(scope: Scope, signal: Signal) -> Reading:
    ages = scope.open_ages_ms()
    if signal.name == "oldest_age":
        return Reading(float(max(ages, default=0)) / 1000, n=len(ages))
    if signal.name == "open_orders":
        return Reading(float(len(ages)), n=len(ages))
    if signal.name == "consecutive_late":
        return Reading(float(scope.consecutive(good=False)), n=scope.consecutive(good=False))
    since_ms = scope.since_ms(signal.window or HEALTH_WINDOW)
    index = health_from_sums(scope.health(since_ms, ANCHORS))
    state = "ok" if index.n else "no_data"
    return Reading(index.value, n=index.n, state=state, trimmed=trimmed_health(scope, since_ms))


def trimmed_health(scope: Scope, since_ms: int) -> float | None:
    """Every order's loss, the largest left out, one by one."""
    rows, losses = scope.rows, []
    for row in np.flatnonzero(scope.mask).tolist():
        end_ms, paid_ms = int(rows.end_ms[row]), int(rows.paid_ms[row])
        age_ms = max(0, (end_ms if rows.kind[row] else scope.now_ms) - paid_ms)
        if rows.kind[row] == Kind.OPEN and age_ms >= 60_000:
            losses.append(loss_units(age_ms))
        elif rows.kind[row] != Kind.OPEN and since_ms < end_ms <= scope.now_ms:
            is_delivered = rows.kind[row] == Kind.DELIVERED
            losses.append(loss_units(age_ms) if is_delivered else 1_000_000_000)
    kept = sorted(losses)[: -max(1, math.ceil(len(losses) / 20))]
    whole = len(kept) * 1_000_000_000
    return 100 * (whole - sum(kept)) / whole if kept else None


def loss_units(age_ms: int) -> int:
    return int(np.rint(loss(np.array([age_ms])) * 1_000_000_000)[0])


def read_percentile(scope: Scope, signal: Signal, limit_s: float | None) -> Reading:
    since_ms = scope.since_ms(signal.window or HEALTH_WINDOW)
    curve = scope.curve(since_ms)
    k, n = scope.longer_than((limit_s or 0.0) * 1000, since_ms)
    if curve.n_events + curve.n_censored == 0:
        return Reading(n=0, state="no_data")
    return Reading(curve.quantile(QUANTILES[signal.name]).value_s, k, n)


def calculate(op: str, left: Reading, right: Reading) -> Reading:
    for reading in (left, right):
        if reading.state != "ok":
            return Reading(state=reading.state)
    assert left.value is not None
    assert right.value is not None
    if op == "/" and right.value == 0:
        return Reading(state="no_data")
    action = {
        "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv
    }[op]  # fmt: skip
    result = float(action(left.value, right.value))
    return Reading(state="no_data") if math.isnan(result) else Reading(result)


def constant(node: Node) -> float | None:
    match node:
        case Number(value):
            return value
        case Arithmetic(op, left, right):
            parts = constant(left), constant(right)
            if parts[0] is None or parts[1] is None:
                return None
            return calculate(op, Reading(parts[0]), Reading(parts[1])).value
        case _:
            return None


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- verdicts -----------------------------------------------------------------------------------


def unknown(state: str, evidence: Evidence) -> Finding:
    return Finding(state, "insufficient_evidence" if state == "insufficient" else state, evidence)


def opposite(finding: Finding) -> Finding:
    match finding.outcome:
        case "true":
            return Finding("false", "below", finding.evidence)
        case "false":
            return Finding("true", "threshold", finding.evidence)
        case _:
            return finding


def both(left: Finding, right: Finding) -> Finding:
    false = [part for part in (left, right) if part.outcome == "false"]
    if false:
        return min(false, key=lambda part: TELLING.index(part.reason))
    if left.outcome == right.outcome == "true":
        return right if right.reason == "evidence" != left.reason else left
    return left if left.outcome != "true" else right


def either(left: Finding, right: Finding) -> Finding:
    if "true" in (left.outcome, right.outcome):
        return left if left.outcome == "true" else right
    if left.outcome == right.outcome == "false":
        return min([left, right], key=lambda part: TELLING.index(part.reason))
    return left if left.outcome != "false" else right
