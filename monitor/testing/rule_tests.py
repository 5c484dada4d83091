"""Runs rule tests: a story goes through the real engine in virtual time, expectations are checked.

Time moves from one moment of interest to the next; in between the engine gets a tick whenever it
asked for one, so `for`, windows and silence behave as in the service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from monitor.core.engine import Engine
from monitor.core.orders.lifecycle import verdict
from monitor.core.rules.evaluate import Finding
from monitor.model.alerts import Alert, AlertState
from monitor.model.commands import Batch, Input, Perform, Tick, WakeAt
from monitor.model.effects import Notify
from monitor.model.errors import Problem
from monitor.model.events import EventType, OrderEvent
from monitor.model.rule_tests import Expectation, ExpectedCount, OrderLine, RuleTest, RuleTestFile
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import format_duration

RECEIVER = ReceiverSettings("rule-test", ("webhook/0",))  # so that every message is sent once
TIERS = ("none", "L1", "L2", "L3")


class RuleTestResult(msgspec.Struct, frozen=True):
    """One test: passed, or what was expected and found, each at its place in the file."""

    name: str
    passed: bool
    messages: tuple[Problem, ...] = ()


class _Payload(msgspec.Struct):
    """The one field of an alert message that is counted by."""

    rule: str = ""


def run_rule_tests(
    file: RuleTestFile, rules: RuleSet, settings: Settings
) -> tuple[RuleTestResult, ...]:
    """Run every test of a file on a fresh engine with these rules and settings."""
    silenced = msgspec.structs.replace(
        settings, receivers=(RECEIVER,), default_receiver=RECEIVER.name, webhooks=()
    )
    return tuple(_run(test, file, Engine(silenced, rules)) for test in file.tests)


def _run(test: RuleTest, file: RuleTestFile, engine: Engine) -> RuleTestResult:
    story = _Story(engine)
    arrivals = _arrivals(test, file.start_ms)
    checks: dict[int, list[Expectation]] = defaultdict(list)
    for expected in test.expectations:
        checks[file.start_ms + expected.at_ms].append(expected)
    end_ms = file.start_ms + test.until_ms
    found: list[Problem] = []
    for now_ms in sorted({*arrivals, *checks, end_ms}):
        if now_ms > end_ms:
            break
        story.go_to(now_ms, tuple(arrivals.get(now_ms, ())))
        for expected in checks.get(now_ms, ()):
            if message := story.contradiction(expected, now_ms):
                when = f"at {format_duration(expected.at_ms)}: {message}"
                found.append(Problem(file.path, expected.line, expected.column, when))
    found += [
        Problem(file.path, counted.line, counted.column, message)
        for counted in test.notifications
        if (message := story.miscount(counted))
    ]
    return RuleTestResult(test.name, not found, tuple(found))


class _Story:
    """One engine, the time, and the messages it sent."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake_ms: int | None = None
        self._sent: Counter[tuple[str, str]] = Counter()

    def go_to(self, now_ms: int, entries: tuple[OrderEvent, ...]) -> None:
        """Let time pass, hand over what arrives, and let everything happen that is due by now."""
        while self._wake_ms is not None and self._wake_ms < now_ms:
            self._handle(Tick(), self._wake_ms)
        self._handle(Batch(entries) if entries else Tick(), now_ms)

    def contradiction(self, expected: Expectation, now_ms: int) -> str | None:
        """What is not as expected, in one line; None if all is."""
        if expected.firing is not None:
            return self._firing_differs(expected.firing)
        if expected.order_id is not None:
            return self._order_differs(expected, expected.order_id, now_ms)
        return self._alert_differs(expected)

    def miscount(self, counted: ExpectedCount) -> str | None:
        """How many messages were sent instead; None if as many as expected."""
        sent = sum(
            count
            for (alert, status), count in self._sent.items()
            if counted.alert in (None, alert) and counted.status in (None, status)
        )
        if sent == counted.count:
            return None
        what = " ".join(word for word in (counted.alert, counted.status) if word) or "any"
        all_sent = ", ".join(
            f"{count}x {alert} {status}" for (alert, status), count in sorted(self._sent.items())
        )
        return f"expected {counted.count} messages ({what}), sent {sent}; all: {all_sent or 'none'}"

    def _handle(self, given: Input, now_ms: int) -> None:
        for command in self._engine.handle(given, now_ms):
            if isinstance(command, WakeAt):
                self._wake_ms = command.at_ms
            elif isinstance(command, Perform) and isinstance(command.effect, Notify):
                payload = msgspec.json.decode(command.effect.payload, type=_Payload)
                if payload.rule:
                    self._sent[payload.rule, command.effect.status] += 1

    def _firing_differs(self, expected: Sequence[str]) -> str | None:
        firing = sorted({alert.rule for alert in self._alerts() if _is_firing(alert)})
        if firing == sorted(set(expected)):
            return None
        return f"expected firing {_names(expected)}, found {_names(firing)}"

    def _order_differs(self, expected: Expectation, order_id: str, now_ms: int) -> str | None:
        order = self._engine.shard.orders.get(order_id)
        if order is None:
            return f"expected order {order_id}, found no such order in memory"
        name = verdict(order.facts, now_ms).value
        wrong = []
        if expected.verdict not in (None, name):
            wrong.append(f"verdict {expected.verdict}, found {name}")
        if expected.tier not in (None, order.tier):
            wrong.append(f"tier {TIERS[expected.tier or 0]}, found {TIERS[order.tier]}")
        return f"expected order {order_id} {' and '.join(wrong)}" if wrong else None

    def _alert_differs(self, expected: Expectation) -> str | None:
        """A firing or pending state needs one instance in it, inactive needs all of them."""
        chosen = [alert for alert in self._alerts() if _is_chosen(alert, expected)]
        if expected.state == AlertState.INACTIVE:
            is_met = all(alert.state == AlertState.INACTIVE for alert in chosen)
        else:
            is_met = any(alert.state == expected.state for alert in chosen)
        findings = dict(self._findings(expected))
        if is_met and expected.reason is not None:
            is_met = any(finding.reason == expected.reason for finding in findings.values())
        if is_met:
            return None
        states = {alert.key: alert.state for alert in chosen}
        keys = sorted({*states, *findings})
        found = "; ".join(
            f"{key} {states.get(key, AlertState.INACTIVE.value)} ({_said(findings.get(key))})"
            for key in keys
        )
        reason = f" ({expected.reason})" if expected.reason else ""
        wanted = f"{expected.alert}{_labels(expected)} {expected.state}{reason}"
        return f"expected {wanted}, found {found or 'no such instance'}"

    def _alerts(self) -> list[Alert]:
        alerts = self._engine.control.alerts
        return [alerts[key] for key in sorted(alerts)]

    def _findings(self, expected: Expectation) -> Iterator[tuple[str, Finding]]:
        """The latest finding of every instance that was looked at, alert or not."""
        for key, finding in sorted(self._engine.control.findings.items()):
            rule, _, labels = key.removesuffix("}").partition("{")
            pairs = [tuple(pair.split("=", 1)) for pair in labels.split(",") if pair]
            if rule == expected.alert and set(expected.labels) <= set(pairs):
                yield key, finding


