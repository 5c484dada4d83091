"""Rule tests: the shipped rules keep their promises, and a failing test says what it found where."""

from pathlib import Path

import msgspec
import pytest

from monitor.config.rule_tests_file import load_rule_tests
from monitor.config.rules_file import load_rules
from monitor.model.errors import ConfigError
from monitor.model.rule_tests import RuleTest, RuleTestFile
from monitor.model.settings import Settings
from monitor.testing.rule_tests import RuleTestResult, run_rule_tests

RULES = Path(__file__).resolve().parents[3] / "rules"


def shipped() -> list[RuleTestFile]:
    """Every file of stories of the shipped rules."""
    rules = load_rules([RULES])
    return [load_rule_tests(path, rules) for path in sorted((RULES / "tests").glob("*.yaml"))]


STORIES = [(file, test) for file in shipped() for test in file.tests]


def one(file: RuleTestFile, test: RuleTest) -> RuleTestFile:
    return msgspec.structs.replace(file, tests=(test,))


@pytest.mark.parametrize(("file", "test"), STORIES, ids=[test.name for _, test in STORIES])
def test_shipped_rules_keep_their_promises(file: RuleTestFile, test: RuleTest) -> None:
    """Every story of rules/tests ends as it says."""
    (result,) = run_rule_tests(one(file, test), load_rules([RULES]), Settings())
    assert result.passed, "\n".join(map(str, result.messages))


def test_every_shipped_rule_is_seen_firing() -> None:
    """No rule is shipped without a story in which it fires."""
    expectations = [e for _, test in STORIES for e in test.expectations if e.when != "never"]
    fired = {e.alert for e in expectations if e.state == "firing"}
    fired |= {name for e in expectations for name in e.firing or ()}
    assert fired == {rule.alert for rule in load_rules([RULES]).rules}


def run(tmp_path: Path, tests: str) -> tuple[RuleTestResult, ...]:
    path = tmp_path / "t.yaml"
    path.write_text(f"start: 2026-01-05T10:00:00+08:00\ntests:\n{tests}", encoding="utf-8")
    rules = load_rules([RULES])
    return run_rule_tests(load_rule_tests(path, rules), rules, Settings())


def test_wrong_expectation_says_what_was_found_and_where(tmp_path: Path) -> None:
    """One late order of ten does not fire; the message has place, state, evidence."""
    (result,) = run(
        tmp_path,
        "  - name: wrong\n"
        "    events:\n"
        "      - {orders: 9, every: 60s, channel: a, delay: 8s}\n"
        "      - {at: 9m, order: X1, channel: a, delay: never}\n"
        "    expect:\n"
        "      - {at: 13m, alert: DelayedOver2Percent, state: firing}\n"
        "      - {at: 13m, order: X1, verdict: good, tier: L2}\n"
        "      - {at: 13m, firing: [SourceSilent]}\n"
        "    expect_notifications:\n"
        "      - {alert: SourceSilent, status: firing, count: 2}\n",
    )
    assert not result.passed
    path = tmp_path / "t.yaml"
    instance = (
        "DelayedOver2Percent{channel=a} inactive "
        "(insufficient_evidence, 0.1 against 0.02, 1 of 10, p=0.18)"
    )
    order = "order X1 verdict good and tier L2"
    never = "it held at no time of this test"
    # P(X >= 1 | 10, 2 %) = 1 - 0.98^10 = 0.1829
    assert [str(message) for message in result.messages] == [
        f"{path}:8:9 at 13m: expected DelayedOver2Percent firing, found {instance}; {never}",
        f"{path}:9:9 at 13m: expected {order}, found late_pending and L1; {never}",
        f"{path}:10:9 at 13m: expected firing SourceSilent, found nothing; {never}",
        f"{path}:12:9 expected 2 messages (SourceSilent firing), sent 0; all: none",
    ]


def test_tests_of_a_file_do_not_see_each_other(tmp_path: Path) -> None:
    """Each story starts on a fresh engine."""
    story = (
        "  - name: {}\n    events:\n      - {{order: X1, delay: never}}\n"
        "    expect:\n      - {{at: 1m, order: X1, verdict: undecided}}\n"
    )
    first, second = run(tmp_path, story.format("first") + story.format("second"))
    assert (first.name, first.passed, second.name, second.passed) == ("first", True, "second", True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "- {orders: 3, every: 60s}",
            "6:9 tests[1].events[1] needs either 'delay' (8s, never) or the 'type'",
        ),
        ("- {orders: 3, delay: 8s}", "6:9 tests[1].events[1] needs 'every'"),
        ("- {delay: 8s}", "6:9 tests[1].events[1] needs either 'orders' (how many) or 'order'"),
        ("- {type: order.refunded}", "6:9 tests[1].events[1] needs 'order', the id"),
        ("- {order: X, delay: 8s, chanel: a}", "6:31 unknown field 'chanel'; did you mean"),
        (
            "- {order: X, type: order.refund}",
            "6:26 tests[1].events[1].type 'order.refund' is unknown; did you mean",
        ),
        ("- {order: X, delay: soon}", "6:27 tests[1].events[1].delay must be a duration"),
    ],
)
def test_wrong_line_is_refused_at_its_place(tmp_path: Path, line: str, problem: str) -> None:
    """`file:line:col`, and what to write instead."""
    path = tmp_path / "t.yaml"
    path.write_text(
        "# a file\nstart: 2026-01-05T10:00:00+08:00\ntests:\n"
        f"  - name: t\n    events:\n      {line}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_rule_tests(path)
    assert str(caught.value).startswith(f"{path}:{problem}")


def test_alert_that_no_rule_defines_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A misspelt alert would be inactive for ever and the test would pass."""
    with pytest.raises(ConfigError, match="did you mean 'SourceSilent'"):
        run(
            tmp_path,
            "  - name: t\n    events: []\n    expect:\n"
            "      - {at: 1m, alert: SourceSilnt, state: inactive}\n",
        )


def test_start_needs_a_zone(tmp_path: Path) -> None:
    """A time without a zone would mean another moment on every machine."""
    path = tmp_path / "t.yaml"
    path.write_text("start: 2026-01-05T10:00:00\ntests: [{name: t, events: []}]", encoding="utf-8")
    with pytest.raises(ConfigError, match="1:8 start must be a time with a zone"):
        load_rule_tests(path)
