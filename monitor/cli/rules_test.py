"""Test rules: stories of orders go through the real engine in virtual time.

A test file says what happens (`events`) and what is expected when (`expect`); without P the tests of
the shipped rules run. P is a test file, or a folder of them (of its folder `tests`, if it has one).
A file names its rules as `rule_files`; --rules replaces them. Exit 1 when an expectation fails.

Examples:
  delivery-monitor rules test
  delivery-monitor rules test rules/tests/night.yaml
  delivery-monitor rules test rules/ --config monitor.yaml --json
  delivery-monitor rules test --junit build/rules.xml

The format of the files: docs/rule-tests.md
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.cli.output import say, say_json
from monitor.config.load import load
from monitor.config.rule_tests_file import load_rule_tests
from monitor.config.rules_file import load_rules, load_shipped, shipped_path
from monitor.model.errors import ConfigError, InputError, Problem
from monitor.model.rule_tests import RuleTestFile
from monitor.model.rules import RuleSet
from monitor.testing.junit import junit_xml
from monitor.testing.rule_tests import RuleTestResult, run_rule_tests

TESTS_FOLDER = "tests"
SUFFIXES = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules test`."""
    parser.add_argument("tests", nargs="*", type=Path, metavar="P", help="test file or folder")
    parser.add_argument("--rules", type=Path, action="append", metavar="R", default=[],
                        help="rule file or folder, instead of rule_files")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml: promise, tiers")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")


def run(options: argparse.Namespace) -> int:
    """Run all tests; 1 when one failed."""
    settings = load(options.config).settings
    files = _files(options.tests or [shipped_path() / TESTS_FOLDER])
    stories: list[tuple[RuleTestFile, RuleSet]] = []
    problems: list[Problem] = []
    for file in files:
        try:
            rules = _rules_of(file, options.rules)
            stories.append((load_rule_tests(file, rules), rules))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    results = [
        (story.path, result)
        for story, rules in stories
        for result in run_rule_tests(story, rules, settings)
    ]
    if options.junit is not None:
        _write(options.junit, junit_xml(results))
    return _report(results, as_json=options.json)


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        folder = path / TESTS_FOLDER if (path / TESTS_FOLDER).is_dir() else path
        inside = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
        if not inside:
            raise InputError(f"{folder} holds no *.yaml test file", hint="name a test file")
        files += inside
    return files


def _rules_of(file: Path, given: Sequence[Path]) -> RuleSet:
    """Rules for one file: those of the command line, else those it names, else the shipped ones."""
    if given:
        return load_rules(given)
    named = load_rule_tests(file).rule_files
    return load_rules([file.parent / name for name in named]) if named else load_shipped()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror})", hint="name another file with --junit"
        ) from error


def _report(results: Sequence[tuple[str, RuleTestResult]], *, as_json: bool) -> int:
    failed = sum(not result.passed for _, result in results)
    if as_json:
        tests = [{"file": file, **msgspec.to_builtins(result)} for file, result in results]
        say_json({"ok": not failed, "tests": tests})
        return 1 if failed else 0
    for _, result in results:
        say(f"{'ok  ' if result.passed else 'FAIL'}  {result.name}")
        for message in result.messages:
            say(f"      {message}")
    ran = f"{len(results)} test{'' if len(results) == 1 else 's'}"
    say(f"{ran}, {failed} failed" if failed else f"{ran} passed")
    return 1 if failed else 0
