"""Which regular expressions may be tried on lines that strangers can influence.

`re` backtracks: a pattern such as `(a+)+$` takes for ever on thirty characters. A pattern here is taken
only if the number of ways to divide a line between its repeats is bounded: at most one repeat may hand
back characters that what follows it could take as well, no repeat stands within a repeat, and nothing
refers back. With the longest line that a pattern is tried on that is at most half a million steps,
whatever the line says (docs/decisions/0035-bounded-patterns.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from re import _constants as op  # type: ignore[attr-defined]  # the parser of the library itself
from re import _parser as parser  # type: ignore[attr-defined]  # the parser of the library itself
from typing import Any

from monitor.model.tails import PATTERN_BYTES_MAX

_OTHER = 1 << 128  # every character beyond ASCII
_ALL = (1 << 129) - 1
_WAYS_MAX = PATTERN_BYTES_MAX

Node = tuple[Any, Any]


def why_unsafe(pattern: str) -> str:
    """Say why a pattern is not taken; empty if it is. The pattern is one that `re` compiles."""
    nodes = parser.parse(pattern)
    is_anchored = bool(nodes) and nodes[0] == (op.AT, op.AT_BEGINNING)
    if not is_anchored:
        return "must begin with ^: a line is read from its beginning"
    try:
        ways = _ways(list(nodes), 0)
    except _OutsideError as error:
        return str(error)
    if ways > _WAYS_MAX:
        return (
            "has several repeats that could take each other's characters; use [^ ]+ instead of .+"
        )
    return ""


class _OutsideError(Exception):
    """A part that is not in the subset."""


def _ways(nodes: Sequence[Node], after: int) -> int:
    """How many ways there are to divide a line between the parts; `after` can follow them all."""
    ways = 1
    for index, (kind, value) in enumerate(nodes):
        following = _first(nodes[index + 1 :], after)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            ways *= _ways_of_repeat(value, following)
        elif kind is op.SUBPATTERN:
            ways *= _ways(list(value[3]), following)
        elif kind is op.BRANCH:
            ways *= _ways_of_branch([list(one) for one in value[1]], following)
        elif kind not in (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY, op.AT, op.CATEGORY):
            raise _OutsideError(f"uses {str(kind).lower()}, which may take too long")
    return ways


def _ways_of_repeat(value: tuple[int, Any, Any], following: int) -> int:
    low, high, inner = value
    if len(inner) != 1 or inner[0][0] not in (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY):
        if (low, high) != (0, 1):
            raise _OutsideError("repeats a group, which may take too long")
        return 1 + _ways(list(inner), following)
    if low == high or not _first(list(inner), 0) & following:
        return 1  # characters that were handed back fit nothing
    return min(int(high) - int(low) + 1, _WAYS_MAX)


def _ways_of_branch(branches: list[list[Node]], following: int) -> int:
    firsts = [_first(one, following) for one in branches]
    is_clear = all(
        not first & other for index, first in enumerate(firsts) for other in firsts[index + 1 :]
    )
    ways = [_ways(one, following) for one in branches]
    return max(ways) if is_clear else sum(ways)


def _first(nodes: Sequence[Node], after: int) -> int:
    """The characters with which the parts can begin, as bits; with those after them if they can be empty."""
    found = 0
    for kind, value in nodes:
        chars, can_be_empty = _begin(kind, value)
        found |= chars
        if not can_be_empty:
            return found
    return found | after


def _begin(kind: Any, value: Any) -> tuple[int, bool]:
    if kind is op.LITERAL:
        return _bit(value), False
    if kind is op.NOT_LITERAL:
        return (_ALL & ~_bit(value)) | _OTHER, False
    if kind is op.IN:
        return _of_set(value), False
    if kind is op.AT:
        return 0, True
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
        inner = _first(list(value[2]), 0)
        return inner, value[0] == 0
    if kind is op.SUBPATTERN:
        return _of_group([list(value[3])])
    if kind is op.BRANCH:
        return _of_group([list(one) for one in value[1]])
    return _ALL, False


def _of_group(branches: list[list[Node]]) -> tuple[int, bool]:
    marker = 1 << 200  # comes through only where a branch can be empty
    found = 0
    for one in branches:
        found |= _first(one, marker)
    return found & ~marker, bool(found & marker)


def _of_set(items: Sequence[Node]) -> int:
    """The characters of a class such as `[^0-9]`, taken from the library itself."""
    is_negated = bool(items) and items[0][0] is op.NEGATE
    found = 0
    for kind, value in items:
        if kind is op.LITERAL:
            found |= _bit(value)
        elif kind is op.RANGE:
            low, high = value
            found |= sum(1 << code for code in range(low, min(high, 127) + 1))
            found |= _OTHER if high > 127 else 0
        elif kind is op.CATEGORY:
            found |= _of_category(value)
    return (_ALL & ~found) | _OTHER if is_negated else found


def _of_category(category: Any) -> int:
    spelled = {
        op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
        op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
    }.get(category)  # fmt: skip
    if spelled is None:
        return _ALL
    one = re.compile(spelled)
    # Each of them has members beyond ASCII.
    return _OTHER | sum(1 << code for code in range(128) if one.match(chr(code)))


def _bit(code: int) -> int:
    return 1 << code if code < 128 else _OTHER
