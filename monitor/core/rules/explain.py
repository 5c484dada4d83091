"""Takes an evaluation apart: every `and`, `or`, `not` and comparison with what it came to.

Each part is judged by the very function that judges the whole, so an explanation cannot tell
another story than the decision.
"""

from __future__ import annotations

import math
from typing import assert_never

import msgspec

from monitor.core.rules.findings import Finding, Findings
from monitor.core.rules.panel import Domain, Panel
from monitor.core.rules.readings import NO_DATA, state_of
from monitor.core.rules.vector import evaluate, needs_proof, settled
from monitor.core.signals.health import ENOUGH
from monitor.model.errors import InvariantError
from monitor.model.evaluations import Step
from monitor.model.rules import (
    QUANTILES,
    RATIOS,
    SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Negation,
    Node,
    Number,
    Signal,
    Window,
)
from monitor.model.times import SECOND_MS, format_duration


class Explainer:
    """Explains conditions for instances of one domain; a part is judged once for all of them."""

    def __init__(self, panel: Panel, domain: Domain, *, confidence: float, min_count: int) -> None:
        self._panel = panel
        self._domain = domain
        self._confidence = confidence
        self._min_count = min_count
        self._found: dict[Node, Findings] = {}

    def step(self, node: Node, index: int) -> Step:
        """Judge a condition for one instance. Raises: InvariantError if the tree is a value."""
        finding = self._finding(node, index)
        match node:
            case Negation(operand):
                nodes: tuple[Node, ...] = (operand,)
            case Logical(_, left, right):
                nodes = (left, right)
            case Comparison():
                return self._comparison(node, finding, index)
            case Number() | Signal() | Arithmetic():
                raise InvariantError("a value stands where a condition is needed")
            case _:
                assert_never(node)
        parts = tuple(self.step(part, index) for part in nodes)
        return Step(text_of(node), finding.outcome, finding.reason, parts=parts)

    def _finding(self, node: Node, index: int) -> Finding:
        if node not in self._found:
            self._found[node] = evaluate(
                node, self._panel, self._domain,
                confidence=self._confidence, min_count=self._min_count,
            )  # fmt: skip
        return self._found[node].at(index)

    def _comparison(self, node: Comparison, finding: Finding, index: int) -> Step:
        evidence = finding.evidence
        plain, _ = settled(node, is_negated=False)
        signal = plain.left
        step = Step(
            text=text_of(node),
            outcome=finding.outcome,
            reason=finding.reason,
            signal=evidence.signal,
            unit=_unit(plain.left) or _unit(plain.right),
            value=evidence.value,
            limit=evidence.limit,
            k=evidence.k,
            n=evidence.n,
            p=evidence.p,
        )
        if finding.outcome == "no_data":
            missing = self._missing(plain.left, index) or self._missing(plain.right, index)
            step = msgspec.structs.replace(step, missing=missing)
        if not isinstance(signal, Signal):
            return step
        since_ms = self._panel.since_ms(signal, self._domain, index)
        window_s = None if since_ms is None else (self._panel.now_ms - since_ms) / SECOND_MS
        gate, found, needed = "", None, None
        if finding.outcome == "insufficient":
            is_health = signal.name == "health_index"
            gate = "min_count"
            needed = float(max(self._min_count, ENOUGH) if is_health else self._min_count)
            found = None if evidence.n is None else float(evidence.n)
        elif needs_proof(signal, plain.op):
            gate, found, needed = self._gate(signal, finding, index)
        return msgspec.structs.replace(
            step, window_s=window_s, gate=gate, found=found, needed=needed
        )

    def _missing(self, node: Node, index: int) -> str:
        """The part of a value that is not known; empty if all of it is."""
        match node:
            case Signal():
                readings = self._panel.read(node, self._domain, min_count=self._min_count)
                return (
                    f"{text_of(node)} has no data" if state_of(readings, index) == NO_DATA else ""
                )
            case Arithmetic(op, left, right):
                missing = self._missing(left, index) or self._missing(right, index)
                is_division = op == "/"  # what overflows is no number either
                word = "is divided by zero" if is_division else "is not a number"
                return missing or f"{text_of(node)} {word}"
            case _:
                return ""

    def _gate(
        self, signal: Signal, finding: Finding, index: int
    ) -> tuple[str, float | None, float | None]:
        """What a value beyond its limit has to pass besides."""
        evidence = finding.evidence
        if signal.name in RATIOS or signal.name in QUANTILES:
            # 1 - 0.99 is a little more than 0.01 in floats.
            return "evidence", evidence.p, round(1.0 - self._confidence, 12)
        if signal.name == "mean_delay":
            trimmed_s = self._panel.trimmed_s(signal, self._domain, index)
            return "trimmed_mean", trimmed_s, evidence.limit
        if signal.name == "health_index":
            trimmed = float(self._panel.trimmed_health(signal, self._domain)[index])
            return "trimmed_health", trimmed if math.isfinite(trimmed) else None, evidence.limit
        if evidence.p is not None:
            return "own_evidence", evidence.p, None
        return "", None, None


def text_of(node: Node, unit: str = "") -> str:
    """Write a condition or value as a rule would; `unit` is that of the numbers in it."""
    match node:
        case Number(value):
            return _number(value, unit)
        case Signal():
            return _signal(node)
        case Negation(operand):
            return f"not ({text_of(operand)})"
        case Logical(op, left, right):
            sides = (f"({text_of(one)})" if isinstance(one, Logical) and one.op != op
                     else text_of(one) for one in (left, right))  # fmt: skip
            return f" {op} ".join(sides)
        case Comparison(op, left, right):
            unit = _unit(left) or _unit(right)
            return f"{text_of(left, unit)} {op} {text_of(right, unit)}"
        case Arithmetic(op, left, right):
            unit = unit or _unit(node)
            if op in "*/":  # one side is a bare number
                return f"{_operand(left, _unit(left))} {op} {_operand(right, _unit(right))}"
            return f"{_operand(left, unit)} {op} {_operand(right, unit)}"
        case _:
            assert_never(node)


# --- words ------------------------------------------------------------------------------------------


def _unit(node: Node) -> str:
    """The unit of a value, from the first signal in it that is not a bare number."""
    match node:
        case Signal(name):
            return SIGNALS.get(name, "")
        case Arithmetic(_, left, right):
            return _unit(left) or _unit(right)
        case _:
            return ""


def _number(value: float, unit: str) -> str:
    if unit == "ratio":
        return f"{value * 100:.6g}%"
    if unit == "duration" and math.isfinite(value * SECOND_MS):
        return format_duration(round(value * SECOND_MS))
    return f"{value:.6g}"


def _signal(signal: Signal) -> str:
    argument = f"({signal.argument})" if signal.argument else ""
    pairs = ", ".join(f'{one.label}{one.op}"{one.value}"' for one in signal.matchers)
    matchers = f"{{{pairs}}}" if pairs else ""
    window = f"[{_window(signal.window)}]" if signal.window is not None else ""
    return f"{signal.name}{argument}{matchers}{window}"


def _window(window: Window) -> str:
    if window.last:
        return f"last {window.last}"
    parts = [format_duration(window.span_ms)]
    if window.min_orders:
        parts.append(str(window.min_orders))
    if window.max_ms:
        parts.append(format_duration(window.max_ms))
    return ":".join(parts)


def _operand(node: Node, unit: str) -> str:
    text = text_of(node, unit)
    return f"({text})" if isinstance(node, Arithmetic) else text
