"""Reading a supplier's answer by the channel's table: the first row that matches, else unknown.

Unknown is the default for everything the table does not name: 3xx and 5xx, unreadable bodies,
unlisted codes, goods that are not where they should be or are an excuse, a rejection that brings
goods. A wrong *unknown* costs a question; a wrong *rejected* costs a second key.

A `refused` row is about the request (balance, signature, unknown goods), a `rejected` one about the
order: to the one submit both prove that nothing was bought, to a question only the latter does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.http_client import ANSWER_BYTES_MAX, HttpAnswer
from monitor.adapters.json_answer import read_json, says_twice
from monitor.model.endpoints import AnswerRule, ErrorRule, HttpChannel
from monitor.model.money import to_minor

GOODS_MAX = 1_000
REF_CHARS_MAX = 200
ANYTHING = "*"  # as a wanted value: any text or number; as a part of a path: every item of a list
STATUS = "http"
NEGATIVE = ("not_found", "rejected", "refused")  # what lets another channel try, sooner or later
_MISSING = object()


class Finding(msgspec.Struct, frozen=True):
    """What an answer says; `goods` is for the vault only and never printed or logged."""

    outcome: str  # of `AnswerRule`, or unknown
    goods: tuple[str, ...] = ()
    code: str | None = None
    error: ErrorRule = ErrorRule()
    supplier_ref: str | None = None
    cost_minor: int | None = None
    detail: str = ""

    def __repr__(self) -> str:
        return f"Finding({self.outcome}, {len(self.goods)} goods)"


def read_answer(
    answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...] = ()
) -> Finding:
    """Find what an answer means for the attempt; `rows` stand for the channel's table."""
    if answer.status >= 500 or 300 <= answer.status < 400:
        return Finding("unknown", detail=f"http {answer.status}")
    body = read_json(answer.body, object)
    finding = read_body(body, answer.status, channel, rows or channel.answers)
    if body is None and finding.outcome == "unknown":
        return Finding("unknown", detail=f"http {answer.status}: not JSON")
    if finding.outcome in NEGATIVE and _is_doubtful(answer.body):
        detail = f"it says {finding.outcome} in words that can be read in two ways"
        return msgspec.structs.replace(finding, outcome="unknown", detail=detail)
    return finding


def read_body(
    body: Any, status: int, channel: HttpChannel, rows: tuple[AnswerRule, ...]
) -> Finding:
    """Find what a body that was read already means."""
    for rule in rows:
        if holds(rule.when, status, body):
            finding = _found(rule, body, status, channel)
            if finding.outcome in NEGATIVE and _has_goods(rows, body):
                detail = f"it says {finding.outcome} and brings goods"
                return msgspec.structs.replace(finding, outcome="unknown", detail=detail)
            return finding
    return Finding("unknown", detail=f"http {status}: no row of the answer table matches")


def holds(when: dict[str, Any], status: int, body: Any) -> bool:
    """Whether an answer has every wanted value."""
    return all(_holds(path, wanted, status, body) for path, wanted in when.items())


def word_at(body: Any, path: str | None) -> str | None:
    """The text or whole number at a dotted path, as text; None where there is none."""
    return None if path is None else _word(_at(body, path))


def value_at(body: Any, path: str) -> str | int | float | None:
    """The text or number at a dotted path; None where there is none."""
    found = _at(body, path)
    return found if isinstance(found, str | int | float) else None


def _found(rule: AnswerRule, body: Any, status: int, channel: HttpChannel) -> Finding:
    supplier_ref = word_at(body, rule.supplier_ref)
    match rule.outcome:
        case "duplicate" | "not_found" | "rejected" | "refused" if set(rule.when) == {STATUS}:
            return Finding("unknown", detail="a bare status may be a proxy's page")
        case "delivered":
            goods = goods_at(body, rule)
            if not goods:
                return Finding("unknown", supplier_ref=supplier_ref, detail="no goods in it")
            cost = to_minor(_at(body, rule.cost), rule.cost_decimals) if rule.cost else None
            return Finding("delivered", goods, supplier_ref=supplier_ref, cost_minor=cost)
        case "rejected" | "refused":
            code = str(status) if rule.code == STATUS else word_at(body, rule.code)
            if code is None or code not in channel.errors:
                detail = f"{rule.outcome} with a code that is not listed under errors"
                return Finding("unknown", code=code, supplier_ref=supplier_ref, detail=detail)
            error = channel.errors[code]
            return Finding(rule.outcome, code=code, error=error, supplier_ref=supplier_ref)
        case outcome:
            return Finding(outcome, supplier_ref=supplier_ref)


def goods_at(body: Any, rule: AnswerRule) -> tuple[str, ...]:
    """The units an answer brings: texts, or JSON of structured ones. Empty if anything is odd."""
    found = _MISSING if rule.goods is None else _at(body, rule.goods)
    units = found if isinstance(found, list) else [found]
    texts = [_unit(unit) for unit in units[: GOODS_MAX + 1]]
    if rule.split == "lines":
        texts = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    is_excuse = any(excuse in text for excuse in rule.not_goods for text in texts)
    if len(texts) > GOODS_MAX or is_excuse:
        return ()
    return tuple(texts) if all(texts) else ()


def _is_doubtful(body: bytes) -> bool:
    """Whether the end of a body is missing, or a name in it stands twice."""
    return len(body) >= ANSWER_BYTES_MAX or says_twice(body)


def _has_goods(rows: tuple[AnswerRule, ...], body: Any) -> bool:
    return any(row.outcome == "delivered" and goods_at(body, row) for row in rows)


def _holds(path: str, wanted: object, status: int, body: Any) -> bool:
    found = status if path == STATUS else _at(body, path)
    accepted = wanted if isinstance(wanted, list) else [wanted]
    if ANYTHING in accepted:
        return _word(found) is not None
    return any(_same(found, item) for item in accepted)


def _same(found: object, wanted: object) -> bool:
    """Equal as JSON values: true is not 1, and "1" is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _at(body: Any, path: str) -> Any:
    """The value at a dotted path; list positions are numbers, `*` is every item of a list.

    A marker when there is none, or when one of the items lacks it.
    """
    first, _, rest = path.partition(".")
    if first == ANYTHING and isinstance(body, list):
        items = [_at(item, rest) if rest else item for item in body[: GOODS_MAX + 1]]
        return items if items and _MISSING not in items else _MISSING
    if isinstance(body, dict) and first in body:
        body = body[first]
    elif isinstance(body, list) and first.isdecimal() and int(first) < len(body):
        body = body[int(first)]
    else:
        return _MISSING
    return _at(body, rest) if rest else body


def _unit(unit: object) -> str:
    if isinstance(unit, dict) and unit:
        return msgspec.json.encode(unit, order="sorted").decode()
    return _word(unit, max_chars=None) or ""


def _word(found: object, max_chars: int | None = REF_CHARS_MAX) -> str | None:
    """A text or whole number as text; None for anything else, blanks included."""
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found).strip()[:max_chars] or None
