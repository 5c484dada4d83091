"""Is a condition true now, for every instance of a rule? Kleene's logic, and evidence first.

What makes `signal > limit` true depends on the signal:

    ratio         k/n over the limit, and P(X >= k | n, limit) <= 1 - confidence (design D10)
    percentile q  over the limit, and P(X >= k | n, 1 - q) <= 1 - confidence, k = orders over it
    mean_delay    over the limit, and so is the mean without the worst 5 % (design D12a)
    a table's     over the limit, and proven by the table's own evidence if it has any; `<` for
                  signals that fall when something is wrong, such as paid_ratio
    the rest      over the limit

All other comparisons, and arithmetic, are of plain values. Too few orders or no data are neither
true nor false and pass through `and`, `or`, `not`.
"""

from __future__ import annotations

import math
import operator
from typing import assert_never

import msgspec
import numpy as np

from monitor.core.rules.findings import Findings, Proof, Verdict, both, either, opposite
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.readings import INSUFFICIENT, NO_DATA, OK, Codes, Readings
from monitor.core.rules.side import LOW_IS_BAD
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.evidence import binomial_tails
from monitor.model.errors import InvariantError
from monitor.model.rules import (
    QUANTILES,
    RATIOS,
    Arithmetic,
    Comparison,
    Logical,
    Negation,
    Node,
    Number,
    Signal,
)

_COMPARE = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_CALCULATE = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_MIRROR = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}

_TIE = 1e-9  # relative: as exact as the tails are
_TRUE = np.int8(Verdict.TRUE)
_BELOW = np.int8(Verdict.BELOW)
_OF_STATE: Codes = np.array([Verdict.TRUE, Verdict.INSUFFICIENT, Verdict.NO_DATA], np.int8)


def evaluate(
    node: Node, panel: Panel, domain: Domain, *, confidence: float, min_count: int
) -> Findings:
    """Judge a condition for every instance of a domain that `panel.domain` made.

    Raises: InvariantError if the tree is a value, which `parse` never returns.
    """
    judge = Judge(panel, domain, confidence, min_count)
    # Products may overflow and quotients be undefined: both are no data, not a warning.
    with np.errstate(all="ignore"):
        return judge.judge(node, is_negated=False)


class Judge(msgspec.Struct, frozen=True):
    """The arguments of one evaluation, carried through the tree."""

    panel: Panel
    domain: Domain
    confidence: float
    min_count: int

    def judge(self, node: Node, *, is_negated: bool) -> Findings:
        """Judge a part of the tree, or its opposite."""
        match node:
            case Negation(operand):
                return self.judge(operand, is_negated=not is_negated)
            case Logical(op, left, right):
                # De Morgan: not (a and b) is (not a) or (not b), so `not` ends at comparisons.
                first = self.judge(left, is_negated=is_negated)
                second = self.judge(right, is_negated=is_negated)
                is_and = (op == "and") != is_negated
                return both(first, second) if is_and else either(first, second)
            case Comparison():
                return self.compare(node, is_negated=is_negated)
            case Number() | Signal() | Arithmetic():
                raise InvariantError("a value stands where a condition is needed")
            case _:
                assert_never(node)

    def compare(self, node: Comparison, *, is_negated: bool) -> Findings:
        """Judge one comparison, or its opposite."""
        node, is_negated = settled(node, is_negated=is_negated)
        limit = constant(node.right)
        if isinstance(node.left, Signal) and limit is not None:
            found = self._compare_signal(node.left, node.op, limit)
        else:
            found = self._compare_values(node.op, self._value(node.left), self._value(node.right))
        return opposite(found) if is_negated else found

    def _compare_values(self, op: str, left: Readings, right: Readings) -> Findings:
        holds = _COMPARE[op](left.values, right.values)
        verdicts = np.where(holds, _TRUE, _BELOW)
        states = _first_unknown(left.states, right.states)
        proof = Proof(left.values, right.values)
        return Findings(_stated(verdicts, states), (proof,))

    def _compare_signal(self, signal: Signal, op: str, limit: float) -> Findings:
        readings = self.panel.read(signal, self.domain, min_count=self.min_count, limit=limit)
        holds = _COMPARE[op](readings.values, limit)
        verdicts = np.where(holds, _TRUE, _BELOW)
        p = readings.p
        if needs_proof(signal, op) and holds.any():
            if readings.states is not None:
                holds &= readings.states == OK
            p = self._prove(signal, op, limit, readings, np.flatnonzero(holds), verdicts)
        proof = Proof(readings.values, limit, signal.name, readings.k, readings.n, p)
        return Findings(_stated(verdicts, readings.states), (proof,))

    def _prove(
        self,
        signal: Signal,
        op: str,
        limit: float,
        readings: Readings,
        over: IntArray,
        verdicts: Codes,
    ) -> FloatArray | None:
        """Correct the verdicts of the instances that are over the limit; gives their p."""
        if signal.name == "mean_delay":
            for index in over.tolist():
                trimmed = self.panel.trimmed_s(signal, self.domain, index)
                if trimmed is None or not _COMPARE[op](trimmed, limit):
                    verdicts[index] = Verdict.TRIMMED_BELOW
            return None
        p = readings.p
        chance = _chance(signal, op, limit, readings)
        if chance is not None:
            p = self._tails(readings, over, chance)
            # Two of two over p90 are 0.1² = 1 - 0.99, which floats miss on either side.
            is_proven = p[over] <= (1.0 - self.confidence) * (1.0 + _TIE)
            verdicts[over] = np.where(
                is_proven, np.int8(Verdict.TRUE_BY_EVIDENCE), np.int8(Verdict.SHORT_OF_EVIDENCE)
            )
        if readings.is_proven is not None:
            verdicts[over[~readings.is_proven[over]]] = Verdict.SHORT_OF_EVIDENCE
        return p

    def _tails(self, readings: Readings, over: IntArray, chance: float) -> FloatArray:
        """P(X >= k | n, chance) of the instances that are over the limit, NaN for the others."""
        tails = np.full(len(self.domain), np.nan)
        if readings.k is not None and readings.n is not None and over.size:
            tails[over] = binomial_tails(readings.k[over], readings.n[over], chance)
        return tails

    def _value(self, node: Node) -> Readings:
        match node:
            case Number(value):
                return Readings(np.full(len(self.domain), value))
            case Signal():
                return self.panel.read(node, self.domain, min_count=self.min_count)
            case Arithmetic(op, left, right):
                return _calculate(op, self._value(left), self._value(right))
            case Comparison() | Logical() | Negation():
                raise InvariantError("a condition stands where a value is needed")
            case _:
                assert_never(node)


