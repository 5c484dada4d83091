"""Rules as a file for Prometheus: equivalent PromQL over our metrics, or a comment that says why not.

A rule with `resolve_when` goes on while its own alert fires and that does not hold: Prometheus keeps
the series ALERTS, so the expression can ask. Shadow rules tell nobody and are left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import msgspec
import yaml

from monitor.config.promql import NotExpressibleError, Translator, duration
from monitor.core.alerting.template import MISSING, format_value
from monitor.core.rules.parse import signals_in
from monitor.core.rules.possible import alternatives, bounds_of
from monitor.model.rules import SIGNALS, Rule, RuleSet, Slo

HEADER = """\
# Written by `delivery-monitor rules export --prometheus`; edit the rules there, not here.
# The monitor itself counts waiting orders, tests evidence and never resolves on missing data. These
# rules are for a Prometheus that is to warn as well, for example when the monitor is down."""

_FIELD = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|\s*([A-Za-z_]+)\s*)?\}\}")
_HUMANE = {"ratio": "humanizePercentage", "duration": "humanizeDuration"}
_FILTERS = {"percent": "humanizePercentage", "duration": "humanizeDuration"}
_UNKNOWN = ("count", "total")  # Prometheus knows the value only


class Said(msgspec.Struct, frozen=True):
    """What is to be said about one rule; `is_exported` is False where it is only a comment."""

    alert: str
    is_exported: bool
    notes: tuple[str, ...] = ()


class Exported(msgspec.Struct, frozen=True):
    """The file, and what differs from the rules."""

    text: str
    said: tuple[Said, ...]


def export(rules: RuleSet) -> Exported:
    """Write all rules; the same rules always give the same text."""
    slos = {slo.name: slo for slo in rules.slos}
    said: list[Said] = []
    groups: dict[tuple[str, int], list[str]] = {}
    names = _Names()
    for rule in rules.rules:
        written = groups.setdefault((rule.group, rule.interval_ms), [])
        try:
            entry, notes = _entry(rule, slos, names)
        except NotExpressibleError as error:
            said.append(Said(rule.alert, is_exported=False, notes=(str(error),)))
            written.append(_comment(f"{rule.alert} is not exported: {error}"))
            continue
        said.append(Said(rule.alert, is_exported=True, notes=notes))
        written += [*(_comment(note) for note in notes), _dumped(entry)]
    lines = [HEADER, "groups:"]
    group_names = _Names()
    for (group, interval_ms), written in groups.items():
        lines += [
            f"  - name: {group_names.ascii(group)}",
            f"    interval: {duration(interval_ms)}",
            "    rules:"
            if any(text.lstrip().startswith("-") for text in written)
            else "    rules: []",
            *written,
        ]
    if not groups:
        lines[-1] = "groups: []"
    return Exported("\n".join(lines) + "\n", tuple(said))


def _entry(
    rule: Rule, slos: dict[str, Slo], names: _Names
) -> tuple[dict[str, object], tuple[str, ...]]:
    if rule.mode == "shadow":
        raise NotExpressibleError("mode: shadow tells nobody")
    translator = Translator(rule, slos)
    expr = translator.condition(rule.expr)
    notes: list[str] = []
    alert = names.ascii(rule.alert)
    if rule.resolve_when is not None:
        try:
            expr = _with_hysteresis(rule, translator, expr, alert)
        except NotExpressibleError as error:
            notes.append(f"resolve_when is not exported: {error}")
    if rule.no_data == "alert":
        notes.append("no_data: alert is not exported; missing data is silent here")
    if rule.actions:
        notes.append(f"actions are not exported: {', '.join(one.type for one in rule.actions)}")
    labels = dict(_labels(rule))
    annotations = dict(_annotations(rule))
    if any(MISSING in text for text in annotations.values()):
        notes.append("numbers of orders are not known to Prometheus and show as a dash")
    entry: dict[str, object] = {"alert": alert, "expr": expr}
    if rule.for_ms:
        entry["for"] = duration(rule.for_ms)
    if rule.keep_firing_for_ms:
        entry["keep_firing_for"] = duration(rule.keep_firing_for_ms)
    entry |= {"labels": labels} | ({"annotations": annotations} if annotations else {})
    return entry, (*translator.notes, *notes)


def _with_hysteresis(rule: Rule, translator: Translator, expr: str, alert: str) -> str:
    assert rule.resolve_when is not None
    resolved = translator.condition(rule.resolve_when)
    value = translator.value(signals_in(rule.expr)[0])
    on = f"on ({', '.join(rule.by)})"
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    return f"({expr}) or (({value} and {on} {firing}) unless {on} ({resolved}))"


def _labels(rule: Rule) -> Iterator[tuple[str, str]]:
    names = _Names()
    for name, text in rule.labels:
        yield names.label(name), text
    yield "severity", rule.severity


def _annotations(rule: Rule) -> Iterator[tuple[str, str]]:
    names = _Names()
    for name, text in rule.annotations:
        yield names.label(name), _template(rule, text)
    if rule.owner:
        yield "owner", rule.owner
    if rule.runbook_url:
        yield "runbook_url", rule.runbook_url


def _template(rule: Rule, text: str) -> str:
    """Our templates in Prometheus' words: `{{ value }}` is `{{ $value | humanizePercentage }}`."""
    unit = SIGNALS.get(signals_in(rule.expr)[0].name, "")
    bounds = [one for part in alternatives(rule.expr) or () for one in bounds_of(part)]
    limit = bounds[0] if bounds else None
    fixed = {
        "rule": rule.alert,
        "severity": rule.severity,
        "state": "firing",
        "reason": "threshold",
        "limit": format_value(limit.limit, SIGNALS[limit.signal.name]) if limit else MISSING,
    }

    def fill(match: re.Match[str]) -> str:
        name, filter_name = match[1], match[2]
        if name in ("value", "age"):
            chosen = _FILTERS.get(filter_name or "") or _HUMANE.get(unit, "humanize")
            return f"{{{{ $value | {chosen} }}}}"
        if name in rule.by:
            return f"{{{{ $labels.{name} }}}}"
        return fixed.get(name, MISSING if name in _UNKNOWN else f"<no {name}>")

    return _FIELD.sub(fill, text)


class _Names:
    """ASCII forms of names that may be in any script; different names stay different."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def ascii(self, name: str) -> str:
        """Letters, digits and underscores; `渠道慢` becomes `u6e20u9053u6162`."""
        plain = unicodedata.normalize("NFKD", name)
        letters = (
            letter
            if letter.isascii() and (letter.isalnum() or letter == "_")
            else ("" if unicodedata.combining(letter) else _spelled(letter))
            for letter in plain
        )
        return self._unique("".join(letters) or "_", name)

    def label(self, name: str) -> str:
        """As `ascii`, and not beginning with a digit."""
        text = self.ascii(name)
        return f"_{text}" if text[0].isdigit() else text

    def _unique(self, text: str, name: str) -> str:
        candidate, count = text, 1
        while self._taken.setdefault(candidate, name) != name:
            count += 1
            candidate = f"{text}_{count}"
        return candidate


def _spelled(letter: str) -> str:
    return "_" if letter.isascii() else f"u{ord(letter):04x}"


def _comment(text: str) -> str:
    # A rule's name may hold a line break; a comment may not.
    return f"      # {' '.join(text.split())}"


def _dumped(entry: dict[str, object]) -> str:
    text = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=10_000)
    return "\n".join(f"      {line}" for line in text.rstrip("\n").split("\n"))
