"""Logic-less templates of annotations: `{{ name }}` and `{{ name | filter }}`, nothing else.

A message about an outage must never fail: what is unknown shows as `<no name>`. What can be known
to be wrong when the file is read is found by `mistakes`, and a name that one rule never fills by
`names_in`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping

from monitor.core.alerting.messages import label_text
from monitor.model.alerts import Alert
from monitor.model.rules import SIGNALS
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_duration

Value = str | float | int

VALUE_MAX = 200  # characters of one inserted value; labels come from outside
TEMPLATE_MAX = 2_000
MISSING = "–"
VALUES = ("value", "limit", "count", "total", "age", "rule", "severity", "state", "reason")
"""What a template may name beside the labels of its alert; see `alert_values`."""

_FIELD = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|\s*([A-Za-z_]+)\s*)?\}\}")
_OPEN = re.compile(r"\{\{")


def render(template: str, values: Mapping[str, Value]) -> str:
    """Fill in the values; never raises.

    A name without value becomes `<no name>`, an unknown filter `<no filter>`; a filter over text
    that is no number leaves it as it is. Numbers without filter are written plainly.
    """

    def fill(match: re.Match[str]) -> str:
        name, filter_name = match[1], match[2]
        if name not in values:
            return f"<no {name}>"
        if filter_name is None:
            return _plain(values[name])[:VALUE_MAX]
        chosen = FILTERS.get(filter_name)
        return _filtered(values[name], chosen)[:VALUE_MAX] if chosen else f"<no {filter_name}>"

    return _FIELD.sub(fill, template)


def mistakes(template: str, labels: Collection[str]) -> list[tuple[int, str]]:
    """List (1-based column, message) of braces that are no field, unknown names and filters.

    `labels` are those an alert may have.
    """
    if len(template) > TEMPLATE_MAX:
        return [(TEMPLATE_MAX + 1, f"the template is longer than {TEMPLATE_MAX} characters")]
    known = tuple(dict.fromkeys((*VALUES, *labels)))
    found: list[tuple[int, str]] = []
    for opening in _OPEN.finditer(template):
        field = _FIELD.match(template, opening.start())
        if field is None:
            message = "write {{ name }} or {{ name | filter }}; templates have no other form"
            found.append((opening.start() + 1, message))
            continue
        if field[1] not in known:
            found.append((field.start(1) + 1, _unknown("name", field[1], known)))
        if field[2] is not None and field[2] not in FILTERS:
            found.append((field.start(2) + 1, _unknown("filter", field[2], FILTERS)))
    return found


def names_in(template: str) -> Iterator[tuple[int, str]]:
    """Yield (1-based column, name) of every field."""
    for field in _FIELD.finditer(template):
        yield field.start(1) + 1, field[1]


def _unknown(what: str, word: str, known: Collection[str]) -> str:
    hint = did_you_mean(word, known) or f"known are {', '.join(known)}"
    return f"unknown {what} '{word}'; {hint}"


def alert_values(alert: Alert, language: str = "en") -> dict[str, Value]:
    """Collect what a template of an alert in a language may name.

    The labels (`channel`, `source`), `rule`, `severity`, `state`, `reason`, `value` and `limit`
    written in the unit of the signal, `count` of `total` orders, and `age` for a signal that is a
    time. The channel `*`, all channels together, is in words.
    """
    evidence = alert.evidence
    unit = SIGNALS.get(evidence.signal, "")
    values: dict[str, Value] = {
        "rule": alert.rule,
        "severity": alert.severity,
        "state": alert.state,
        "reason": alert.reason,
        "value": format_value(evidence.value, unit),
        "limit": format_value(evidence.limit, unit),
    }
    if evidence.k is not None:
        values["count"] = evidence.k
    if evidence.n is not None:
        values["total"] = evidence.n
    if unit == "duration":
        values["age"] = values["value"]
    labels = {name: label_text(language, name, value) for name, value in alert.labels}
    return labels | values


def format_value(value: float | None, unit: str) -> str:
    """Write a value in its unit: ratio 0.043 `4.3%`, duration 90 s `1m30s`, else a number.

    None, a percentile not reached or missing data, is a dash.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    match unit:
        case "ratio":
            return _percent(value)
        case "duration":
            return _duration(value)
        case _:
            return _plain(round(value, 2))


def _filtered(value: Value, chosen: Callable[[float], str]) -> str:
    try:
        number = float(value)
    except (ValueError, OverflowError):  # no number, or an integer beyond any
        return str(value)
    return chosen(number) if math.isfinite(number) else MISSING


def _plain(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.12g}" if math.isfinite(value) else MISSING
    return str(value)


def _percent(ratio: float) -> str:
    share = 100 * ratio
    text = f"{share:.1f}" if abs(share) >= 0.1 or share == 0 else f"{share:.2g}"
    return text.removesuffix(".0") + "%"


def _duration(seconds: float) -> str:
    milliseconds = seconds * 1000
    return format_duration(round(milliseconds)) if math.isfinite(milliseconds) else MISSING


def _humanize(number: float) -> str:
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g}{suffix}"
    return f"{number:.4g}"


FILTERS: Mapping[str, Callable[[float], str]] = {
    "humanize": _humanize,
    "percent": _percent,
    "duration": _duration,
}
