"""YAML with places: what is read, what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.yaml_lines import load_with_positions, read_with_positions
from monitor.model.errors import ConfigError

RULES = """\
groups:
  - name: delivery
    rules:
      - expr: delayed_ratio > 2%   # late
        alert: 'Late'
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_with_positions(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_values_are_located_by_path() -> None:
    """A path through mappings and lists leads to the line and column of the value."""
    value, positions = load_with_positions(RULES, "f.yaml")
    assert value == {
        "groups": [{"name": "delivery", "rules": [{"expr": "delayed_ratio > 2%", "alert": "Late"}]}]
    }
    assert positions.at(("groups", 0, "rules", 0, "expr")) == (4, 15)
    assert positions.key(("groups", 0, "rules", 0, "alert")) == (5, 9)
    assert positions.at(("groups", 0, "rules", 0, "nothing")) == (4, 9)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a: xyz", (1, 6)),
        ("a: 'xyz'", (1, 7)),
        ('a: "x\\tz"', (1, 4)),  # an escape shifts columns: the start of the value must do
        ("a: |\n  xyz", (1, 4)),
        ("a: x\n  yz", (1, 4)),
    ],
)
def test_column_inside_text_is_exact_where_text_is_verbatim(
    line: str, expected: tuple[int, int]
) -> None:
    """Plain and quoted one-line texts give exact inner columns, others their start."""
    _, positions = load_with_positions(line, "f.yaml")
    assert positions.inside(("a",), 3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("3:20", "3:20"),
        ("0755", "0755"),
        ("1_000", "1_000"),
        ("2026-01-05", "2026-01-05"),
        ("3m", "3m"),
        ("1e3", 1000.0),
        ("=", "="),
        ("<<", "<<"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-0", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("9" * 40, "9" * 40),
    ],
)
def test_plain_words_resolve_to_the_small_set_of_types(text: str, expected: object) -> None:
    """Only true/false, plain numbers and null are anything but text."""
    value, _ = load_with_positions(f"a: {text}", "f.yaml")
    assert isinstance(value, dict)
    assert value["a"] == expected
    assert type(value["a"]) is type(expected)


def test_keys_are_text_whatever_they_look_like() -> None:
    """`on`, `true` and `5` as keys stay what the author wrote."""
    assert load_with_positions("{on: 1, true: 2, 5: 3}", "f")[0] == {"on": 1, "true": 2, "5": 3}


def test_every_duplicate_key_is_reported_with_its_place() -> None:
    """A second `a` never silently wins."""
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:2:11 'c' is given twice; the first is in line 2",
        "f.yaml:3:1 'a' is given twice; the first is in line 1",
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: [1, 2", "f.yaml:1:9 is not valid YAML"),
        ("a:\n\tb: 1", "f.yaml:2:1 is not valid YAML"),
        ("a: b: c", "f.yaml:1:5 is not valid YAML"),
        ("--- 1\n--- 2", "f.yaml:2:1 is not valid YAML"),
        ("a: *x", "f.yaml:1:4 is not valid YAML"),
        ("a: !!python/object:os.system x", "f.yaml:1:4 the tag"),
        ("a: !!set {x}", "f.yaml:1:4 the tag"),
        ("a: !!int x", "f.yaml:1:4 'x' is not a int"),
        ("? [a]\n: 1", "f.yaml:1:3 a key must be plain text"),
        ("a: 1\nb: \x01", "f.yaml:2:4 has a character YAML forbids"),
        ("[" * 40, "f.yaml:1:33 is not valid YAML: nested deeper"),
        ("a: &a [*a]", "f.yaml:1:4 is larger than"),
        ("x" * 1_048_577, "f.yaml:1:1 is longer than"),
    ],
)
def test_bad_yaml_is_a_problem_with_a_place(text: str, start: str) -> None:
    """Syntax errors, foreign tags and oversize never leave as another exception."""
    assert problems(text)[0].startswith(start)


def test_alias_bomb_is_refused_quickly() -> None:
    """Nine levels of nine aliases would be 387 million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert "is larger than 12000 values" in problems("\n".join(lines))[0]


def test_empty_document_is_none() -> None:
    """A file of comments loads as nothing, at the first line."""
    value, positions = load_with_positions("# nothing\n", "f.yaml")
    assert value is None
    assert positions.at(("a", 1)) == (1, 1)


def test_unreadable_files_are_problems(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are named with a place."""
    with pytest.raises(ConfigError, match=r"none\.yaml:1:1 cannot be read: No such file"):
        read_with_positions(tmp_path / "none.yaml")
    (tmp_path / "gbk.yaml").write_bytes("a: 1\nb: 中".encode("gbk"))
    with pytest.raises(ConfigError, match=r"gbk\.yaml:2:4 is not UTF-8; save the file as UTF-8"):
        read_with_positions(tmp_path / "gbk.yaml")
