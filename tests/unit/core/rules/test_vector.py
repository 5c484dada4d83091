"""Conditions over all instances at once say what the slow way says about each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import given, settings

from monitor.core.rules.findings import Finding
from monitor.core.rules.panel import Panel
from monitor.core.rules.parse import signals_in
from monitor.core.rules.vector import evaluate
from monitor.core.signals.observation import Observation
from monitor.model.rules import Node
from tests.unit.core.rules.oracle import Oracle
from tests.unit.core.rules.worlds import (
    NOW_MS,
    Order,
    Side,
    conditions,
    label_lists,
    rows_of,
    sides,
    worlds,
)

ACTIVE = {"channel": "gone", "source": "mall", "provider": "alipay", "sku": "key"}


def findings_of(
    node: Node, rows: Observation, side: Side, by: tuple[str, ...]
) -> dict[tuple[str, ...], Finding]:
    panel = Panel(rows, side, NOW_MS)
    active = [tuple(ACTIVE[label] for label in by)] if by else []
    domain = panel.domain(by, active, signals_in(node))
    found = evaluate(node, panel, domain, confidence=0.99, min_count=2)
    assert len(found.verdicts) == len(domain)
    return {instance: found.at(index) for index, instance in enumerate(domain.instances)}


def is_close(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isfinite(left) and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def assert_same(found: Finding, expected: Finding, what: object) -> None:
    assert (found.outcome, found.reason) == (expected.outcome, expected.reason), what
    if expected.outcome == "no_data":
        return
    mine, theirs = found.evidence, expected.evidence
    assert (mine.signal, mine.n) == (theirs.signal, theirs.n), what
    for one, other in ((mine.value, theirs.value), (mine.limit, theirs.limit), (mine.k, theirs.k)):
        assert is_close(one, other), what
    assert is_close(mine.p, theirs.p), what


@settings(deadline=None, max_examples=300)
@given(conditions, worlds, sides, label_lists)
def test_every_instance_gets_the_finding_of_the_slow_way(
    node: Node, written: Sequence[Order], side: Side, by: tuple[str, ...]
) -> None:
    """Any condition, any rows, any split: same outcome, reason and evidence."""
    rows = rows_of(written)
    for instance, found in findings_of(node, rows, side, by).items():
        labels = dict(zip(by, instance, strict=True))
        expected = Oracle(rows, side, NOW_MS, labels).judge(node)
        assert_same(found, expected, (instance, node))
