"""Turns `sources[].tail` into what is followed; what cannot work is reported with its place."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.config.report import Report
from monitor.config.safe_pattern import why_unsafe
from monitor.config.schema import Document, Source
from monitor.config.schema_tail import Tail
from monitor.config.schema_tail import TailField as FieldKeys
from monitor.config.yaml_lines import YamlPath
from monitor.model.events import LIFECYCLE_RANK
from monitor.model.spelling import did_you_mean
from monitor.model.tails import TailField, TailSource

# `amount` is in major units, as people write prices; it becomes `amount_minor`.
FIELDS = (
    "type", "order_id", "id", "time", "source", "traceparent", "meaning", "outcome", "takeover_id",
    "channel", "sku", "quantity", "currency", "amount", "amount_minor", "provider", "customer_tier",
    "speed", "fulfilment", "region", "attempt", "reason", "promise_s", "customer_hash", "payment_id",
)  # fmt: skip


def build_tails(document: Document, folder: Path, report: Report) -> tuple[TailSource, ...]:
    """The logs that are followed; a relative name is looked for beside the configuration file."""
    return tuple(
        _tail(source, source.tail, document, folder, ("sources", index, "tail"), report)
        for index, source in enumerate(document.sources)
        if source.tail is not None
    )


def _tail(
    source: Source, tail: Tail, document: Document, folder: Path, at: YamlPath, report: Report
) -> TailSource:
    groups = _check_pattern(tail, at, report)
    if tail.format != "ndjson" and not tail.map and not report.lacks(at, "map"):
        report.error_missing(at, "map", f"{report.name(at)}: format {tail.format} needs map")
    # In the order of FIELDS: a currency is known before an amount is read.
    fields = []
    for name in sorted(tail.map, key=lambda one: FIELDS.index(one) if one in FIELDS else -1):
        where: YamlPath = (*at, "map", name)
        _check_field(name, tail.map[name], groups, where, report)
        fields.append(_field(name, tail.map[name]))
    if tail.map and "type" not in tail.map:
        report.error((*at, "map"), f"{report.name((*at, 'map'))} does not say the type of an event",
                     "write type: {path: status, values: {paid: order.paid}}")  # fmt: skip
    return TailSource(
        source=source.name,
        file=str(folder / tail.file),
        pattern=tail.pattern if tail.format == "regex" else None,
        fields=tuple(fields),
        currency=source.currency or document.currency,
    )


def _field(name: str, keys: FieldKeys) -> TailField:
    path = () if keys.path is None else tuple(keys.path.split("."))
    return TailField(name, path, keys.values, keys.default, keys.value)


def _check_pattern(tail: Tail, at: YamlPath, report: Report) -> tuple[str, ...] | None:
    """The names of the groups of a sound pattern; None where there is none."""
    where: YamlPath = (*at, "pattern")
    if tail.format != "regex":
        if tail.pattern is not None:
            report.error(where, f"{report.name(where)} is for format: regex")
        return None
    if tail.pattern is None:
        if not report.lacks(at, "pattern"):
            report.error_missing(at, "pattern", f"{report.name(at)}: format regex needs pattern")
        return None
    try:
        compiled = re.compile(tail.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        report.error(where, f"{report.name(where)} is no regular expression: {error}")
        return None
    reason = why_unsafe(tail.pattern)
    if reason:
        report.error(where, f"{report.name(where)} {reason}")
    return tuple(compiled.groupindex)


def _check_field(
    name: str, keys: FieldKeys, groups: tuple[str, ...] | None, at: YamlPath, report: Report
) -> None:
    if name not in FIELDS:
        hint = did_you_mean(name, FIELDS) or f"known are {', '.join(FIELDS)}"
        report.error(at, f"{report.name(at)} is no field of an event", hint)
    if (keys.path is None) == (keys.value is None):
        report.error(at, f"{report.name(at)} needs path or value, one of them")
    elif groups is not None and keys.path is not None and keys.path not in groups:
        hint = did_you_mean(keys.path, groups) or "name a group: (?P<name>…)"
        report.error(at, f"{report.name(at)}: the pattern has no group '{keys.path}'", hint)
    if name == "type":
        named = (*keys.values.values(), *(one for one in (keys.default, keys.value) if one))
        for kind in named:
            if kind not in LIFECYCLE_RANK:
                hint = did_you_mean(kind, LIFECYCLE_RANK)
                report.error(at, f"{report.name(at)}: '{kind}' is no type of event", hint)
