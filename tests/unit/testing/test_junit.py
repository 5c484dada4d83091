"""JUnit XML as build servers read it: counts, places, and no name that breaks the document."""

import xml.etree.ElementTree as ET

from monitor.model.errors import Problem
from monitor.testing.junit import junit_xml
from monitor.testing.rule_tests import RuleTestResult


def test_suites_cases_and_failures_are_counted_and_placed() -> None:
    """Two files, three tests, one failure; markup and control characters in names survive."""
    problem = Problem("b.yaml", 7, 9, 'expected <"a"> & found \x00')
    document = ET.fromstring(
        junit_xml(
            [
                ("a.yaml", RuleTestResult("one", passed=True)),
                ("b.yaml", RuleTestResult("two", passed=True)),
                ("b.yaml", RuleTestResult('th<r>"ee', passed=False, messages=(problem,))),
            ]
        )
    )
    assert (document.tag, document.attrib["tests"], document.attrib["failures"]) == (
        "testsuites", "3", "1",
    )  # fmt: skip
    assert [(suite.attrib["name"], suite.attrib["failures"]) for suite in document] == [
        ("a.yaml", "0"), ("b.yaml", "1"),
    ]  # fmt: skip
    case = document[1][1]
    assert (case.attrib["name"], case.attrib["line"]) == ('th<r>"ee', "7")
    assert case[0].attrib["message"] == 'expected <"a"> & found �'
    assert case[0].text == 'b.yaml:7:9 expected <"a"> & found �'
