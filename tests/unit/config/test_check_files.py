"""`check` reads configuration and rules together and reports the problems of both."""

from pathlib import Path

from monitor.config.check_files import check_all


def test_defaults_and_shipped_rules_are_without_a_problem() -> None:
    """What comes with the program is right."""
    assert check_all(None, [], environ={}) == ([], [])


def test_problems_of_both_kinds_of_files_are_listed_with_the_warnings_apart(
    tmp_path: Path,
) -> None:
    """One run names everything there is to do."""
    config = tmp_path / "monitor.yaml"
    config.write_text("langage: en\n", encoding="utf-8")
    rules = tmp_path / "rules.yaml"
    rules.write_text("groups: 1\n", encoding="utf-8")
    problems, warnings = check_all(config, [rules], environ={})
    assert [(Path(problem.path).name, problem.line) for problem in problems] == [
        ("monitor.yaml", 1),
        ("rules.yaml", 1),
    ]
    assert warnings == []
    config.write_text(
        "notify: {route: {receiver: ops, group_wait: 30s}, receivers: [{name: ops}]}\n",
        encoding="utf-8",
    )
    problems, warnings = check_all(config, [tmp_path / "rules.yaml"], environ={})
    assert [Path(problem.path).name for problem in problems] == ["rules.yaml"]
    assert [warning.message for warning in warnings] == [
        "notify.route.group_wait is not available in this version and is ignored",
        "notify.receivers[1]: 'ops' has no integration and tells nobody",
    ]


def test_slips_of_the_pen_in_right_rules_are_warnings(tmp_path: Path) -> None:
    """A text that names a label the alert has not, at its column, also where a group gives it."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        """groups:
  - name: g
    defaults: {annotations: {summary: "on {{ channel }}"}}
    rules:
      - {alert: A, expr: "delayed_ratio > 2%", by: [channel]}
      - {alert: B, expr: 'delayed_ratio{sku=~"card.*"} > 2%'}
""",
        encoding="utf-8",
    )
    problems, warnings = check_all(None, [rules], environ={})
    assert problems == []
    assert [(one.line, one.column, one.message) for one in warnings] == [
        (6, 26, "'card.*' looks like a regular expression; only * is special"),
        (3, 46, "'channel' has no value: alerts of 'B' have no such label"),
    ]
