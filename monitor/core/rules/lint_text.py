"""Slips of the pen in a rule that is correct: texts that look like something they are not.

    like-a-regular-expression  `=~` takes globs, and this one looks like something else
    name-without-value         a text names a label the alert does not have

They ask for nothing but the rule, so `check` warns of them without loading any statistics.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from monitor.core.alerting.template import VALUES, names_in
from monitor.core.rules.matching import as_globs, regex_like
from monitor.core.rules.parse import signals_in
from monitor.model.rules import Rule, labels_of


class Lint(msgspec.Struct, frozen=True):
    """One finding; `field` is the part of the rule it is about (`alert` for the rule itself).

    `part` is a key within that field, `column` a 1-based place within its text.
    """

    code: str
    field: str
    message: str
    hint: str = ""
    part: str = ""
    column: int = 1


def lint_text(rule: Rule) -> Iterator[Lint]:
    """Find at most one of each kind."""
    yield from _takes_globs(rule)
    yield from _fills_in(rule)


def _takes_globs(rule: Rule) -> Iterator[Lint]:
    """A dot and a star: names with that dot, or the regular expression for anything?"""
    for field, node in (("expr", rule.expr), ("resolve_when", rule.resolve_when)):
        for signal in signals_in(node) if node is not None else ():
            for one in signal.matchers:
                part = regex_like(one.value) if one.op in ("=~", "!~") else None
                if part is not None:
                    globs = as_globs(one.value)
                    message = f"'{part}' looks like a regular expression; only * is special"
                    hint = f"write '{globs}' unless the sign belongs to the name" if globs else ""
                    yield Lint("like-a-regular-expression", field, message, hint)
                    return


def _fills_in(rule: Rule) -> Iterator[Lint]:
    """Each annotation against the labels of the alert; other names are refused when it is read."""
    known = (*VALUES, *rule.by, *(name for name, _ in rule.labels))
    for annotation, text in rule.annotations:
        for column, name in names_in(text):
            if name not in known:
                message = f"'{name}' has no value: alerts of '{rule.alert}' have no such label"
                can = [label for one in signals_in(rule.expr) for label in labels_of(one.name)]
                hint = f"split the rule by it, by: [{name}]" if name in can else ""
                found = Lint("name-without-value", "annotations", message, hint)
                yield msgspec.structs.replace(found, part=annotation, column=column)
                return
