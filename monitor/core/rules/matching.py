"""Does a set of labels satisfy the matchers of a signal?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.model.errors import InvariantError
from monitor.model.rules import Matcher


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher holds; a label that is absent counts as empty text."""
    return all(_holds(matcher, labels.get(matcher.label, "")) for matcher in matchers)


def matches_globs(globs: str, value: str) -> bool:
    """Whether the whole value fits one of the globs in a list such as `a|b*`.

    Only `*` is special. Unlike a regular expression it takes linear time on any input.
    """
    return any(_matches_glob(glob, value) for glob in globs.split("|"))


def _holds(matcher: Matcher, value: str) -> bool:
    match matcher.op:
        case "=":
            return value == matcher.value
        case "!=":
            return value != matcher.value
        case "=~":
            return matches_globs(matcher.value, value)
        case "!~":
            return not matches_globs(matcher.value, value)
        case op:
            raise InvariantError(f"unknown matcher {op!r}")


def _matches_glob(glob: str, value: str) -> bool:
    first, *middle = glob.split("*")
    if not middle:
        return value == glob
    last = middle.pop()
    if len(value) < len(first) + len(last):
        return False
    if not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for part in middle:
        # Taking the leftmost place leaves the most room for the parts that follow.
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