def needs_proof(signal: Signal, op: str) -> bool:
    """Whether a comparison says that something is bad, which takes more than the plain value."""
    return op in (("<", "<=") if signal.name in LOW_IS_BAD else (">", ">="))


def settled(node: Comparison, *, is_negated: bool) -> tuple[Comparison, bool]:
    """Write `2% < x` as `x > 2%`, and `not (x <= 2%)` as `x > 2%`, which needs the same evidence.

    What is left to negate is the opposite of a verdict: that of `not (x > 2%)` is that no evidence
    says so.
    """
    if isinstance(node.right, Signal) and constant(node.left) is not None:
        node = Comparison(_MIRROR[node.op], node.right, node.left)
    op = _OPPOSITE.get(node.op)
    if not is_negated or op is None:
        return node, is_negated
    bad = (">", ">=")
    if isinstance(node.left, Signal) and node.left.name in LOW_IS_BAD:
        bad = ("<", "<=")
    return (Comparison(op, node.left, node.right), False) if op in bad else (node, True)


def constant(node: Node) -> float | None:
    """Give the value of a part without signals, such as `2 * 60s`, else None."""
    match node:
        case Number(value):
            return value
        case Arithmetic(op, left, right):
            first, second = constant(left), constant(right)
            if first is None or second is None or (op == "/" and second == 0):
                return None
            value = float(_CALCULATE[op](first, second))
            return None if math.isnan(value) else value
        case _:
            return None


def _chance(signal: Signal, op: str, limit: float, readings: Readings) -> float | None:
    """The probability of an order to count for k if all were well; None: k proves nothing."""
    if signal.name in RATIOS:
        return limit
    if signal.name in QUANTILES:
        return 1.0 - QUANTILES[signal.name]
    if readings.share_per_unit is None or op not in (">", ">="):
        return None
    return limit * readings.share_per_unit


def _calculate(op: str, left: Readings, right: Readings) -> Readings:
    states = _first_unknown(left.states, right.states)
    values = _CALCULATE[op](left.values, right.values)
    if op == "/":
        values = np.where(right.values == 0, np.nan, values)
    is_undefined: BoolArray = np.isnan(values)
    if is_undefined.any():
        known = np.zeros(values.size, np.int8) if states is None else states
        states = np.where(is_undefined & (known != INSUFFICIENT), np.int8(NO_DATA), known)
    return Readings(values, states=states)


def _first_unknown(left: Codes | None, right: Codes | None) -> Codes | None:
    """The state of the left side, or if that is known of the right one."""
    if left is None or right is None:
        return right if left is None else left
    return np.where(left != OK, left, right)


def _stated(verdicts: Codes, states: Codes | None) -> Codes:
    return verdicts if states is None else np.where(states == OK, verdicts, _OF_STATE[states])