def _arrivals(test: RuleTest, start_ms: int) -> dict[int, list[OrderEvent]]:
    """All events of a test by the time they happen and arrive."""
    found: dict[int, list[OrderEvent]] = defaultdict(list)
    for number, line in enumerate(test.events):
        for turn in range(line.count):
            order_id = line.order_id or f"{number + 1}-{turn + 1}"
            for event in _events(line, order_id, start_ms + line.at_ms + turn * line.every_ms):
                found[event.time_ms].append(event)
    return found


def _events(line: OrderLine, order_id: str, at_ms: int) -> Iterator[OrderEvent]:
    if line.type is not None:
        yield _event(line, line.type, order_id, at_ms)
        return
    yield _event(line, EventType.PAID, order_id, at_ms)
    if line.delay_ms is not None:
        yield _event(line, EventType.DELIVERED, order_id, at_ms + line.delay_ms)


def _event(line: OrderLine, kind: str, order_id: str, at_ms: int) -> OrderEvent:
    is_heartbeat = kind == EventType.HEARTBEAT
    return OrderEvent(
        type=str(kind),
        order_id="" if is_heartbeat else order_id,
        source=line.source,
        event_id=f"{kind}@{at_ms}",
        time_ms=at_ms,
        received_ms=at_ms,
        is_unique=is_heartbeat,
        channel=line.channel,
        sku=line.sku,
        meaning=line.meaning,
        promise_ms=line.promise_ms,
    )


def _is_firing(alert: Alert) -> bool:
    return alert.state == AlertState.FIRING


def _is_chosen(alert: Alert, expected: Expectation) -> bool:
    return alert.rule == expected.alert and set(expected.labels) <= set(alert.labels)


def _labels(expected: Expectation) -> str:
    pairs = ",".join(f"{name}={value}" for name, value in expected.labels)
    return f"{{{pairs}}}" if pairs else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names))) or "nothing"


def _said(finding: Finding | None) -> str:
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
