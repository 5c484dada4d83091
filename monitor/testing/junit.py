"""Results of rule tests as JUnit XML, the form that build servers read.

Source: the schema Jenkins and GitLab accept; `file` and `line` are what GitHub's readers use.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from monitor.testing.rule_tests import RuleTestResult

# XML 1.0 knows no control characters but these; a name in a YAML file may hold any.
_ALLOWED = "\t\n\r"


def junit_xml(results: Sequence[tuple[str, RuleTestResult]]) -> str:
    """One suite per file in the order given; `results` are (file, result) pairs."""
    suites: dict[str, list[RuleTestResult]] = {}
    for file, result in results:
        suites.setdefault(file, []).append(result)
    failed = sum(not result.passed for _, result in results)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<testsuites name="rules" tests="{len(results)}" failures="{failed}">']  # fmt: skip
    for file, inside in suites.items():
        failed = sum(not result.passed for result in inside)
        lines.append(
            f'  <testsuite name={_quoted(file)} tests="{len(inside)}" failures="{failed}">'
        )
        for result in inside:
            lines += _case(file, result)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _case(file: str, result: RuleTestResult) -> list[str]:
    start = f"    <testcase classname={_quoted(file)} name={_quoted(result.name)}"
    if result.passed:
        return [f"{start}/>"]
    first = result.messages[0]
    text = escape(_printable("\n".join(map(str, result.messages))))
    return [
        f'{start} file={_quoted(file)} line="{first.line}">',
        f'      <failure type="expectation" message={_quoted(first.message)}>{text}</failure>',
        "    </testcase>",
    ]


def _quoted(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    return "".join(
        letter
        if (letter >= " " or letter in _ALLOWED) and not "\ud800" <= letter <= "\udfff"
        else "\ufffd"
        for letter in text
    )
