"""Nothing secret is compared with `==`: how long that takes tells how much was right."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECRET = re.compile(r"(^|_)(mac|hmac|signatures?|sha256|digest|secret|token|offered|password)(_|$)")
# No stranger chooses what is compared here, so there is nobody to learn from the time.
FINE = {
    "monitor/adapters/vault.py": "fingerprints of goods that are ours",
    "monitor/adapters/relay_store.py": "fingerprints of callbacks, which their sender knows",
    "monitor/api/idempotency.py": "fingerprints of requests, which their sender knows",
    "monitor/core/rules/parse.py": "tokens of an expression",
    "monitor/runtime/messages.py": "fingerprints of bodies, which their sender knows",
}


def names(node: ast.expr) -> Iterator[str]:
    """Names and attributes inside an operand; what a call gives is named by the call."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr


def is_length(node: ast.expr) -> bool:
    """How long something is may be known."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def findings(source: str) -> list[int]:
    """Lines that compare something secret with `==`, `!=` or `in`; with constants it may be."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(one, (ast.Eq, ast.NotEq)) for one in node.ops):
            continue
        operands = [node.left, *node.comparators]
        if any(isinstance(one, (ast.Constant, ast.Tuple)) or is_length(one) for one in operands):
            continue
        if any(SECRET.search(name) for one in operands for name in names(one)):
            found.append(node.lineno)
    return found


def test_no_secret_is_compared_by_equality() -> None:
    """Over every module of the product; an exception that is none any more is taken out."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "monitor").rglob("*.py"))
        for line in findings(path.read_text(encoding="utf-8"))
        if str(path.relative_to(ROOT)) not in FINE
    ]
    assert wrong == []
    assert all(findings((ROOT / path).read_text(encoding="utf-8")) for path in FINE)


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("digest == offered", True),
        ("key.sha256 != token_sha256(token)", True),
        ("expected_mac == x", True),
        ("if headers['a'] == signature: pass", True),
        ("hmac.compare_digest(digest, offered)", False),
        ("token == ''", False),
        ("len(secret) == SECRET_BYTES", False),
        ("tokens == stamp", False),
        ("machine == other", False),
    ],
)
def test_comparison_of_something_secret_is_found(source: str, is_found: bool) -> None:
    """By the words in its names."""
    assert bool(findings(source)) is is_found
