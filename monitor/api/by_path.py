"""`POST /e/{key}/{type-suffix}/{order}`: one event that is an address, without a body.

For shops in which a line of `curl` is all that can be added. What is not in the path may be in the
query, under the names of a flat event. The event then goes the way of `POST /v1/events`: the same
quota, room, checks, synced log and answer.

The key stands in the address, so nothing here may repeat the address: not the answer, not a log.
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web

from monitor.api.body import read_raw
from monitor.api.edge import CALLER, EDGE
from monitor.api.ingest import take_in
from monitor.api.problems import problem
from monitor.model.errors import AuthError, InputError
from monitor.model.events import LIFECYCLE_RANK, TYPE_OF_WORD, EventType
from monitor.model.ids import DEFAULT_SOURCE
from monitor.model.spelling import did_you_mean

# The key is one segment, like the others: aiohttp's own pattern leaves out braces.
EVENT_PATH = "/e/{key:[^/]+}/{type:[^/]+}/{order:[^/]+}"

_JSON = "application/json"
_FIELDS_MAX = 100
_WHOLE = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_COUNTS = ("quantity", "amount_minor", "attempt")
_OF_PATH = ("type", "order_id", "subject", "data", "data_base64")
# May happen to one order again and again; anything else is the same fact when it is told twice.
_REPEATED = (
    EventType.CALLBACK,
    EventType.ATTEMPTED,
    EventType.ATTEMPT_FAILED,
    EventType.HEARTBEAT,
)
_FAILED = "failed was read as order.failed, which is final; send delivery.failed for an attempt that failed"
_BODY = "the body was left out; send fields in the query, or events to /v1/events"
_OWN_SITES = ("none", "same-origin")


async def take_event(request: web.Request) -> web.StreamResponse:
    """Take the event that the address is; repeating it is harmless.

    Raises: AuthError, InputError, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    edge.check_quota(request[CALLER])
    fields = _fields(request)
    if request.method == "GET" and not _may_get(request, fields.get("source")):
        refused = problem(
            405,
            "method_not_allowed",
            "GET is for sources with allow_get: true",
            hint="use POST, or set sources[].allow_get for the source of this key",
        )
        refused.headers["Allow"] = "POST"
        return refused
    remarks = (_BODY,) if await read_raw(request, edge.limits) else ()
    word = request.match_info["type"]
    if word == "failed":
        remarks = (*remarks, _FAILED)
    body = json.dumps(_event(type_of(word), _order_id(request), fields)).encode()
    return await take_in(request, body, _JSON, {}, remarks)


def type_of(word: str) -> str:
    """The type that a whole name (`delivery.failed`) or its last word (`paid`) means.

    Raises: InputError `unknown_type` with all that are known.
    """
    kind = word if word in LIFECYCLE_RANK else TYPE_OF_WORD.get(word)
    if kind is None:
        known = (*TYPE_OF_WORD, *LIFECYCLE_RANK)
        guess = did_you_mean(word, known)
        listed = (
            f"one of {', '.join(TYPE_OF_WORD)}, or a whole name such as {EventType.ATTEMPT_FAILED}"
        )
        raise InputError(
            "the address names no type of event",
            code="unknown_type",
            hint=f"{guess} {listed}".strip(),
        )
    return kind


def _may_get(request: web.Request, named: str | None) -> bool:
    """Whether the source may send by GET; a page of another site in somebody's browser may not.

    Raises: AuthError `bad_origin`.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        raise AuthError("a page of another site sends no events", code="bad_origin")
    source = request[CALLER].source or named or DEFAULT_SOURCE
    return request.app[EDGE].gate.may_get(source)


def _fields(request: web.Request) -> dict[str, str]:
    """What stands in the query. Raises: InputError `bad_query`, `duplicate_key`."""
    try:
        pairs = parse_qsl(
            request.rel_url.raw_query_string,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:  # also of text that is not UTF-8
        detail = f"the query is not UTF-8, or has more than {_FIELDS_MAX} fields"
        raise InputError(detail, code="bad_query") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InputError("a name stands twice in the query", code="duplicate_key")
    return fields


def _order_id(request: web.Request) -> str:
    """The last segment as it was before it was encoded: `%2F` is part of an id.

    Raises: InputError `bad_characters`.
    """
    segment = request.rel_url.raw_path.rpartition("/")[2]
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise InputError("the order id is not UTF-8", code="bad_characters") from None


def _event(kind: str, order_id: str, fields: dict[str, str]) -> dict[str, object]:
    """The event as a flat object.

    What happens once has a name of its own, so that a request sent again is a duplicate.
    """
    event: dict[str, object] = {
        # An unknown name is left out with a warning; the path has said these.
        (f"query {name}" if name in _OF_PATH else name): _value(name, text)
        for name, text in fields.items()
    }
    event["type"] = kind
    if kind != EventType.HEARTBEAT:
        event["order_id"] = order_id
    if kind not in _REPEATED:
        event.setdefault("id", kind)
    return event


def _value(name: str, text: str) -> object:
    """A number where one is meant; a text that is none is refused by the checks of every event."""
    if name in _COUNTS and _WHOLE.fullmatch(text):
        return int(text)
    if name == "promise_s" and _DECIMAL.fullmatch(text):
        return float(text)
    return text
