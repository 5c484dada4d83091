"""What a schema cannot see in a rule file: expressions, labels, templates, names given twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from monitor.config.yaml_lines import Positions, YamlPath
from monitor.core.alerting.template import mistakes
from monitor.core.rules.false_alarms import TESTED, confidence_for
from monitor.core.rules.parse import Parsed, parse, signals_in
from monitor.core.rules.tokens import ParseError
from monitor.model.errors import ConfigError, Problem
from monitor.model.rules import ORDER_LABELS, labels_of
from monitor.model.spelling import did_you_mean

Fields = dict[str, object]
Seen = dict[tuple[str, str], str]
"""Where a name of a kind was given first, over all files."""

_EVIDENCE = ("confidence", "max_false_alarms")


class Expressions(NamedTuple):
    """The two conditions of one rule; None where absent or wrong."""

    expr: Parsed | None
    resolve_when: Parsed | None


class Raw(NamedTuple):
    """One rule of a file that may be wrong everywhere else, with the defaults of its group."""

    place: tuple[int, int]  # group, rule
    at: YamlPath
    rule: Fields
    defaults: Fields


class FileReader:
    """Collects the problems of one file; `slos` are the names of all files."""

    def __init__(self, path: str, positions: Positions, slos: Sequence[str]) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._positions = positions
        self._slos = slos

    def error(self) -> ConfigError:
        """Give all problems, each once, in the order of the file."""
        found = list(dict.fromkeys(self.problems))
        return ConfigError(sorted(found, key=lambda problem: (problem.line, problem.column)))

    def expressions(self, value: object) -> dict[tuple[int, int], Expressions]:
        """Parse the conditions of every rule, by group and position."""
        found: dict[tuple[int, int], Expressions] = {}
        in_group: dict[int, list[str]] = {}
        for raw in raw_rules(value):
            expr = self._parsed(raw, "expr")
            resolve = self._parsed(raw, "resolve_when")
            if resolve and resolve.by:
                self.report((*raw.at, "resolve_when"), "'by' belongs to expr", key=True)
            if expr:
                self._check_by(raw, expr)
                self._check_false_alarms(raw, expr)
            self._check_evidence(raw.rule, raw.at)
            own = (*_labels(raw.rule), *_labels(raw.defaults))
            self._check_templates(raw.rule, raw.at, own)
            in_group.setdefault(raw.place[0], []).extend(own)
            found[raw.place] = Expressions(expr, resolve)
        for at, defaults in raw_defaults(value):
            self._check_evidence(defaults, at)
            own = (*in_group.get(int(at[1]), ()), *_labels(defaults))
            self._check_templates(defaults, at, own)
        return found

    def name(self, kind: str, name: str, at: YamlPath, seen: Seen) -> None:
        """Note a name and complain if it was given before."""
        line, _ = self._positions.at(at)
        if (kind, name) in seen:
            self.report(at, f"{kind} '{name}' is defined twice; the first is {seen[kind, name]}")
        seen.setdefault((kind, name), f"{self._path}:{line}")

    def report(self, at: YamlPath, message: str, hint: str = "", *, key: bool = False) -> None:
        """Add a problem at a value, or at the key that leads to it."""
        place = self._positions.key(at) if key else self._positions.at(at)
        self.problems.append(Problem(self._path, *place, message, hint))

    def _parsed(self, raw: Raw, field: str) -> Parsed | None:
        text = raw.rule.get(field)
        if not isinstance(text, str):
            return None
        at = (*raw.at, field)
        try:
            return parse(text, self._slos)
        except ParseError as error:
            place = self._positions.inside(at, error.column)
            is_exact = self._positions.has_text(at)
            message = str(error) if is_exact else f"{error} (column {error.column} of {field})"
            self.problems.append(Problem(self._path, *place, message))
            return None

    def _check_by(self, raw: Raw, expr: Parsed) -> None:
        at = (*(raw.at if "by" in raw.rule else (*raw.at[:2], "defaults")), "by")
        labels = raw.rule.get("by", () if expr.by else raw.defaults.get("by"))
        if not isinstance(labels, list):
            return
        names = (name for signal in signals_in(expr.node) for name in labels_of(signal.name))
        known = list(dict.fromkeys(names))
        for index, label in enumerate(labels):
            if isinstance(label, str) and label not in known:
                can = f"can be split by {', '.join(known)}" if known else "has no labels"
                hint = did_you_mean(label, known) or f"this rule {can}"
                self.report((*at, index), f"unknown label '{label}'", hint)
            elif label in labels[:index]:
                self.report((*at, index), f"'{label}' is given twice")
        if expr.by and list(expr.by) != labels:
            self.report(at, "differs from the 'by' inside expr; keep one", key=True)

    def _check_false_alarms(self, raw: Raw, expr: Parsed) -> None:
        if "max_false_alarms" in raw.rule and confidence_for(1, 1, expr.node) is None:
            message = "'max_false_alarms' needs a signal that is tested for evidence"
            hint = f"these are {', '.join(TESTED)}"
            self.report((*raw.at, "max_false_alarms"), message, hint, key=True)

    def _check_evidence(self, fields: Fields, at: YamlPath) -> None:
        if all(name in fields for name in _EVIDENCE):
            message = "'max_false_alarms' stands instead of 'confidence'; keep one"
            self.report((*at, "max_false_alarms"), message, key=True)

    def _check_templates(self, fields: Fields, at: YamlPath, own: Sequence[str]) -> None:
        """Look for words no alert can fill in; `own` are the labels that are written out.

        A label this very rule is not split by is a finding of lint: its message is poorer, not wrong.
        """
        annotations = fields.get("annotations")
        if not isinstance(annotations, dict):
            return
        for name, text in annotations.items():
            wrong = mistakes(text, (*ORDER_LABELS, *own)) if isinstance(text, str) else ()
            for column, message in wrong:
                place = self._positions.inside((*at, "annotations", name), column)
                self.problems.append(Problem(self._path, *place, message))


def raw_rules(value: object) -> Iterator[Raw]:
    """Yield the rules of a file that may be wrong everywhere else."""
    for g, group in raw_entries(value, "groups"):
        defaults = group.get("defaults")
        rules = group.get("rules")
        for r, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, dict):
                at = ("groups", g, "rules", r)
                yield Raw((g, r), at, rule, defaults if isinstance(defaults, dict) else {})


def _labels(fields: Fields) -> tuple[str, ...]:
    labels = fields.get("labels")
    return tuple(labels) if isinstance(labels, dict) else ()


def raw_defaults(value: object) -> Iterator[tuple[YamlPath, Fields]]:
    """Yield the defaults of every group that has some."""
    for g, group in raw_entries(value, "groups"):
        defaults = group.get("defaults")
        if isinstance(defaults, dict):
            yield ("groups", g, "defaults"), defaults


def raw_entries(value: object, section: str) -> Iterator[tuple[int, Fields]]:
    """Yield the mappings of a top-level list, by position."""
    entries = value.get(section) if isinstance(value, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            yield index, entry
