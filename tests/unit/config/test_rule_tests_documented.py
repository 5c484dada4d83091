"""docs/rule-tests.md names every field of the format, and none that does not exist."""

import re
from pathlib import Path

from monitor.config.rule_tests_schema import (
    ActionLine,
    EventLine,
    ExpectLine,
    NotificationLine,
    SettingsEntry,
    StoriesFile,
    StoryEntry,
)

PAGE = Path(__file__).resolve().parents[3] / "docs/rule-tests.md"
ROW = re.compile(r"^\| `(?P<field>[a-z_.]+)` \| [^|]+ \|$", re.MULTILINE)


def section(title: str) -> set[str]:
    """Fields in the tables below a heading."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return {row["field"] for row in ROW.finditer(text)}


def names(model: type) -> set[str]:
    fields = model.model_fields  # type: ignore[attr-defined]  # pydantic models only
    return {field.alias or name for name, field in fields.items()}


def test_every_field_is_documented_and_every_documented_field_exists() -> None:
    """Page and schema name the same fields, section by section."""
    settings = {f"settings.{name}" for name in names(SettingsEntry)}
    tests = {f"tests.{name}" for name in names(StoryEntry)}
    head = names(StoriesFile) - {"settings", "tests"}
    assert section("The file") == head | settings | tests
    assert section("events") == names(EventLine)
    assert section("expect") == names(ExpectLine)
    assert section("expect_notifications") == names(NotificationLine)
    assert section("expect_actions") == names(ActionLine)
