"""Is a condition true now? Three-valued logic, and evidence before a ratio may say so.

What makes `signal > limit` true depends on the signal:

    ratio         k/n over the limit, and P(X >= k | n, limit) <= 1 - confidence (design D10)
    percentile q  over the limit, and P(X >= k | n, 1 - q) <= 1 - confidence, k = orders over it
    mean_delay    over the limit, and so is the mean without the worst 5 % (design D12a)
    the rest      over the limit

`<`, `<=`, `==`, `!=` and arithmetic compare plain values. Too few orders or no data are neither
true nor false and pass through `and`, `or`, `not` as in Kleene's logic.
"""

from __future__ import annotations

import math
import operator
from typing import Protocol, assert_never

import msgspec

from monitor.core.rules.matching import matches
from monitor.core.signals.evidence import binomial_tail
from monitor.model.alerts import Evidence
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
    Signal,
    Window,
)

__all__ = ["Finding", "Reader", "Reading", "evaluate", "matches"]

_COMPARE = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRROR = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_OPPOSITE = {"<": ">=", "<=": ">"}
# How much a verdict says, when several are false: one short of evidence explains more than `below`.
_TELLING = ("insufficient_evidence", "trimmed_mean", "below")


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One signal at one moment.

    `value` in seconds, 0..1, count or score; a percentile that is not reached is None with state
    ok. `k` of `n` judged orders count for a ratio; for a percentile k are those, delivered or
    waiting, whose delay exceeds the limit asked with. `trimmed` is the mean without the worst 5 %.
    `state`: ok, insufficient (fewer orders than asked for), no_data.
    """

    value: float | None = None
    k: int | None = None
    n: int | None = None
    trimmed: float | None = None
    state: str = "ok"


class Reader(Protocol):
    """Where readings come from."""

    def read(
        self,
        signal: str,
        window: Window | None,
        matchers: tuple[Matcher, ...],
        labels: dict[str, str],
        *,
        min_count: int,
        limit_s: float | None,
    ) -> Reading:
        """Read a signal for one instance; `limit_s` is what percentiles count orders above."""
        ...


class Finding(msgspec.Struct, frozen=True):
    """What a condition came to.

    `outcome`: true, false, insufficient, no_data. `reason`: threshold, evidence (true);
    insufficient_evidence, trimmed_mean, below (false); insufficient_evidence, no_data (neither).
    """

    outcome: str
    reason: str
    evidence: Evidence = Evidence()


def evaluate(
    node: Node, reader: Reader, labels: dict[str, str], *, confidence: float, min_count: int
) -> Finding:
    """Judge a condition for one set of labels.

    Raises: InvariantError if the tree is a value, which `parse` never returns.
    """
    return _Judge(reader, labels, confidence, min_count).judge(node, is_negated=False)


class _Judge(msgspec.Struct, frozen=True):
    """The arguments of one evaluation, carried through the tree."""

    reader: Reader
    labels: dict[str, str]
    confidence: float
    min_count: int

    def judge(self, node: Node, *, is_negated: bool) -> Finding:
        match node:
            case Negation(operand):
                return self.judge(operand, is_negated=not is_negated)
            case Logical(op, left, right):
                # De Morgan: not (a and b) is (not a) or (not b), so `not` ends at comparisons.
                is_and = (op == "and") != is_negated
                first = self.judge(left, is_negated=is_negated)
                second = self.judge(right, is_negated=is_negated)
                return _both(first, second) if is_and else _either(first, second)
            case Comparison():
                return self._negated(node) if is_negated else self._compare(node)
            case Number() | Signal() | Arithmetic():
                raise InvariantError("a value stands where a condition is needed")
            case _:
                assert_never(node)

    def _negated(self, node: Comparison) -> Finding:
        node = _signal_first(node)
        if opposite := _OPPOSITE.get(node.op):
            # `not (delayed_ratio <= 2%)` says `> 2%` and needs the same evidence.
            return self._compare(Comparison(opposite, node.left, node.right))
        return _opposite(self._compare(node))

    def _compare(self, node: Comparison) -> Finding:
        node = _signal_first(node)
        limit = _constant(node.right)
        if isinstance(node.left, Signal) and limit is not None:
            return self._compare_signal(node.left, node.op, limit)
        left, right = self._value(node.left), self._value(node.right)
        for reading in (left, right):
            if reading.state != "ok":
                return _unknown(reading, Evidence())
        evidence = Evidence(value=_finite(left.value), limit=_finite(right.value))
        if left.value is None or right.value is None:
            return Finding("no_data", "no_data", evidence)
        is_true = _COMPARE[node.op](left.value, right.value)
        return Finding(
            "true" if is_true else "false", "threshold" if is_true else "below", evidence
        )

    def _compare_signal(self, signal: Signal, op: str, limit: float) -> Finding:
        reading = self._read(signal, limit)
        evidence = Evidence(reading.value, limit, reading.k, reading.n, None, signal.name)
        if reading.state != "ok":
            return _unknown(reading, evidence)
        value = _number(signal, reading)
        if value is None:
            return Finding("no_data", "no_data", evidence)
        if not _COMPARE[op](value, limit):
            return Finding("false", "below", evidence)
        if op not in (">", ">="):
            return Finding("true", "threshold", evidence)
        if signal.name in RATIOS:
            return self._prove(evidence, limit)
        if signal.name in QUANTILES and reading.k is not None:
            return self._prove(evidence, 1.0 - QUANTILES[signal.name])
        if signal.name == "mean_delay":
            is_over = reading.trimmed is not None and _COMPARE[op](reading.trimmed, limit)
            return _found(evidence, is_over, "threshold", "trimmed_mean")
        return Finding("true", "threshold", evidence)

    def _prove(self, evidence: Evidence, chance: float) -> Finding:
        """Is k of n more than chance explains, where each order has the probability `chance`?"""
        if evidence.k is None or evidence.n is None:
            return Finding("insufficient", "insufficient_evidence", evidence)
        p = binomial_tail(evidence.k, evidence.n, chance)
        evidence = msgspec.structs.replace(evidence, p=p)
        # 1 - 0.99 is a little more than 0.01 in floats; the rounding is far below any real p.
        is_proven = p <= round(1.0 - self.confidence, 12)
        return _found(evidence, is_proven, "evidence", "insufficient_evidence")

    def _value(self, node: Node) -> Reading:
        match node:
            case Number(value):
                return Reading(value)
            case Signal():
                reading = self._read(node, None)
                return msgspec.structs.replace(reading, value=_number(node, reading))
            case Arithmetic():
                return _calculate(node.op, self._value(node.left), self._value(node.right))
            case Comparison() | Logical() | Negation():
                raise InvariantError("a condition stands where a value is needed")
            case _:
                assert_never(node)

    def _read(self, signal: Signal, limit: float | None) -> Reading:
        reading = self.reader.read(
            signal.name,
            signal.window,
            signal.matchers,
            self.labels,
            min_count=self.min_count,
            limit_s=limit if signal.name in QUANTILES else None,
        )
        needs_orders = (*RATIOS, *QUANTILES, "mean_delay")
        if reading.state == "ok" and signal.name in needs_orders and reading.n is not None:
            if reading.n == 0:
                return msgspec.structs.replace(reading, state="no_data")
            if reading.n < self.min_count:
                return msgspec.structs.replace(reading, state="insufficient")
        return reading


# --- values -------------------------------------------------------------------------------------


def _number(signal: Signal, reading: Reading) -> float | None:
    """Give the value to compare: a percentile that is not reached lies above every limit."""
    if reading.state == "ok" and reading.value is None and signal.name in QUANTILES:
        return math.inf
    return reading.value


def _calculate(op: str, left: Reading, right: Reading) -> Reading:
    for reading in (left, right):
        if reading.state != "ok":
            return Reading(state=reading.state)
    if left.value is None or right.value is None or (op == "/" and right.value == 0):
        return Reading(state="no_data")
    result = _apply(op, left.value, right.value)
    return Reading(state="no_data") if math.isnan(result) else Reading(result)


def _apply(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case _:
            raise InvariantError(f"unknown operator {op!r}")


def _constant(node: Node) -> float | None:
    """Give the value of a part without signals, such as `2 * 60s`, else None."""
    match node:
        case Number(value):
            return value
        case Arithmetic(op, left, right):
            first, second = _constant(left), _constant(right)
            if first is None or second is None:
                return None
            return _calculate(op, Reading(first), Reading(second)).value
        case _:
            return None


def _signal_first(node: Comparison) -> Comparison:
    """Write `2% < delayed_ratio` as `delayed_ratio > 2%`."""
    if isinstance(node.right, Signal) and _constant(node.left) is not None:
        return Comparison(_MIRROR[node.op], node.right, node.left)
    return node


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# --- verdicts -----------------------------------------------------------------------------------


def _found(evidence: Evidence, is_true: bool, reason: str, otherwise: str) -> Finding:  # noqa: FBT001 - it is the subject
    return Finding("true", reason, evidence) if is_true else Finding("false", otherwise, evidence)


def _unknown(reading: Reading, evidence: Evidence) -> Finding:
    if reading.state == "insufficient":
        return Finding("insufficient", "insufficient_evidence", evidence)
    return Finding("no_data", "no_data", evidence)


def _opposite(finding: Finding) -> Finding:
    match finding.outcome:
        case "true":
            return Finding("false", "below", finding.evidence)
        case "false":
            return Finding("true", "threshold", finding.evidence)
        case _:
            return finding


def _both(left: Finding, right: Finding) -> Finding:
    """Kleene's `and`: one false decides, else one unknown does."""
    if "false" in (left.outcome, right.outcome):
        return _more_telling([part for part in (left, right) if part.outcome == "false"])
    if left.outcome == "true" and right.outcome == "true":
        return right if right.reason == "evidence" != left.reason else left
    return left if left.outcome != "true" else right


def _either(left: Finding, right: Finding) -> Finding:
    """Kleene's `or`: one true decides, else one unknown does."""
    if "true" in (left.outcome, right.outcome):
        return left if left.outcome == "true" else right
    if left.outcome == "false" and right.outcome == "false":
        return _more_telling([left, right])
    return left if left.outcome != "false" else right


def _more_telling(findings: list[Finding]) -> Finding:
    return min(findings, key=lambda finding: _TELLING.index(finding.reason))
