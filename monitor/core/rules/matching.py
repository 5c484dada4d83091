"""Does a set of labels satisfy the matchers of a signal? And was a regular expression meant?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from monitor.model.errors import InvariantError
from monitor.model.rules import Matcher

# No name looks like this, so a rule that says it would match nothing and stay quiet for ever.
_REGEX = re.compile(r"^\^|\.\+|\(\?|\[\^|\[(?:a-z|A-Z|0-9)|\\[dws.]")
# A name may: `eu.*` are the names that begin with `eu.`, and `card-5$` is a price.
_LIKE_REGEX = re.compile(r"\.\*|\$$|[])]?\?$|[])][*+?]")
_ANCHORS = re.compile(r"^\^?\(?|\)?\$?$")


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher holds; a label that is absent counts as empty text."""
    return all(_holds(matcher, labels.get(matcher.label, "")) for matcher in matchers)


def matches_globs(globs: str, value: str) -> bool:
    """Whether the whole value fits one of the globs in a list such as `a|b*`.

    Only `*` is special. Unlike a regular expression it takes linear time on any input.
    """
    return any(_matches_glob(glob, value) for glob in globs.split("|"))


def regex_in(globs: str) -> str | None:
    """The part of a list of globs that can only be a regular expression, such as `^auto`."""
    for part in globs.split("|"):
        if _REGEX.search(part) or part.count("(") != part.count(")"):
            return part
    return None


def regex_like(globs: str) -> str | None:
    """The part of a list of globs that may be one and may be a name, such as `eu.*`."""
    return next((part for part in globs.split("|") if _LIKE_REGEX.search(part)), None)


def as_globs(regex: str) -> str:
    """Write a simple regular expression as a list of globs; empty if it is not that simple."""
    parts = (_ANCHORS.sub("", part) for part in regex.split("|"))
    globs = "|".join(re.sub(r"\.[*+]", "*", part) for part in parts)
    return "" if re.search(r"[\\^$?+(){}\[\]]", globs) else globs


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
