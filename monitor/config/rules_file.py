"""Rule files: read, checked as a whole, compiled. Every problem of every file is reported at once.

The layout is Prometheus' (`groups`, `name`, `interval`, `rules`); the fields are those of contract
§4. What does not fit the schema is found by pydantic, what does not parse by the rule language;
both see every rule, so one wrong field does not hide a wrong expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints, ValidationError

from monitor.config.fields import Duration, StrictModel
from monitor.config.problems import problems_from
from monitor.config.yaml_lines import Positions, YamlPath, read_with_positions
from monitor.core.alerting.template import mistakes
from monitor.core.rules.parse import Parsed, labels_of, parse, signals_in
from monitor.core.rules.tokens import ParseError
from monitor.model.errors import ConfigError, Problem
from monitor.model.rules import Action, Rule, RuleSet
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS, SECOND_MS

FILES_MAX = 100
RULES_MAX = 500
SPAN_MAX_MS = 30 * DAY_MS

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Span = Annotated[Duration, Field(ge=0, le=SPAN_MAX_MS)]


class ActionFile(StrictModel):
    """One entry of `actions`."""

    type: Literal["failover", "manual_review"]


class RuleFile(StrictModel):
    """One rule as written."""

    alert: Name
    expr: Text
    for_ms: Span = Field(default=0, alias="for")
    keep_firing_for: Span = 0
    resolve_when: Text | None = None
    by: Annotated[list[Name], Field(max_length=5)] = Field(default=[])
    labels: Annotated[dict[Name, Text], Field(max_length=20)] = Field(default={})
    annotations: Annotated[dict[Name, Text], Field(max_length=20)] = Field(default={})
    severity: Literal["info", "warning", "critical"] = "warning"
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.99
    min_count: Annotated[int, Field(ge=1, le=10_000)] = 2
    no_data: Literal["keep", "ok", "alert"] = "keep"
    mode: Literal["enforce", "shadow"] = "enforce"
    actions: Annotated[list[ActionFile], Field(max_length=5)] = Field(default=[])
    runbook_url: Text | None = None
    owner: Text | None = None


class GroupFile(StrictModel):
    """Rules that are evaluated together."""

    name: Name
    interval: Annotated[Duration, Field(ge=SECOND_MS, le=DAY_MS)] = 15 * SECOND_MS
    rules: Annotated[list[RuleFile], Field(max_length=RULES_MAX)]


class RulesFile(StrictModel):
    """A whole file."""

    groups: Annotated[list[GroupFile], Field(max_length=RULES_MAX)]


class _Expressions(NamedTuple):
    """The two conditions of one rule; None where absent or wrong."""

    expr: Parsed | None
    resolve_when: Parsed | None


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """Read rule files, and the `*.yaml` and `*.yml` files directly inside folders, in order.

    Raises: ConfigError with every problem of every file.
    """
    problems: list[Problem] = []
    rules: list[Rule] = []
    first_seen: dict[str, str] = {}
    for path in _files(paths, problems):
        try:
            rules += _load_file(path, first_seen)
        except ConfigError as error:
            problems += error.problems
    if len(rules) > RULES_MAX:
        problems.append(Problem(str(paths[0]), 1, 1, f"more than {RULES_MAX} rules"))
    if problems:
        raise ConfigError(problems)
    return RuleSet(tuple(rules))


def load_shipped() -> RuleSet:
    """Read the rules that come with the program."""
    return load_rules([shipped_path()])


def shipped_path() -> Path:
    """Folder of the shipped rules: inside the installed package, or `rules/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped" / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def _files(paths: Sequence[Path], problems: list[Problem]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
        if not inside:
            problems.append(Problem(str(path), 1, 1, "holds no *.yaml rule file"))
        files += inside
    if len(files) > FILES_MAX:
        problems.append(Problem(str(paths[0]), 1, 1, f"more than {FILES_MAX} rule files"))
    return files[:FILES_MAX]


def _load_file(path: Path, first_seen: dict[str, str]) -> list[Rule]:
    value, positions = read_with_positions(path)
    reader = _FileReader(str(path), positions)
    expressions = reader.expressions(value)
    reader.names(value, first_seen)
    try:
        file = RulesFile.model_validate(value)
    except ValidationError as error:
        reader.problems += problems_from(error, positions, str(path), RulesFile)
        raise reader.error() from error
    if reader.problems:
        raise reader.error()
    return [
        _compiled(rule, group, expressions[g, r])
        for g, group in enumerate(file.groups)
        for r, rule in enumerate(group.rules)
    ]


class _FileReader:
    """What pydantic cannot see: expressions, labels, templates, names. Collects problems."""

    def __init__(self, path: str, positions: Positions) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._positions = positions

    def error(self) -> ConfigError:
        """Give all problems, in the order of the file."""
        return ConfigError(sorted(self.problems, key=lambda found: (found.line, found.column)))

    def expressions(self, value: object) -> dict[tuple[int, int], _Expressions]:
        """Parse the conditions of every rule, by group and position."""
        found: dict[tuple[int, int], _Expressions] = {}
        for (g, r), at, rule in _raw_rules(value):
            expr = self._parsed(rule, at, "expr")
            resolve = self._parsed(rule, at, "resolve_when")
            if resolve and resolve.by:
                self._report((*at, "resolve_when"), "'by' belongs to expr", key=True)
            if expr:
                self._check_by(rule, at, expr)
            if "max_false_alarms" in rule:
                message = "'max_false_alarms' is not available in this version; use confidence"
                self._report((*at, "max_false_alarms"), message, key=True)
                # Only said once: for the schema it would be an unknown field.
                del rule["max_false_alarms"]
            self._check_templates(rule, at)
            found[g, r] = _Expressions(expr, resolve)
        return found

    def names(self, value: object, first_seen: dict[str, str]) -> None:
        """Find alerts of the same name; `first_seen` spans all files."""
        for _, at, rule in _raw_rules(value):
            name = rule.get("alert")
            if not isinstance(name, str):
                continue
            line, _ = self._positions.at((*at, "alert"))
            if name in first_seen:
                message = f"alert '{name}' is defined twice; the first is {first_seen[name]}"
                self._report((*at, "alert"), message)
            first_seen.setdefault(name, f"{self._path}:{line}")

    def _parsed(self, rule: dict[str, object], at: YamlPath, field: str) -> Parsed | None:
        text = rule.get(field)
        if not isinstance(text, str):
            return None
        try:
            return parse(text)
        except ParseError as error:
            place = self._positions.inside((*at, field), error.column)
            is_exact = self._positions.has_text((*at, field))
            message = str(error) if is_exact else f"{error} (column {error.column} of {field})"
            self.problems.append(Problem(self._path, *place, message))
            return None

    def _check_by(self, rule: dict[str, object], at: YamlPath, expr: Parsed) -> None:
        labels = rule.get("by")
        if not isinstance(labels, list):
            return
        known = sorted(
            {name for signal in signals_in(expr.node) for name in labels_of(signal.name)}
        )
        for index, label in enumerate(labels):
            if isinstance(label, str) and label not in known:
                hint = did_you_mean(label, known) or f"this rule can be split by {', '.join(known)}"
                self._report((*at, "by", index), f"unknown label '{label}'", hint)
            elif label in labels[:index]:
                self._report((*at, "by", index), f"'{label}' is given twice")
        if expr.by and list(expr.by) != labels:
            self._report((*at, "by"), "differs from the 'by' inside expr; keep one", key=True)

    def _check_templates(self, rule: dict[str, object], at: YamlPath) -> None:
        annotations = rule.get("annotations")
        if not isinstance(annotations, dict):
            return
        for name, text in annotations.items():
            for column, message in mistakes(text) if isinstance(text, str) else ():
                place = self._positions.inside((*at, "annotations", name), column)
                self.problems.append(Problem(self._path, *place, message))

    def _report(self, at: YamlPath, message: str, hint: str = "", *, key: bool = False) -> None:
        place = self._positions.key(at) if key else self._positions.at(at)
        self.problems.append(Problem(self._path, *place, message, hint))


def _raw_rules(
    value: object,
) -> Iterator[tuple[tuple[int, int], YamlPath, dict[str, object]]]:
    """Yield the rules of a file that may be wrong everywhere else: (group, position), path, rule."""
    groups = value.get("groups") if isinstance(value, dict) else None
    for g, group in enumerate(groups if isinstance(groups, list) else []):
        rules = group.get("rules") if isinstance(group, dict) else None
        for r, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, dict):
                yield (g, r), ("groups", g, "rules", r), rule


def _compiled(rule: RuleFile, group: GroupFile, expressions: _Expressions) -> Rule:
    assert expressions.expr is not None
    resolve = expressions.resolve_when
    return Rule(
        alert=rule.alert,
        expr_text=rule.expr,
        expr=expressions.expr.node,
        group=group.name,
        interval_ms=group.interval,
        for_ms=rule.for_ms,
        keep_firing_for_ms=rule.keep_firing_for,
        resolve_when=resolve.node if resolve else None,
        by=tuple(rule.by) or expressions.expr.by,
        labels=tuple(sorted(rule.labels.items())),
        annotations=tuple(sorted(rule.annotations.items())),
        severity=rule.severity,
        confidence=rule.confidence,
        min_count=rule.min_count,
        no_data=rule.no_data,
        mode=rule.mode,
        actions=tuple(Action(action.type) for action in rule.actions),
        runbook_url=rule.runbook_url,
        owner=rule.owner,
    )
