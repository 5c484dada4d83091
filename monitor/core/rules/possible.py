"""Can a condition ever hold, whatever the orders do? Intervals and evidence, decided per branch.

A condition is written as alternatives of comparisons joined by `and`. An alternative is impossible
when a comparison lies outside of what its signal can be, when two contradict each other, or when
its window is too short for any evidence. What cannot be decided counts as possible.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import msgspec

from monitor.core.alerting.template import format_value
from monitor.core.signals.evidence import binomial_tail
from monitor.model.rules import (
    QUANTILES,
    RATIOS,
    SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Negation,
    Node,
    Number,
    Signal,
)

ALTERNATIVES_MAX = 256  # `and` of many `or`s multiplies; beyond that nothing is claimed

Range = tuple[float, float]
Alternative = tuple[Comparison, ...]

_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_MIRROR = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_APPLY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_EVERYTHING = (-math.inf, math.inf)
_DOMAINS = {"ratio": (0.0, 1.0), "score": (0.0, 100.0)}
_OWN_DOMAINS = {"paid_ratio": (0.0, math.inf), "budget_remaining": (-math.inf, 1.0)}
_WHOLE = (
    "open_orders", "orders", "consecutive_late", "source_silent", "stock", "webhook_state", "stock_gap",
)  # fmt: skip


class Bound(msgspec.Struct, frozen=True):
    """A comparison of one signal with a constant, the signal on the left."""

    signal: Signal
    op: str
    limit: float

    def __str__(self) -> str:
        limit = format_value(self.limit, SIGNALS.get(self.signal.name, ""))
        return f"{self.signal.name} {self.op} {limit}"


def alternatives(node: Node, *, is_negated: bool = False) -> list[Alternative] | None:
    """Write a condition as alternatives of comparisons; None when there are too many."""
    match node:
        case Negation(operand):
            return alternatives(operand, is_negated=not is_negated)
        case Logical(op, left, right):
            parts = [alternatives(side, is_negated=is_negated) for side in (left, right)]
            first, second = parts
            if first is None or second is None:
                return None
            if (op == "and") == is_negated:
                joined = [*first, *second]
            elif len(first) * len(second) > ALTERNATIVES_MAX:
                return None
            else:
                joined = [(*one, *other) for one, other in product(first, second)]
            return joined if len(joined) <= ALTERNATIVES_MAX else None
        case Comparison(op, left, right):
            return [(Comparison(_OPPOSITE[op] if is_negated else op, left, right),)]
        case _:
            return None


def bound(comparison: Comparison) -> Bound | None:
    """Read a comparison as `signal op constant`; None when it is something else."""
    left, right = comparison.left, comparison.right
    for side, other, op in (
        (left, right, comparison.op),
        (right, left, _MIRROR[comparison.op]),
    ):
        low, high = value_range(other)
        if isinstance(side, Signal) and low == high:
            return Bound(side, op, low)
    return None


def why_impossible(one: Alternative) -> str | None:
    """Say why no values make an alternative hold; None when some do, or when that is not known."""
    for part in one:
        if not _overlaps(part):
            found = bound(part)
            return f"'{found}' can never hold" if found else "a comparison can never hold"
    return contradiction(bounds_of(one))


def why_unprovable(one: Alternative, confidence: float, min_count: int) -> str | None:
    """Say why no evidence is ever enough for an alternative; None when it can be."""
    reasons = (_why_unprovable(found, confidence, min_count) for found in bounds_of(one))
    return next((reason for reason in reasons if reason), None)


def contradiction(bounds: Sequence[Bound], *, is_closed: bool = False) -> str | None:
    """Name two bounds of one signal that exclude each other; `is_closed` reads `>` as `>=`.

    Only the same signal over the same window is the same value.
    """
    by_signal: dict[bytes, list[Bound]] = {}
    for one in bounds:
        by_signal.setdefault(msgspec.json.encode(one.signal), []).append(one)
    for group in by_signal.values():
        for index, one in enumerate(group):
            for other in group[:index]:
                if _excludes(other, one, is_closed=is_closed):
                    return f"'{other}' and '{one}' contradict each other"
    return None


def value_range(node: Node) -> Range:
    """What a value can be at all; a constant is its own range."""
    match node:
        case Number(value):
            return (value, value)
        case Signal(name):
            return _domain(name)
        case Arithmetic(op, left, right):
            return _calculated(op, value_range(left), value_range(right))
        case _:
            return _EVERYTHING


def fewest_that_prove(n: int, chance: float, confidence: float) -> int | None:
    """Smallest k of n that evidence accepts as more than `chance`; None when not even all n do."""
    wanted = round(1.0 - confidence, 12)
    if n <= 0 or binomial_tail(n, n, chance) > wanted:
        return None
    low, high = math.floor(n * chance), n
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(middle, n, chance) <= wanted:
            high = middle
        else:
            low = middle
    return high


def chance_of(one: Bound) -> float | None:
    """The share that evidence is tested against; None where a signal needs no such evidence."""
    if one.op not in (">", ">="):
        return None
    if one.signal.name in RATIOS:
        return one.limit
    return 1.0 - QUANTILES[one.signal.name] if one.signal.name in QUANTILES else None


def _domain(signal: str) -> Range:
    own = _OWN_DOMAINS.get(signal)
    return own or _DOMAINS.get(SIGNALS.get(signal, ""), (0.0, math.inf))


def _overlaps(part: Comparison) -> bool:
    (low, high), (other_low, other_high) = value_range(part.left), value_range(part.right)
    match part.op:
        case ">":
            return high > other_low
        case ">=":
            return high >= other_low
        case "<":
            return low < other_high
        case "<=":
            return low <= other_high
        case "==":
            return low <= other_high and other_low <= high
        case _:
            return not low == high == other_low == other_high


def _calculated(op: str, left: Range, right: Range) -> Range:
    if op == "/" and right[0] <= 0.0 <= right[1]:
        return _EVERYTHING
    ends = [_APPLY[op](a, b) for a in left for b in right]
    if any(math.isnan(end) for end in ends):
        return _EVERYTHING
    return (min(ends), max(ends))


def _why_unprovable(one: Bound, confidence: float, min_count: int) -> str | None:
    window = one.signal.window
    if window is None or not window.last or one.op not in (">", ">="):
        return None
    chance = chance_of(one)
    is_mean = one.signal.name == "mean_delay"
    if chance is None and not is_mean:
        return None
    if min_count > window.last:
        return f"[last {window.last}] never holds the {min_count} orders of min_count"
    if is_mean and window.last == 1:
        return "without the worst order nothing is left of [last 1] to take the mean of"
    if chance is not None and fewest_that_prove(window.last, chance, confidence) is None:
        return (
            f"even {window.last} of {window.last} orders are no evidence for '{one}' "
            f"at a confidence of {confidence:g}"
        )
    return None


def _excludes(one: Bound, other: Bound, *, is_closed: bool) -> bool:
    pieces = [_piece(bound, is_closed=is_closed) for bound in (one, other)]
    if any(piece is None for piece in pieces):
        points = {bound.op: bound.limit for bound in (one, other)}
        return set(points) == {"==", "!="} and points["=="] == points["!="]
    (low, is_low_in, high, is_high_in) = _EVERYTHING[0], False, _EVERYTHING[1], False
    for piece in pieces:
        assert piece is not None
        if (piece[0], not piece[1]) > (low, not is_low_in):
            low, is_low_in = piece[0], piece[1]
        if (-piece[2], not piece[3]) > (-high, not is_high_in):
            high, is_high_in = piece[2], piece[3]
    return low > high or (low == high and not (is_low_in and is_high_in))


def _piece(one: Bound, *, is_closed: bool) -> tuple[float, bool, float, bool] | None:
    """The values that fit a bound: low end, is it in, high end, is it in; None for `!=`."""
    op, limit = one.op, one.limit
    if one.signal.name in _WHOLE and math.isfinite(limit):
        op, limit = {
            ">": (">=", math.floor(limit) + 1.0),
            "<": ("<=", math.ceil(limit) - 1.0),
        }.get(op, (op, limit))
    match op:
        case ">" | ">=":
            return (limit, is_closed or op == ">=", math.inf, False)
        case "<" | "<=":
            return (-math.inf, False, limit, is_closed or op == "<=")
        case "==":
            return (limit, True, limit, True)
        case _:
            return None


def bounds_of(one: Iterable[Comparison]) -> list[Bound]:
    """List the comparisons of an alternative that are bounds."""
    return [found for part in one if (found := bound(part)) is not None]
