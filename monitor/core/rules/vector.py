"""Is a condition true now, for every instance of a rule? Kleene's logic, and evidence first.

What makes `signal > limit` true depends on the signal:

    ratio         k/n over the limit, and P(X >= k | n, limit) <= 1 - confidence (design D10)
    percentile q  k/n over 1 - q and P(X >= k | n, 1 - q) <= 1 - confidence, k = orders over the
                  limit, and the percentile over it too
    mean_delay    over the limit, and so is the mean without the worst 5 % (design D12a)
    health_index  under the limit, and so is the index without the worst 5 %
    a table's     over the limit, and proven by the table's own evidence if it has any; `<` for
                  signals that fall when something is wrong, such as paid_ratio
    the rest      over the limit

The limit may be a value of its own for every instance, such as `2 * baseline(p95_delay)`. All other
comparisons, and arithmetic, are of plain values. Too few orders or no data are neither true nor
false and pass through `and`, `or`, `not`.
"""

from __future__ import annotations

import math
import operator
from typing import assert_never

import msgspec
import numpy as np

from monitor.core.rules.findings import (
    BELOW,
    PROVEN,
    SHORT,
    TRIMMED_HEALTH,
    TRIMMED_MEAN,
    TRUE,
    Findings,
    Limit,
    Proof,
    at,
    both,
    either,
    opposite,
)
from monitor.core.rules.findings import INSUFFICIENT as UNSURE
from monitor.core.rules.findings import NO_DATA as UNKNOWN
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.readings import INSUFFICIENT, NO_DATA, OK, Codes, Readings
from monitor.core.rules.side import LOW_IS_BAD
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray, read_only
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

_NOWHERE: IntArray = read_only(np.zeros(0, np.int64))
_OF_STATE: Codes = np.array([TRUE, UNSURE, UNKNOWN], np.int8)


