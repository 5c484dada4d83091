"""What suppliers and other executors tell us of an attempt by themselves.

A callback proves by its signature who sent it; whatever is wrong with the proof, or with the name of
the channel, the answer is the same 401, and nothing happens. Another executor has a token. Both are
taken as the answer to the next question about the attempt, so no more is believed of them than of an
answer.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from monitor.api import json_body
from monitor.api.audit import entry
from monitor.api.body import read_body
from monitor.api.edge import EDGE
from monitor.core.engine import Engine
from monitor.core.takeover.learning import ask, channel_of
from monitor.core.takeover.steps import find_attempt
from monitor.core.views.orders import takeover_view
from monitor.model.errors import AuthError, InputError, NotFoundError, StorageError
from monitor.model.received import Received
from monitor.model.records import AttemptAnswered
from monitor.model.takeovers import Attempt, AttemptState, TakeoverCase

CALLBACK_BYTES_MAX = 64 * 1024
GOODS_MAX = 1_000
_FORM = "application/x-www-form-urlencoded"

Goods = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ResultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a result; `goods` with `delivered`, `code` with `rejected`.

    `rejected` says for certain that nothing was and will be done; who does not know says `accepted`.
    """

    outcome: Literal["delivered", "accepted", "rejected"]
    goods: Annotated[list[Goods], msgspec.Meta(max_length=GOODS_MAX)] = []
    cost_minor: Annotated[int, msgspec.Meta(ge=0)] | None = None
    supplier_ref: Word | None = None
    code: Word | None = None
    retry: Literal["same", "other", "never"] = "other"
    blame: Literal["channel", "order", "us"] = "channel"


async def post_callback(request: web.Request) -> web.StreamResponse:
    """Take a supplier's own word about an attempt of its channel.

    Raises: AuthError without a good signature, NotFoundError for an attempt that is not the
    channel's, InputError for words that mean nothing, StorageError while goods cannot be kept.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    name, reports = request.match_info["name"], edge.service.reports
    caller = reports.caller(name)
    received = await _received(request)
    ref = None if caller is None else caller.ref_of(received, now_ms)
    if caller is None or ref is None:
        raise AuthError("this call has no good signature", hint="see callback of the channel")
    case, attempt = _attempt(engine, ref)
    if attempt.channel != name:
        raise _unknown()
    answered = await caller.called_back(received, ask(case, attempt), now_ms)
    if answered is None:
        raise InputError("no row of the callback's answer table matches", code="not_understood")
    if answered.outcome == "unknown":
        raise StorageError("the goods could not be kept", hint="call again")
    if _is_news(attempt, answered):
        await edge.service.acknowledge(answered)
    return json_body.answer(reports.reply(name))


async def post_result(request: web.Request) -> web.StreamResponse:
    """Take the outcome of an attempt that another executor performed.

    Raises: InputError, NotFoundError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    asked = await json_body.read_json(request, ResultRequest)
    _check_result(asked)
    case, attempt = _attempt(engine, request.match_info["id"])
    if channel_of(engine.settings, attempt.channel).kind != "http":
        raise InputError(
            f"channel '{attempt.channel}' performs its attempts itself",
            code="conflict", hint="results are for http channels, such as preset: executor",
        )  # fmt: skip
    question = ask(case, attempt)
    answered = AttemptAnswered(
        effect_key=question.key,
        takeover_id=question.takeover_id,
        attempt_ref=question.attempt_ref,
        outcome=asked.outcome,
        at_ms=now_ms,
        is_query=True,
        code=asked.code,
        retry=asked.retry,
        blame=asked.blame,
    )
    if asked.outcome == "delivered":
        answered = await edge.service.reports.delivered(
            question, asked.goods, asked.cost_minor, now_ms
        )
    answered = msgspec.structs.replace(answered, supplier_ref=asked.supplier_ref)
    before, after = {"attempt": attempt.state}, {"outcome": asked.outcome, "code": asked.code}
    audit = entry(request, target=attempt.ref, before=before, after=after)
    await edge.service.acknowledge(answered, audit)
    return json_body.answer(takeover_view(_attempt(engine, attempt.ref)[0]))


def _is_news(attempt: Attempt, answered: AttemptAnswered) -> bool:
    """Whether a callback says more than is known.

    It counts as an answer to a question, and each answer puts the next question off: a supplier
    that tells its progress every minute would never be asked.
    """
    is_known = answered.supplier_ref in (None, attempt.supplier_ref)
    return not (is_known and answered.outcome == attempt.state == AttemptState.ACCEPTED)


def _check_result(asked: ResultRequest) -> None:
    if (asked.outcome == "delivered") != bool(asked.goods):
        detail = "goods come with delivered, and only then"
        raise InputError(detail, code="bad_field", pointer="/goods")
    if asked.outcome == "rejected" and asked.code is None:
        raise InputError("a rejection needs its code", code="missing_field", pointer="/code")


async def _received(request: web.Request) -> Received:
    body = await read_body(request, request.app[EDGE].limits)
    if len(body) > CALLBACK_BYTES_MAX:
        raise InputError(f"a callback has at most {CALLBACK_BYTES_MAX} bytes", code="too_large")
    path, _, query = request.raw_path.partition("?")
    return Received(
        method=request.method,
        path=path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        fields=_fields(request.content_type, body),
    )


def _fields(kind: str, body: bytes) -> dict[str, Any]:
    """The object or form of a body; of anything else nothing, which proves nothing."""
    if kind == _FORM:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _attempt(engine: Engine, ref: str) -> tuple[TakeoverCase, Attempt]:
    for case in engine.desk.cases.values():
        attempt = find_attempt(case, ref)
        if attempt is not None:
            return case, attempt
    raise _unknown()


def _unknown() -> NotFoundError:
    return NotFoundError("there is no such attempt", hint="see attempts in GET /v1/takeovers")
