"""SECURITY.md: every row of the threat table names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \| (.+?) \|$", PAGE, re.MULTILINE)
NAMED = re.compile(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`")


def missing(text: str) -> list[str]:
    """Tests a text names that are not there."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if not (ROOT / path).is_file() or (name and name not in functions(ROOT / path))
    ]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_table_is_complete() -> None:
    """31 threats, numbered as everybody numbers them."""
    assert [int(number) for number, *_ in ROWS] == list(range(1, 32))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_row_names_tests_that_exist(row: tuple[str, str, str, str]) -> None:
    """What has no test says that it comes later."""
    _, _, what, shown = row
    assert missing(shown) == []
    assert NAMED.search(shown) or what.startswith("later:")


def test_missing_test_would_be_found() -> None:
    """A file that is gone, and a function that was renamed."""
    assert missing("`tests/security/test_gone.py`") == ["tests/security/test_gone.py::"]
    assert missing("`tests/test_gates.py::test_gone`") == ["tests/test_gates.py::test_gone"]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_leads_here(name: str) -> None:
    """Who looks for it finds it."""
    assert "(SECURITY.md)" in (ROOT / name).read_text(encoding="utf-8")
