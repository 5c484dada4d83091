"""Whether an expectation holds in an engine now, and in words what is found instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import verdict
from monitor.core.rules.findings import Finding
from monitor.model.alerts import Alert, AlertState
from monitor.model.rule_tests import Expectation
from monitor.model.times import format_duration

TIERS = ("none", "L1", "L2", "L3")

KEYS_MAX = 10_000  # alert keys taken apart once

Labels = frozenset[tuple[str, str]]


class Watch:
    """During which spans of a story, (from, until), an expectation held."""

    def __init__(self, expected: Expectation, start_ms: int) -> None:
        self.expected = expected
        self._start_ms = start_ms
        self.spans: list[tuple[int, int]] = []
        self.first_not: tuple[int, str] | None = None  # from `from_ms` on, with what was found
        self.first_held: tuple[int, str] | None = None
        self._holds = False

    def note(self, engine: Engine, now_ms: int) -> None:
        """Look at an engine; times of the spans count from the start of the story."""
        expected = self.expected
        at_ms = now_ms - self._start_ms
        holds = is_met(engine, expected, now_ms)
        if self._holds:
            self.spans[-1] = (self.spans[-1][0], at_ms)  # it lasts until it is seen to be over
        elif holds:
            self.spans.append((at_ms, at_ms))
        self._holds = holds
        if not expected.from_ms <= at_ms <= expected.to_ms:
            return
        if holds and self.first_held is None:
            self.first_held = at_ms, found(engine, expected, now_ms)
        elif not holds and self.first_not is None:
            self.first_not = at_ms, found(engine, expected, now_ms)

    def begins_inside(self) -> bool:
        """Whether it became true within the span of the expectation."""
        expected = self.expected
        return any(expected.from_ms <= start <= expected.to_ms for start, _ in self.spans)

    def nearest(self) -> str:
        """When it held, as near as possible to the time at which it should have."""
        if not self.spans:
            return "it held at no time of this test"
        wanted_ms = self.expected.from_ms
        start, end = min(
            self.spans, key=lambda span: max(span[0] - wanted_ms, wanted_ms - span[1], 0)
        )
        return f"it held from {format_duration(start)} until {format_duration(end)}"


def is_met(engine: Engine, expected: Expectation, now_ms: int) -> bool:
    """Whether an expectation holds now.

    A firing or pending state needs one instance in it, inactive needs all of them.
    """
    if expected.firing is not None:
        return _firing(engine) == list(expected.firing)
    if expected.order_id is not None:
        return _order_wrong(engine, expected, now_ms) == ""
    chosen = _chosen(engine, expected)
    if expected.state == AlertState.INACTIVE:
        is_so = all(alert.state == AlertState.INACTIVE for alert in chosen)
    else:
        chosen = [alert for alert in chosen if alert.state == expected.state]
        is_so = bool(chosen)
    if not is_so or expected.reason is None:
        return is_so
    reasons = [finding.reason for _, finding in _findings(engine, expected)]
    return expected.reason in [*reasons, *(alert.reason for alert in chosen)]


def wanted(expected: Expectation) -> str:
    """An expectation in words."""
    if expected.firing is not None:
        return f"firing {_names(expected.firing)}"
    if expected.order_id is not None:
        parts = [] if expected.verdict is None else [f"verdict {expected.verdict}"]
        parts += [] if expected.tier is None else [f"tier {TIERS[expected.tier]}"]
        return f"order {expected.order_id} {' and '.join(parts)}"
    reason = f" ({expected.reason})" if expected.reason else ""
    return f"{expected.alert}{_pairs(expected)} {expected.state}{reason}"


def found(engine: Engine, expected: Expectation, now_ms: int) -> str:
    """What is there instead, with reason, value, limit, k of n and p of every instance."""
    if expected.firing is not None:
        return _names(_firing(engine))
    if expected.order_id is not None:
        return _order_wrong(engine, expected, now_ms) or "so"
    findings = dict(_findings(engine, expected))
    alerts = {alert.key: alert for alert in _chosen(engine, expected)}
    keys = sorted({*alerts, *findings})
    lines = [f"{key} {_state(alerts.get(key))} ({said(findings.get(key))})" for key in keys]
    return "; ".join(lines) or "no such instance"


def said(finding: Finding | None) -> str:
    """Why the rule says what it says: reason, value, k of n, p."""
    if finding is None:
        return "not evaluated"
    evidence = finding.evidence
    parts = [finding.reason]
    if evidence.value is not None and evidence.limit is not None:
        parts.append(f"{evidence.value:.4g} against {evidence.limit:.4g}")
    if evidence.k is not None:
        parts.append(f"{evidence.k} of {evidence.n}")
    if evidence.p is not None:
        parts.append(f"p={evidence.p:.2g}")
    return ", ".join(parts)


def _order_wrong(engine: Engine, expected: Expectation, now_ms: int) -> str:
    assert expected.order_id is not None
    order = engine.shard.orders.get(expected.order_id)
    if order is None:
        return "no such order in memory"
    wrong = []
    name = verdict(order.facts, now_ms).value
    if expected.verdict not in (None, name):
        wrong.append(name)
    if expected.tier not in (None, order.tier):
        wrong.append(TIERS[order.tier])
    return " and ".join(wrong)


def _chosen(engine: Engine, expected: Expectation) -> list[Alert]:
    labels = set(expected.labels)
    return [
        alert
        for alert in engine.control.alerts.values()
        if alert.rule == expected.alert and labels <= set(alert.labels)
    ]


def _firing(engine: Engine) -> list[str]:
    alerts = engine.control.alerts.values()
    return sorted({alert.rule for alert in alerts if alert.state == AlertState.FIRING})


def _findings(engine: Engine, expected: Expectation) -> Iterator[tuple[str, Finding]]:
    """The latest finding of every instance that was looked at, alert or not."""
    rule = engine.control.rule(expected.alert or "")
    for key, finding in engine.control.watch.findings(rule) if rule else ():
        _, labels = _parts(key)
        if labels >= set(expected.labels):
            yield key, finding


@lru_cache(maxsize=KEYS_MAX)
def _parts(key: str) -> tuple[str, Labels]:
    """Rule and labels of `Rule{channel=auto}`."""
    rule, _, labels = key.removesuffix("}").partition("{")
    pairs = [pair.partition("=") for pair in labels.split(",") if pair]
    return rule, frozenset((name, value) for name, _, value in pairs)


def _state(alert: Alert | None) -> str:
    return AlertState.INACTIVE.value if alert is None else alert.state


def _pairs(expected: Expectation) -> str:
    pairs = ",".join(f"{name}={value}" for name, value in expected.labels)
    return f"{{{pairs}}}" if pairs else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names))) or "nothing"
