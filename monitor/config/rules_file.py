"""Rule files: read, checked as a whole, compiled. Every problem of every file is reported at once.

The layout is Prometheus' (`groups`, `name`, `interval`, `rules`) with `slos` and `learned` beside
it; the fields are those of contract §4. What does not fit the schema is found by pydantic, what
does not parse by the rule language; both see every rule, so one wrong field does not hide a wrong
expression. A rule may name an SLO of any file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from monitor.config.problems import problems_from
from monitor.config.rules_reader import Expressions, FileReader, Seen, raw_entries, raw_rules
from monitor.config.rules_schema import (
    DAYS,
    RULES_MAX,
    GroupFile,
    LearnedFile,
    RuleFile,
    RulesFile,
)
from monitor.config.slos import burn_rules, compiled_slo
from monitor.config.yaml_lines import Positions, read_with_positions
from monitor.core.rules.false_alarms import confidence_for, parse_false_alarms
from monitor.core.rules.parse import Parsed
from monitor.model.errors import ConfigError, Problem
from monitor.model.rules import Action, LearnedLimit, Rule, RuleSet
from monitor.model.times import from_datetime

__all__ = ["RULES_MAX", "load_rules", "load_shipped", "shipped_path"]

FILES_MAX = 100
PLAYBOOKS = "playbooks"  # the stem of the one file of the folder that holds no rules


class _Source(NamedTuple):
    """A file that is YAML; everything else about it may be wrong."""

    path: Path
    value: object
    positions: Positions


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """Read rule files, and the `*.yaml` and `*.yml` files directly inside folders, in order.

    Raises: ConfigError with every problem of every file.
    """
    problems: list[Problem] = []
    sources = _sources(_files(paths, problems), problems)
    slos = [
        name
        for source in sources
        for _, slo in raw_entries(source.value, "slos")
        if isinstance(name := slo.get("name"), str)
    ]
    found: list[RuleSet] = []
    seen: Seen = {}
    for source in sources:
        try:
            found.append(_load_file(source, slos, seen))
        except ConfigError as error:
            problems += error.problems
    whole = RuleSet(
        rules=tuple(rule for one in found for rule in one.rules),
        slos=tuple(slo for one in found for slo in one.slos),
        learned=tuple(limit for one in found for limit in one.learned),
    )
    if len(whole.rules) > RULES_MAX:
        problems.append(Problem(str(paths[0]), 1, 1, f"more than {RULES_MAX} rules"))
    if problems:
        raise ConfigError(problems)
    return whole


def load_shipped() -> RuleSet:
    """Read the rules that come with the program."""
    return load_rules([shipped_path()])


def shipped_path() -> Path:
    """Folder of the shipped rules: inside the installed package, or `rules/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped" / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def rule_files_in(folder: Path) -> list[Path]:
    """The rule files directly inside a folder, by name; playbooks may lie beside them."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix in (".yaml", ".yml") and file.stem != PLAYBOOKS
    )


def _files(paths: Sequence[Path], problems: list[Problem]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = rule_files_in(path)
        if not inside:
            problems.append(Problem(str(path), 1, 1, "holds no *.yaml rule file"))
        files += inside
    if len(files) > FILES_MAX:
        problems.append(Problem(str(paths[0]), 1, 1, f"more than {FILES_MAX} rule files"))
    return files[:FILES_MAX]


def _sources(files: Sequence[Path], problems: list[Problem]) -> list[_Source]:
    found: list[_Source] = []
    for path in files:
        try:
            found.append(_Source(path, *read_with_positions(path)))
        except ConfigError as error:
            problems += error.problems
    return found


def _load_file(source: _Source, slos: Sequence[str], seen: Seen) -> RuleSet:
    path, value, positions = str(source.path), source.value, source.positions
    reader = FileReader(path, positions, slos)
    expressions = reader.expressions(value)
    _note_names(reader, value, seen)
    if isinstance(value, dict) and not RulesFile.model_fields.keys() & value.keys():
        reader.report(("groups",), "field 'groups' is missing")
    try:
        file = RulesFile.model_validate(value)
    except ValidationError as error:
        reader.problems += problems_from(error, positions, path, RulesFile)
        raise reader.error() from error
    generated = _burn_rules(reader, file, seen)
    if reader.problems:
        raise reader.error()
    written = [
        _compiled(rule, group, expressions[g, r])
        for g, group in enumerate(file.groups)
        for r, rule in enumerate(group.rules)
    ]
    return RuleSet(
        rules=(*written, *generated),
        slos=tuple(compiled_slo(slo) for slo in file.slos),
        learned=tuple(_learned(limit) for limit in file.learned),
    )


def _note_names(reader: FileReader, value: object, seen: Seen) -> None:
    """Find names given twice; what has no name is the schema's business."""
    for raw in raw_rules(value):
        if isinstance(name := raw.rule.get("alert"), str):
            reader.name("alert", name, (*raw.at, "alert"), seen)
    for index, slo in raw_entries(value, "slos"):
        if isinstance(name := slo.get("name"), str):
            reader.name("SLO", name, ("slos", index, "name"), seen)
    for index, limit in raw_entries(value, "learned"):
        signal, channel = limit.get("signal"), limit.get("channel", "")
        if isinstance(signal, str):
            reader.name("learned limit", f"{signal} {channel}", ("learned", index, "signal"), seen)


def _burn_rules(reader: FileReader, file: RulesFile, seen: Seen) -> list[Rule]:
    """Make the alerts of the SLOs, except those that could never fire."""
    found: list[Rule] = []
    for index, slo in enumerate(file.slos):
        budget = compiled_slo(slo).budget
        field = "alerting" if slo.alerting else "preset"
        for rule, burn in burn_rules(slo):
            at = ("slos", index, field)
            if burn * budget >= 1.0:
                message = (
                    f"a burn of {burn:g} with a budget of {budget:.6g} would need "
                    f"{burn * budget:.0%} of all orders to be bad"
                )
                reader.report(at, message, "raise the objective, or write your own 'alerting'")
            reader.name("alert", rule.alert, at, seen)
            found.append(rule)
    return found


def _compiled(written: RuleFile, group: GroupFile, expressions: Expressions) -> Rule:
    assert expressions.expr is not None
    rule = written.over(group.defaults)
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
        by=expressions.expr.by or tuple(rule.by),
        labels=tuple(sorted(rule.labels.items())),
        annotations=tuple(sorted(rule.annotations.items())),
        severity=rule.severity,
        confidence=_confidence(rule, expressions.expr),
        max_false_alarms=rule.max_false_alarms or "",
        min_count=rule.min_count,
        no_data=rule.no_data,
        mode=rule.mode,
        actions=tuple(Action(action.type) for action in rule.actions),
        runbook_url=rule.runbook_url,
        owner=rule.owner,
    )


def _confidence(rule: RuleFile, expr: Parsed) -> float:
    """What each look must be sure of; a group's `max_false_alarms` passes over untested rules."""
    if rule.max_false_alarms is None:
        return rule.confidence
    confidence = confidence_for(*parse_false_alarms(rule.max_false_alarms), expr.node)
    return rule.confidence if confidence is None else confidence


def _learned(limit: LearnedFile) -> LearnedLimit:
    week = limit.by_hour
    hours = [value for day in DAYS for value in getattr(week, day)] if week else [limit.overall]
    return LearnedLimit(
        signal=limit.signal,
        channel=limit.channel,
        by_hour=tuple(hours),
        n=limit.n,
        method=limit.method,
        from_ms=from_datetime(limit.start),
        to_ms=from_datetime(limit.end),
        excluded=tuple(
            (from_datetime(span.start), from_datetime(span.end)) for span in limit.excluded
        ),
        target=limit.target,
    )
