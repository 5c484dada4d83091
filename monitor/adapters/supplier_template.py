"""Filling the request templates of an `http` channel: `{{ name }}`, and nothing cleverer.

A JSON string that is exactly one placeholder becomes the value with its type (`quantity` stays a
number, an unknown amount becomes null); inside a longer text the value is written out. `{{ sku |
int }}` makes a number of a text of digits. What goes into a URL is percent-encoded, so an order id
cannot leave its place; `.` and `..`, which no encoding keeps from being folded away, are refused as
segments of its path, and the secret may not stand in it.
"""

from __future__ import annotations

import hashlib
import re
from decimal import ROUND_DOWN, Decimal
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from monitor.model.effects import Query, Submit
from monitor.model.endpoints import HttpChannel, HttpRequest
from monitor.model.errors import Permanent
from monitor.model.money import decimals_of, in_major

Value = str | int | Decimal | None
SECRET_NAME = "secret"  # noqa: S105 - the name of a placeholder
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_][a-z_0-9]*)\s*(?:\|\s*(int)\s*)?\}\}")
_ATTEMPT_DIGITS = 18  # fits the 19 characters of acg-faka's request_no, and an int64


class FilledRequest(msgspec.Struct, frozen=True):
    """A request with its values in place, not yet signed or encoded."""

    method: str
    url: str
    headers: dict[str, str]
    json: Any
    form: dict[str, str] | None
    timeout_ms: int


def values_of(effect: Submit | Query) -> dict[str, Value]:
    """The values an effect has for templates; a query repeats those of its submit.

    `amount max_cost max_unit_cost` are in major units, with the decimals of the currency.
    """
    decimals = decimals_of(effect.currency)
    amount, max_cost = effect.amount_minor, effect.max_cost_minor
    values: dict[str, Value] = {
        "attempt_ref": effect.attempt_ref,
        "attempt_no": attempt_no(effect.attempt_ref),
        "order_id": effect.order_id,
        "sku": effect.sku,
        "quantity": effect.quantity,
        "amount_minor": amount,
        "currency": effect.currency,
        "region": effect.region,
        "max_cost_minor": max_cost,
        "amount": None if amount is None else in_major(amount, decimals),
        "max_cost": None if max_cost is None else in_major(max_cost, decimals),
        "max_unit_cost": _per_unit(max_cost, effect.quantity, decimals),
    }
    if isinstance(effect, Query) and effect.supplier_ref is not None:
        values["supplier_ref"] = effect.supplier_ref
    return values


def attempt_no(attempt_ref: str) -> str:
    """A number of 18 digits that stands for the attempt where a supplier takes no longer name."""
    number = int.from_bytes(hashlib.sha256(attempt_ref.encode()).digest()[:8], "big")
    return str(10 ** (_ATTEMPT_DIGITS - 1) + number % (9 * 10 ** (_ATTEMPT_DIGITS - 1)))


def translated(values: dict[str, Value], channel: HttpChannel, now_ms: int) -> dict[str, Value]:
    """The values as this supplier knows them: its name of the goods, our account, the time.

    Raises: Permanent where the goods have no name there, or are too many for one order.
    """
    sku, quantity = values["sku"], values["quantity"]
    if channel.skus and sku not in channel.skus:
        raise _refused(
            "the goods are not in the channel's skus", "add the sku to skus, or leave it"
        )
    most = channel.quantity_max
    if most is not None and isinstance(quantity, int) and quantity > most:
        raise _refused("the supplier sells fewer at once", "see quantity_max of the channel")
    named: Value = channel.skus[str(sku)] if channel.skus else sku
    return values | {"sku": named} | own_values(channel, now_ms)


def own_values(channel: HttpChannel, now_ms: int) -> dict[str, Value]:
    """What every request to a supplier may hold: our account there, the time, the secret."""
    sign = channel.sign
    return {
        "account": sign.account,
        "timestamp": now_ms // 1000,
        SECRET_NAME: None if sign.secret is None else sign.secret.reveal(),
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


def written(template: str, values: dict[str, Value]) -> str:
    """A text with its values in place; raises Permanent for a name without value."""
    return _text(template, values)


def _url(template: str, values: dict[str, Value]) -> str:
    known = {name: value for name, value in values.items() if name != SECRET_NAME}
    url = _text(template, known, is_url=True)
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
        return _value(whole, values) if whole else _text(value, values)
    if isinstance(value, dict):
        return {name: _json(item, values) for name, item in value.items()}
    if isinstance(value, list):
        return [_json(item, values) for item in value]
    return value


def _text(text: str, values: dict[str, Value], *, is_url: bool = False) -> str:
    def one(found: re.Match[str]) -> str:
        value = _value(found, values)
        plain = "" if value is None else str(value)
        return quote(plain, safe="") if is_url else plain

    return _PLACEHOLDER.sub(one, text)


def _value(found: re.Match[str], values: dict[str, Value]) -> Value:
    name, filter_name = found[1], found[2]
    if name not in values:
        raise _refused(
            f"the request template needs {name}, which is not known here",
            "use only values a query has too, or give the channel a query of its own",
        )
    value = values[name]
    if filter_name is None or value is None or isinstance(value, int):
        return value
    text = str(value)
    if not (text.isascii() and text.isdecimal()):
        raise _refused(f"{name} is no whole number", "name the supplier's number under skus")
    return int(text)


def _per_unit(cost_minor: int | None, quantity: int, decimals: int) -> Decimal | None:
    """The most that one of the units may cost, rounded down."""
    if cost_minor is None or quantity < 1:
        return None
    exact = in_major(cost_minor, decimals) / quantity
    return exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def _refused(what: str, hint: str) -> Permanent:
    return Permanent(what, code="template_value", hint=hint)
