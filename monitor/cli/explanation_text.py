"""An explanation of a rule for people: one tree for each instance."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.core.views.explanation import Explanation, Instance
from monitor.model.evaluations import Step
from monitor.model.times import SECOND_MS, format_duration

_MARKS = {"true": "yes", "false": "no ", "insufficient": "?  ", "no_data": "?  "}


def render_explanation(explanation: Explanation) -> str:
    """Write it as text; ends with a newline."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(one: Explanation) -> Iterator[str]:
    mode = ", mode: shadow" if one.mode == "shadow" else ""
    yield f"{one.rule} ({one.severity}{mode}) at {one.at}"
    yield f"  {one.expr}"
    parts = [f"confidence {one.confidence:g}", f"min_count {one.min_count}",
             f"for {_duration(one.for_s)}", f"keep_firing_for {_duration(one.keep_firing_for_s)}",
             f"looked at least every {_duration(one.interval_s)}"]  # fmt: skip
    if one.actions:
        parts.append(f"actions {', '.join(one.actions)}")
    yield f"  {', '.join(parts)}"
    for instance in one.instances:
        yield ""
        yield from _instance(instance)
    if one.left_out:
        yield ""
        yield f"… and {one.left_out} more instances; choose with --label"
    if not one.instances:
        yield ""
        yield "no instance: nothing that the rule is split by has been seen"


def _instance(one: Instance) -> Iterator[str]:
    labels = ", ".join(f"{name}={value}" for name, value in one.labels.items()) or "whole shop"
    since = f" since {one.since}" if one.since else ""
    reason = f" ({one.reason})" if one.reason else ""
    yield f"{labels}: {one.state}{since}{reason}"
    if one.recorded_at is not None:
        yield f"  as recorded at {one.recorded_at}"
    yield from _step(one.condition, "  ")
    if one.resolve_when is not None:
        yield "  resolve_when"
        yield from _step(one.resolve_when, "    ")
    if one.waiting is not None:
        waiting = one.waiting
        yield (f"  {waiting.field}: {_duration(waiting.passed_s)} of {_duration(waiting.of_s)}, "
               f"until {waiting.ends_at}")  # fmt: skip
    if one.good_streak:
        yield f"  {one.good_streak} good orders in a row"
    if one.is_unconfirmed:
        yield "  its source is silent: late orders are left out until it speaks again"
    if one.told_at is not None:
        yield f"  told at {one.told_at}"
    for why in one.untold:
        yield f"  not told: {why.text} [{why.code}]" if one.told_at is None else f"  {why.text}"


def _step(step: Step, indent: str) -> Iterator[str]:
    yield f"{indent}{_MARKS.get(step.outcome, '?  ')} {step.text}{_reading(step)}"
    for part in step.parts:
        yield from _step(part, f"{indent}  ")


def _reading(step: Step) -> str:
    """What a comparison rests on; empty for `and`, `or` and `not`."""
    if step.parts:
        return ""
    parts = [f"is {_amount(step.value, step.unit)}"]
    if step.k is not None and step.n is not None:
        parts.append(f"{step.k} of {step.n}")
    elif step.n is not None:
        parts.append(f"n {step.n}")
    if step.window_s is not None:
        parts.append(f"over {_duration(step.window_s)}")
    if step.missing:
        parts.append(step.missing)
    if gate := _gate(step):
        parts.append(gate)
    return f": {', '.join(parts)} ({step.reason})"


def _gate(step: Step) -> str:
    match step.gate:
        case "evidence" if step.found is not None:
            passed = "at most" if step.outcome == "true" else "needed is at most"
            return f"p {step.found:.2g}, {passed} {step.needed:g}"
        case "trimmed_mean" | "trimmed_health" if step.found is not None:
            return f"without the worst 5 % {_amount(step.found, step.unit)}"
        case "min_count":
            return f"needs {step.needed:g} orders"
        case "own_evidence" if step.found is not None:
            return f"p {step.found:.2g}"
        case _:
            return ""


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "nothing"
    if unit == "ratio":
        return f"{value * 100:.4g}%"
    if unit == "duration":
        return _duration(value)
    return f"{value:.4g}"


def _duration(seconds: float) -> str:
    return format_duration(round(seconds * SECOND_MS))
