"""The code keeps its shape, and every check that says so finds a planted violation."""

from pathlib import Path

import pytest

from tests.shape import (
    ARCHITECTURE,
    CHECKS,
    Check,
    blanket_handlers,
    long_functions,
    long_modules,
    stale_names,
    undescribed_modules,
    undescribed_tests,
    unexplained_ignores,
)

ROOT = Path(__file__).resolve().parent.parent
IGNORE = "# type: " + "ignore"


def plant(root: Path, path: str, text: str) -> None:
    """Write one file of a made-up tree."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def function_of(body_lines: int) -> str:
    """A module with one function of so many body lines."""
    return '"""One idea."""\ndef f():\n' + "    x = 1\n" * body_lines


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_project_keeps_its_shape(check: Check) -> None:
    """No file of the project breaks the rule."""
    assert check(ROOT) == []


def test_function_of_51_lines_is_reported_and_of_50_is_not(tmp_path: Path) -> None:
    """The limit is 50 body lines, in async functions and methods too."""
    plant(tmp_path, "monitor/short.py", function_of(50))
    plant(tmp_path, "monitor/long.py", function_of(51))
    plant(tmp_path, "monitor/waits.py", function_of(51).replace("def f", "async def f"))
    assert [line.split()[0] for line in long_functions(tmp_path)] == [
        "monitor/long.py:2",
        "monitor/waits.py:2",
    ]


def test_module_of_400_lines_is_reported_and_of_399_is_not(tmp_path: Path) -> None:
    """A module has fewer than 400 lines."""
    plant(tmp_path, "monitor/short.py", "x = 1\n" * 399)
    plant(tmp_path, "tests/long.py", "x = 1\n" * 400)
    assert [line.split()[0] for line in long_modules(tmp_path)] == ["tests/long.py:1"]


def test_module_without_docstring_is_reported(tmp_path: Path) -> None:
    """A module with code says its idea; an empty package file need not."""
    plant(tmp_path, "monitor/__init__.py", "")
    plant(tmp_path, "monitor/said.py", '"""One idea."""\nx = 1\n')
    plant(tmp_path, "monitor/unsaid.py", "x = 1\n")
    assert undescribed_modules(tmp_path) == ["monitor/unsaid.py:1 has no module docstring"]


def test_test_without_docstring_is_reported(tmp_path: Path) -> None:
    """Tests need the sentence, in classes too; helpers do not."""
    plant(
        tmp_path,
        "tests/unit/test_x.py",
        "def helper(): pass\n"
        'def test_good():\n    """It works."""\n'
        "async def test_bad(): pass\n"
        "class TestY:\n    def test_worse(self): pass\n",
    )
    assert [line.split()[:2] for line in undescribed_tests(tmp_path)] == [
        ["tests/unit/test_x.py:4", "test_bad"],
        ["tests/unit/test_x.py:6", "test_worse"],
    ]


@pytest.mark.parametrize(
    "handler",
    ["except Exception:", "except BaseException as e:", "except:", "except (OSError, Exception):"],
)
def test_blanket_handler_is_reported_except_in_the_supervisor(tmp_path: Path, handler: str) -> None:
    """Only the supervisor may catch everything."""
    text = f"try:\n    pass\n{handler}\n    raise\n"
    plant(tmp_path, "monitor/runtime/supervisor.py", text)
    plant(tmp_path, "monitor/runtime/loop.py", text)
    plant(tmp_path, "monitor/runtime/fine.py", text.replace(handler, "except OSError:"))
    assert [line.split()[0] for line in blanket_handlers(tmp_path)] == ["monitor/runtime/loop.py:3"]


@pytest.mark.parametrize(
    ("comment", "violations"),
    [
        (IGNORE, 1),
        (f"{IGNORE}[arg-type]", 1),
        (f"{IGNORE} the stub is wrong", 1),
        (f"{IGNORE}[arg-type]  # the stub is wrong", 0),
        (f"{IGNORE}[arg-type, misc] - the stub is wrong", 0),
    ],
)
def test_type_ignore_needs_code_and_reason(tmp_path: Path, comment: str, violations: int) -> None:
    """A silenced type error says which one and why; a string that looks like one is none."""
    plant(tmp_path, "monitor/x.py", f"x = 1  {comment}\ny = '{IGNORE}'\n")
    assert len(unexplained_ignores(tmp_path)) == violations


@pytest.mark.parametrize(
    ("named", "violations"),
    [
        ("`monitor/core/engine.py`", 0),
        ("`monitor/core/engine.py:Engine.handle`", 0),
        ("`core/engine.py:LIMIT`", 0),
        ("`core/engine.py:handle()`", 1),
        ("`monitor/core/gone.py`", 1),
        ("`monitor/core/engine.py:Engine.gone`", 1),
    ],
)
def test_architecture_page_names_only_what_exists(
    tmp_path: Path, named: str, violations: int
) -> None:
    """A file, function or method that is gone from the tree may not stay on the page."""
    plant(
        tmp_path,
        "monitor/core/engine.py",
        "LIMIT: int = 1\nclass Engine:\n    def handle(self): pass\n",
    )
    plant(tmp_path, str(ARCHITECTURE), f"# Path\n\nThe door is {named}.\n")
    assert len(stale_names(tmp_path)) == violations


def test_tree_without_architecture_page_names_nothing(tmp_path: Path) -> None:
    """The check waits for the page."""
    assert stale_names(tmp_path) == []
