"""Lint of rule files: every finding at its place, `file:line:column: code: message`.

What is plainly wrong in a file is a ConfigError, as `check` reports it; this is about rules that
are correct and still will not do what their author wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from monitor.config.rule_tests_file import load_rule_tests
from monitor.config.rules_file import load_rules, rule_files_in
from monitor.config.rules_text import named_rules, place_of, rule_files, yaml_in
from monitor.config.yaml_lines import read_with_positions
from monitor.core.rules.lint import Surroundings, lint
from monitor.core.rules.lint_text import Lint
from monitor.core.rules.noise import Healthy, lint_noise
from monitor.model.errors import ConfigError, Problem
from monitor.model.rules import RuleSet

TESTS_FOLDER = "tests"


class Found(msgspec.Struct, frozen=True):
    """One finding in a file."""

    path: str
    line: int
    column: int
    code: str
    alert: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}:{self.column}: {self.code}: {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


def lint_files(
    paths: Sequence[Path],
    channels: tuple[str, ...] | None,
    tests: Sequence[Path],
    scopes: Mapping[str, Healthy] | None,
) -> tuple[RuleSet, list[Found]]:
    """Lint rule files and folders of them; the rules, and what was found in the files' order.

    `tests` are looked at beside the folders `tests` next to the rule files; `scopes` are healthy
    days to compare limits with. Raises: ConfigError when a file is wrong.
    """
    rules = load_rules(paths)
    files = rule_files(paths)
    known = Surroundings(channels, _tested([*_test_files(files), *_inside(tests)]))
    by_name = {rule.alert: rule for rule in rules.rules}
    found: list[Found] = []
    for file in files:
        value, positions = read_with_positions(file)
        for at, alert in named_rules(value):
            rule = by_name[alert]
            lints = lint(rule, known) + (lint_noise(rule, scopes) if scopes else [])
            for one in _once(lints):
                place = place_of(positions, at, one)
                found.append(Found(str(file), *place, one.code, alert, one.message, one.hint))
    return rules, sorted(found, key=lambda one: (one.path, one.line, one.column))


def _once(lints: Sequence[Lint]) -> list[Lint]:
    """Keep the first finding of each code: a limit is not wrong twice."""
    return list({one.code: one for one in reversed(lints)}.values())[::-1]


def _test_files(files: Sequence[Path]) -> list[Path]:
    folders = dict.fromkeys(file.parent / TESTS_FOLDER for file in files)
    return [test for folder in folders if folder.is_dir() for test in yaml_in(folder)]


def _inside(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in (rule_files_in(path) if path.is_dir() else [path])]


def _tested(files: Sequence[Path]) -> frozenset[str]:
    """Alerts that an expectation of a rule test names."""
    names: list[str] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            tests = load_rule_tests(file).tests
        except ConfigError as error:
            problems += error.problems
            continue
        for test in tests:
            for expected in test.expectations:
                names += [expected.alert] if expected.alert else expected.firing or ()
            names += [counted.alert for counted in test.notifications if counted.alert]
    if problems:
        raise ConfigError(problems)
    return frozenset(names)
