"""Where the rules of a file stand, and what `check` says of their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from monitor.config.rules_file import load_rules, rule_files_in
from monitor.config.yaml_lines import Positions, YamlPath, read_with_positions
from monitor.core.rules.lint_text import Lint, lint_text
from monitor.model.errors import Problem

SUFFIXES = (".yaml", ".yml")


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """List the files that `load_rules` reads for the same paths."""
    files: list[Path] = []
    for path in paths:
        files += rule_files_in(path) if path.is_dir() else [path]
    return files


def text_warnings(paths: Sequence[Path]) -> list[Problem]:
    """What `check` says of rule files that are right: slips of the pen, at their place.

    Raises: ConfigError when a file is wrong.
    """
    by_name = {rule.alert: rule for rule in load_rules(paths).rules}
    found: list[Problem] = []
    for file in rule_files(paths):
        value, positions = read_with_positions(file)
        for at, alert in named_rules(value):
            found += [
                Problem(str(file), *place_of(positions, at, one), one.message, one.hint)
                for one in lint_text(by_name[alert])
            ]
    return found


def place_of(positions: Positions, at: YamlPath, one: Lint) -> tuple[int, int]:
    """Where a finding stands; for what the rule has from its group's defaults, there."""
    path = (one.field, one.part) if one.part else (one.field,)
    if not positions.has((*at, *path)) and positions.has((*at[:2], "defaults", *path)):
        at = (*at[:2], "defaults")
    where = (*at, *path)
    return positions.inside(where, one.column) if one.part else positions.at(where)


def named_rules(value: object) -> Iterator[tuple[YamlPath, str]]:
    """Yield path and name of every rule of a file that is known to be right."""
    groups = value.get("groups") if isinstance(value, dict) else None
    for g, group in enumerate(groups or []):
        for r, rule in enumerate(group["rules"]):
            yield ("groups", g, "rules", r), rule["alert"]


def yaml_in(folder: Path) -> list[Path]:
    """The YAML files of a folder, by name."""
    return sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
