"""Reading a supplier's answer by the channel's table: the first row that matches, else unknown.

Unknown is the default for everything the table does not name: 5xx, unreadable bodies, unlisted
codes, goods that are not where they should be. A wrong *unknown* costs a question; a wrong
*rejected* costs a second key.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.http_client import HttpAnswer
from monitor.adapters.json_answer import read_json
from monitor.model.endpoints import AnswerRule, ErrorRule, HttpChannel

GOODS_MAX = 1_000
REF_CHARS_MAX = 200
_MISSING = object()


class Finding(msgspec.Struct, frozen=True):
    """What an answer says; `goods` is for the vault only and never printed or logged."""

    outcome: str
    goods: tuple[str, ...] = ()
    code: str | None = None
    error: ErrorRule = ErrorRule()
    supplier_ref: str | None = None
    cost_minor: int | None = None
    detail: str = ""

    def __repr__(self) -> str:
        return f"Finding({self.outcome}, {len(self.goods)} goods)"


def read_answer(answer: HttpAnswer, channel: HttpChannel) -> Finding:
    """Find what the answer means for the attempt."""
    if answer.status >= 500:
        return Finding("unknown", detail=f"http {answer.status}")
    body = read_json(answer.body, object)
    for rule in channel.answers:
        if all(_holds(path, wanted, answer.status, body) for path, wanted in rule.when.items()):
            return _found(rule, body, channel)
    readable = "no row of the answer table matches" if body is not None else "not JSON"
    return Finding("unknown", detail=f"http {answer.status}: {readable}")


def _found(rule: AnswerRule, body: Any, channel: HttpChannel) -> Finding:
    supplier_ref = _word(_at(body, rule.supplier_ref))
    match rule.outcome:
        case "delivered":
            goods = _goods(_at(body, rule.goods))
            if not goods:
                return Finding("unknown", supplier_ref=supplier_ref, detail="no goods in it")
            cost = _at(body, rule.cost)
            is_number = isinstance(cost, int) and not isinstance(cost, bool)
            return Finding(
                "delivered",
                goods=goods,
                supplier_ref=supplier_ref,
                cost_minor=cost if is_number else None,
            )
        case "rejected":
            code = _word(_at(body, rule.code))
            if code is None or code not in channel.errors:
                detail = "rejected with a code that is not listed under errors"
                return Finding("unknown", code=code, supplier_ref=supplier_ref, detail=detail)
            error = channel.errors[code]
            return Finding("rejected", code=code, error=error, supplier_ref=supplier_ref)
        case "not_found" if set(rule.when) == {"http"}:
            return Finding("unknown", detail="a bare status may be a proxy's page")
        case outcome:
            return Finding(outcome, supplier_ref=supplier_ref)


def _holds(path: str, wanted: object, status: int, body: Any) -> bool:
    found = status if path == "http" else _at(body, path)
    accepted = wanted if isinstance(wanted, list) else [wanted]
    return any(_same(found, item) for item in accepted)


def _same(found: object, wanted: object) -> bool:
    """Equal as JSON values: true is not 1, and "1" is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _at(body: Any, path: str | None) -> Any:
    """The value at a dotted path; list positions are numbers. A marker when there is none."""
    if path is None:
        return _MISSING
    for part in path.split("."):
        if isinstance(body, dict) and part in body:
            body = body[part]
        elif isinstance(body, list) and part.isdecimal() and int(part) < len(body):
            body = body[int(part)]
        else:
            return _MISSING
    return body


def _goods(found: Any) -> tuple[str, ...]:
    """One text, or a list of texts; a structured unit stays JSON. Empty if anything is odd."""
    units = found if isinstance(found, list) else [found]
    if len(units) > GOODS_MAX:
        return ()
    texts = [_unit(unit) for unit in units]
    return tuple(texts) if all(texts) else ()


def _unit(unit: object) -> str:
    if isinstance(unit, dict) and unit:
        return msgspec.json.encode(unit, order="sorted").decode()
    return _word(unit, max_chars=None) or ""


def _word(found: object, max_chars: int | None = REF_CHARS_MAX) -> str | None:
    """A text or whole number as text; None for anything else, blanks included."""
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found).strip()[:max_chars] or None
