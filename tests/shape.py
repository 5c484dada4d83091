"""The shape rules of the code, as functions of a source tree; tests/test_shape.py applies them.

Each check takes the root of a tree and returns one line `path:line what` per violation.
"""

import ast
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

BODY_LINES_MAX = 50
MODULE_LINES_MAX = 400
CODE_FOLDERS = ("monitor", "tests", "examples", "benchmarks", "dashboards", "docker")
SUPERVISOR = Path("monitor/runtime/supervisor.py")
ARCHITECTURE = Path("docs/ARCHITECTURE.md")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Check = Callable[[Path], list[str]]

# `# type: ignore[code]  # reason` or `# type: ignore[code] - reason`: a code, then words.
_IGNORE = re.compile(r"#\s*type:\s*ignore(?P<code>\[[a-z0-9, -]+\])?(?P<rest>.*)$")
_REASON = re.compile(r"\w{2,}.*\w{2,}")
# `monitor/a/b.py`, `monitor/a/b.py:name`, `a/b.py:Class.method` inside back-ticks.
_NAMED_FILE = re.compile(r"`(?P<path>[\w./-]+\.py)(?::(?P<name>[A-Za-z_][\w.]*))?(?:\(\))?`")


def python_files(root: Path) -> Iterator[Path]:
    """Yield the project's own modules, sorted, relative to the root."""
    for folder in CODE_FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root)


def long_functions(root: Path) -> list[str]:
    """Functions whose body, docstring included, is longer than one can read at once."""
    return [
        f"{path}:{node.lineno} {node.name} has {lines} body lines, at most {BODY_LINES_MAX}"
        for path in python_files(root)
        for node in _functions(_tree(root / path))
        if (lines := _body_lines(node)) > BODY_LINES_MAX
    ]


def long_modules(root: Path) -> list[str]:
    """Modules of 400 lines and more."""
    return [
        f"{path}:1 has {lines} lines, fewer than {MODULE_LINES_MAX} are allowed"
        for path in python_files(root)
        if (lines := len(_text(root / path).splitlines())) >= MODULE_LINES_MAX
    ]


def undescribed_modules(root: Path) -> list[str]:
    """Modules with code whose docstring does not say which one idea they hold."""
    return [
        f"{path}:1 has no module docstring"
        for path in python_files(root)
        if (tree := _tree(root / path)).body and ast.get_docstring(tree) is None
    ]


def undescribed_tests(root: Path) -> list[str]:
    """Tests without the sentence that says what they prove."""
    return [
        f"{path}:{node.lineno} {node.name} has no docstring"
        for path in python_files(root)
        if path.parts[0] == "tests" and path.name.startswith("test_")
        for node in _functions(_tree(root / path))
        if node.name.startswith("test_") and ast.get_docstring(node) is None
    ]


def blanket_handlers(root: Path) -> list[str]:
    """`except Exception`, `except BaseException` and bare `except` outside the supervisor."""
    return [
        f"{path}:{node.lineno} catches everything; only {SUPERVISOR} may"
        for path in python_files(root)
        if path != SUPERVISOR
        for node in ast.walk(_tree(root / path))
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node.type)
    ]


def unexplained_ignores(root: Path) -> list[str]:
    """`type: ignore` without an error code or without a reason after it."""
    return [
        f"{path}:{number} needs `# type: ignore[code]  # reason`"
        for path in python_files(root)
        for number, comment in _comments(root / path)
        if (match := _IGNORE.search(comment))
        and not (match["code"] and _REASON.search(match["rest"]))
    ]


def stale_names(root: Path) -> list[str]:
    """Files and functions that docs/ARCHITECTURE.md names and the tree does not have."""
    page = root / ARCHITECTURE
    if not page.exists():
        return []
    return [
        f"{ARCHITECTURE}:{number} {match[0]} does not exist"
        for number, line in enumerate(_text(page).splitlines(), start=1)
        for match in _NAMED_FILE.finditer(line)
        if not _exists(root, match["path"], match["name"])
    ]


CHECKS: tuple[Check, ...] = (
    long_functions,
    long_modules,
    undescribed_modules,
    undescribed_tests,
    blanket_handlers,
    unexplained_ignores,
    stale_names,
)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path), filename=str(path))


def _functions(tree: ast.Module) -> Iterator[FunctionNode]:
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            yield node


def _body_lines(node: FunctionNode) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.body[0].lineno + 1


def _catches_everything(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in names
    )


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, comment); the tokenizer keeps strings that look like comments out."""
    with tokenize.open(path) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def _exists(root: Path, path: str, name: str | None) -> bool:
    """Whether the file is there, as written or below monitor/, and defines the dotted name."""
    for candidate in (root / path, root / "monitor" / path):
        if candidate.is_file():
            return name is None or _defines(_tree(candidate), name.split("."))
    return False


def _defines(scope: ast.AST, names: list[str]) -> bool:
    wanted, deeper = names[0], names[1:]
    for node in ast.iter_child_nodes(scope):
        if wanted in _bound_names(node):
            return not deeper or _defines(node, deeper)
    return False


def _bound_names(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case _:
            return set()
