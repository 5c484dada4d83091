"""What may be compared with what: the units of expressions, checked while they are read.

A literal `1.5` is a bare number, `2%` a ratio, `3m` a duration; a signal has the unit of
`monitor.model.rules.SIGNALS`. A duration never meets a bare number (is 180 seconds or minutes?),
a ratio never a number above one (`delayed_ratio > 2` was meant to be 2 %).
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import msgspec

from monitor.core.rules.tokens import ParseError
from monitor.model.rules import Arithmetic, Comparison, Node, Number

CONDITION = "condition"
NUMBER = "number"
RATIO = "ratio"
DURATION = "duration"

_SCALES = (NUMBER, RATIO)
_APPLY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_FORM = {
    RATIO: "a ratio; compare it with a percentage such as 2%",
    DURATION: "a duration; compare it with one such as 3m",
    "count": "a count; compare it with a number such as 5",
    "score": "a score from 0 to 100; compare it with a number such as 70",
    NUMBER: "a number; compare it with a number such as 1.5",
}


class Typed(msgspec.Struct, frozen=True):
    """A parsed part, its unit, and the column at which it starts."""

    node: Node
    unit: str
    column: int


def condition(part: Typed, word: str) -> Typed:
    """Let only a condition pass. Raises: ParseError."""
    if part.unit != CONDITION:
        raise ParseError(f"{word} needs a condition such as delayed_ratio > 2%", part.column)
    return part


def arithmetic(op: str, left: Typed, right: Typed, column: int) -> Typed:
    """Join two values by + - * /. Raises: ParseError when their units do not fit, or at / 0."""
    for part in (left, right):
        if part.unit == CONDITION:
            raise ParseError(f"'{op}' needs values, not a condition", part.column)
    unit = _scaled(op, left.unit, right.unit) if op in "*/" else _summed(left.unit, right.unit)
    if not unit:
        raise ParseError(f"cannot calculate {left.unit} {op} {right.unit}", column)
    if op == "/" and _constant(right.node) == 0:
        raise ParseError("division by zero: the quotient never has a value", right.column)
    return Typed(Arithmetic(op, left.node, right.node), unit, left.column)


def comparison(op: str, left: Typed, right: Typed) -> Typed:
    """Compare two values. Raises: ParseError when their units do not fit or it can never hold."""
    for part in (left, right):
        if part.unit == CONDITION:
            raise ParseError(f"'{op}' compares values, not conditions; use and, or", part.column)
    _check_fit(left, right)
    _check_reachable(op, left, right)
    return Typed(Comparison(op, left.node, right.node), CONDITION, left.column)


def _check_fit(left: Typed, right: Typed) -> None:
    """Complain at the literal if there is one: it is the side that is easier to correct."""
    literal, other = (left, right) if isinstance(left.node, Number) else (right, left)
    value = literal.node.value if isinstance(literal.node, Number) else None
    units = (left.unit, right.unit)
    is_bare = NUMBER in units and DURATION not in units
    is_percent_forgotten = is_bare and other.unit == RATIO and value is not None and value > 1
    if is_percent_forgotten or not (left.unit == right.unit or is_bare or value == 0):
        raise ParseError(f"the other side is {_FORM[other.unit]}", literal.column)


def _check_reachable(op: str, left: Typed, right: Typed) -> None:
    """Refuse `delayed_ratio >= 100%`: no evidence can show more than all."""
    limit = right if op in (">", ">=") else left
    value = left if op in (">", ">=") else right
    if op in ("==", "!=") or value.unit != RATIO or isinstance(value.node, Number):
        return
    if isinstance(limit.node, Number) and limit.node.value >= 1:
        raise ParseError("a ratio can never be shown to exceed 100%", limit.column)


def _constant(node: Node) -> float | None:
    """Work out a value without signals; None where there is one."""
    match node:
        case Number(value):
            return value
        case Arithmetic(op, left, right):
            first, second = _constant(left), _constant(right)
            if first is None or second is None:
                return None
            # A divisor that is zero was refused where it stands.
            return _APPLY[op](first, second)
        case _:
            return None


def _scaled(op: str, left: str, right: str) -> str:
    if right in _SCALES:
        return left
    if op == "/":
        return NUMBER if left == right else left if right == "count" else NUMBER
    if left in _SCALES:
        return right
    return right if left == "count" else left if right == "count" else NUMBER


def _summed(left: str, right: str) -> str:
    """Give the unit of a sum, or an empty text: 3m + 5 is neither."""
    if left == right or right == NUMBER != DURATION != left:
        return left
    return right if left == NUMBER and right != DURATION else ""