def evaluate(
    node: Node, panel: Panel, domain: Domain, *, confidence: float, min_count: int
) -> Findings:
    """Judge a condition for every instance of a domain that `panel.domain` made.

    Raises: InvariantError if the tree is a value, which `parse` never returns.
    """
    return Judge(panel, domain, confidence, min_count).judge(node, is_negated=False)


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
        if not isinstance(node.left, Signal):
            found = self._compare_values(node.op, self._value(node.left), self._value(node.right))
        elif (limit := constant(node.right)) is not None:
            found = self._compare_signal(node.left, node.op, limit)
        else:
            limits, states = self._limits(node.right)
            found = self._compare_signal(node.left, node.op, limits, states)
        return opposite(found) if is_negated else found

    def _compare_values(self, op: str, left: Readings, right: Readings) -> Findings:
        holds = _COMPARE[op](left.values, right.values)
        verdicts = np.where(holds, TRUE, BELOW)
        states = _first_unknown(left.states, right.states)
        proof = Proof(left.values, right.values)
        return Findings(_stated(verdicts, states), (proof,))

    def _compare_signal(
        self, signal: Signal, op: str, limit: Limit, unknown: Codes | None = None
    ) -> Findings:
        """`unknown` are the states of limits that are read too."""
        if signal.name in QUANTILES and op in (">", ">="):
            return self._compare_percentile(signal, op, limit, unknown)
        readings = self.panel.read(signal, self.domain, min_count=self.min_count, limit=limit)
        if unknown is not None:
            states = _first_unknown(readings.states, unknown)
            readings = msgspec.structs.replace(readings, states=states)
        holds = _COMPARE[op](readings.values, limit)
        verdicts = np.where(holds, TRUE, BELOW)
        chance = _chance(signal, op, limit, readings)
        over = _over(holds, readings) if needs_proof(signal, op) else _NOWHERE
        if over.size:
            if signal.name == "mean_delay":
                self._trim(signal, op, limit, over, verdicts)
            if signal.name == "health_index":
                trimmed = self.panel.trimmed_health(signal, self.domain)[over]
                verdicts[over[~_COMPARE[op](trimmed, at(limit, over))]] = TRIMMED_HEALTH
            if chance is not None:
                self._prove(readings, at(chance, over), over, verdicts)
            if readings.is_proven is not None:
                verdicts[over[~readings.is_proven[over]]] = SHORT
        values, k, n = readings.values, readings.k, readings.n
        proof = Proof(values, limit, signal.name, k, n, readings.p, chance, over)
        return Findings(_stated(verdicts, readings.states), (proof,))

    def _compare_percentile(
        self, signal: Signal, op: str, limit: Limit, unknown: Codes | None
    ) -> Findings:
        """Count before the curve is worked out: few instances have enough orders over the limit."""
        counts, values = self.panel.read_percentile(
            signal, self.domain, min_count=self.min_count, limit=limit
        )
        if unknown is not None:
            states = _first_unknown(counts.states, unknown)
            counts = msgspec.structs.replace(counts, states=states)
        chance = 1.0 - QUANTILES[signal.name]
        holds = counts.values > chance
        verdicts = np.where(holds, TRUE, BELOW)
        over = _over(holds, counts)
        if over.size:
            self._prove(counts, chance, over, verdicts)
            proven = over[verdicts[over] == PROVEN]
            if proven.size:
                verdicts[proven[~_COMPARE[op](values(proven), at(limit, proven))]] = BELOW
        proof = Proof(values, limit, signal.name, counts.k, counts.n, None, chance, over)
        return Findings(_stated(verdicts, counts.states), (proof,))

    def _trim(self, signal: Signal, op: str, limit: Limit, over: IntArray, verdicts: Codes) -> None:
        """Let a mean over the limit pass only if it is over it without its worst 5 % too."""
        for index in over.tolist():
            trimmed = self.panel.trimmed_s(signal, self.domain, index)
            if trimmed is None or not _COMPARE[op](trimmed, at(limit, index)):
                verdicts[index] = TRIMMED_MEAN

    def _prove(self, readings: Readings, chance: Limit, over: IntArray, verdicts: Codes) -> None:
        """Let k of n over the limit pass only if chance, that of each of `over`, does not explain it."""
        if readings.k is None or readings.n is None:
            verdicts[over] = SHORT
            return
        is_proven = self.panel.critical.is_reached(
            readings.k[over], readings.n[over], chance, self.confidence
        )
        verdicts[over] = np.where(is_proven, PROVEN, SHORT)

    def _limits(self, node: Node) -> tuple[FloatArray, Codes | None]:
        """A limit that is read, by instance: NaN where it is not known."""
        found = self._value(node)
        if found.states is None:
            return found.values, None
        return np.where(found.states == OK, found.values, np.nan), found.states

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

    Of two signals the one that is said to be bad comes first. What is left to negate is the
    opposite of a verdict: that of `not (x > 2%)` is that no evidence says so.
    """
    if isinstance(node.right, Signal) and not _is_about_left(node, is_negated=is_negated):
        node = Comparison(_MIRROR[node.op], node.right, node.left)
    op = _OPPOSITE.get(node.op)
    if not is_negated or op is None:
        return node, is_negated
    bad = (">", ">=")
    if isinstance(node.left, Signal) and node.left.name in LOW_IS_BAD:
        bad = ("<", "<=")
    return (Comparison(op, node.left, node.right), False) if op in bad else (node, True)


def _is_about_left(node: Comparison, *, is_negated: bool) -> bool:
    """Whether a comparison with a signal on its right speaks of its left side nevertheless."""
    if not isinstance(node.left, Signal):
        return False
    assert isinstance(node.right, Signal)
    op = _OPPOSITE.get(node.op, node.op) if is_negated else node.op
    return needs_proof(node.left, op) or not needs_proof(node.right, _MIRROR[op])


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


def _chance(signal: Signal, op: str, limit: Limit, readings: Readings) -> Limit | None:
    """The probability of an order to count for k if all were well; None: k proves nothing."""
    if op not in (">", ">="):
        return None
    if signal.name in RATIOS:
        return limit
    if readings.share_per_unit is None:
        return None
    with np.errstate(all="ignore"):  # infinite limits are exceeded by nothing
        return limit * readings.share_per_unit


def _calculate(op: str, left: Readings, right: Readings) -> Readings:
    states = _first_unknown(left.states, right.states)
    # Products may overflow and quotients be undefined: that is no data, not a warning.
    with np.errstate(all="ignore"):
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


def _over(holds: BoolArray, readings: Readings) -> IntArray:
    """Instances whose known value is over the limit."""
    return (holds if readings.states is None else holds & (readings.states == OK)).nonzero()[0]


def _stated(verdicts: Codes, states: Codes | None) -> Codes:
    return verdicts if states is None else np.where(states == OK, verdicts, _OF_STATE[states])
