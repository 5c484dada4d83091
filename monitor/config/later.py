"""Keys of the contract that come with later versions: they are named and ignored, never fatal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from monitor.config.report import Report, dotted
from monitor.config.yaml_lines import YamlPath

ANY = "*"
LATER_INTEGRATIONS = (
    "apprise",
    "bark",
    "discord",
    "email",
    "feishu",
    "lark",
    "matrix",
    "msteams",
    "ntfy",
    "opsgenie",
    "pagerduty",
    "pushover",
    "pushplus",
    "serverchan",
    "slack",
    "sms",
    "telegram",
    "wecom",
)
# Left out before validation.
LATER_KEYS: tuple[YamlPath, ...] = (
    ("notify", "route", "group_by"),
    ("notify", "route", "group_wait"),
    ("notify", "route", "group_interval"),
    ("notify", "route", "repeat_interval"),
    *(("notify", "receivers", ANY, kind) for kind in LATER_INTEGRATIONS),
)
# Validated, but without effect when the value is one of these.
_INERT: tuple[tuple[YamlPath, Callable[[object], bool]], ...] = (
    (("telemetry", "otlp", "logs"), lambda value: value is True or value == "true"),
    (("channels", ANY, "weight"), lambda value: value is not None),
    (("preset",), lambda value: value == "busy"),
)


def find_later(document: object, report: Report) -> list[YamlPath]:
    """Warn about every key of a later version; returns those to leave out."""
    removed = [at for pattern in LATER_KEYS for at, _ in _matches(document, pattern)]
    inert = [
        at
        for pattern, is_inert in _INERT
        for at, value in _matches(document, pattern)
        if is_inert(value)
    ]
    for at in (*removed, *inert):
        report.warn_key(at, f"{dotted(at)} is not available in this version and is ignored")
    return removed


def _matches(
    value: object, pattern: YamlPath, at: YamlPath = ()
) -> Iterator[tuple[YamlPath, object]]:
    """Yield the places that fit a pattern, with their values."""
    if not pattern:
        yield at, value
    elif pattern[0] == ANY and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _matches(item, pattern[1:], (*at, index))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _matches(value[pattern[0]], pattern[1:], (*at, pattern[0]))
