"""Filling the request templates of an `http` channel: `{{ name }}`, and nothing cleverer.

A JSON string that is exactly one placeholder becomes the value with its type (`quantity` stays a
number, an unknown amount becomes null); inside a longer text the value is written out. What goes
into a URL is percent-encoded, so an order id cannot leave its place; `.` and `..`, which no
encoding keeps from being folded away, are refused as segments of its path.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from monitor.model.effects import Query, Submit
from monitor.model.endpoints import HttpRequest
from monitor.model.errors import Permanent

Value = str | int | None
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


class FilledRequest(msgspec.Struct, frozen=True):
    """A request with its values in place, not yet signed or encoded."""

    method: str
    url: str
    headers: dict[str, str]
    json: Any
    form: dict[str, str] | None
    timeout_ms: int


def values_of(effect: Submit | Query) -> dict[str, Value]:
    """The values an effect has for templates; a query repeats those of its submit."""
    return {
        "attempt_ref": effect.attempt_ref,
        "order_id": effect.order_id,
        "sku": effect.sku,
        "quantity": effect.quantity,
        "amount_minor": effect.amount_minor,
        "currency": effect.currency,
        "region": effect.region,
        "max_cost_minor": effect.max_cost_minor,
    }


def fill(template: HttpRequest, values: dict[str, Value]) -> FilledRequest:
    """Put the values into a request; raises Permanent for a name without value and for `..`."""
    return FilledRequest(
        method=template.method,
        url=_url(template.url, values),
        headers={name: _text(text, values) for name, text in template.headers.items()},
        json=_json(template.json, values),
        form=None
        if template.form is None
        else {name: _text(text, values) for name, text in template.form.items()},
        timeout_ms=template.timeout_ms,
    )


def _url(template: str, values: dict[str, Value]) -> str:
    url = _text(template, values, is_url=True)
    if any(unquote(segment) in {".", ".."} for segment in urlsplit(url).path.split("/")):
        raise Permanent(
            "a value would lead the request to another path of the supplier",
            code="template_value",
            hint="an order id or sku is '.' or '..'; send it in the body or the query instead",
        )
    return url


def _json(value: Any, values: dict[str, Value]) -> Any:
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value.strip())
        return _value(whole[1], values) if whole else _text(value, values)
    if isinstance(value, dict):
        return {name: _json(item, values) for name, item in value.items()}
    if isinstance(value, list):
        return [_json(item, values) for item in value]
    return value


def _text(text: str, values: dict[str, Value], *, is_url: bool = False) -> str:
    def written(found: re.Match[str]) -> str:
        value = _value(found[1], values)
        plain = "" if value is None else str(value)
        return quote(plain, safe="") if is_url else plain

    return _PLACEHOLDER.sub(written, text)


def _value(name: str, values: dict[str, Value]) -> Value:
    if name not in values:
        raise Permanent(
            f"the request template needs {name}, which is not known here",
            code="template_value",
            hint="use only values a query has too, or give the channel a query of its own",
        )
    return values[name]
