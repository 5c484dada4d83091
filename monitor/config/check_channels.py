"""What must hold inside one `channels:` entry beyond the shape of each key (contract §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.config.report import Report
from monitor.config.schema_channels import AnswerRow, Channel, Request, Sign
from monitor.config.yaml_lines import YamlPath
from monitor.model.spelling import did_you_mean

TEMPLATE_NAMES = (
    "attempt_ref",
    "order_id",
    "sku",
    "quantity",
    "amount_minor",
    "max_cost_minor",
    "currency",
    "region",
)
_HTTP_KEYS = ("submit", "query", "answer", "errors", "sign")
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SIGNS_WITH_HEADER = ("hmac_sha256", "bearer")
_RESERVED = {"other": "the channels beyond the first 200", "all": "all channels together"}


def check_channel(channel: Channel, at: YamlPath, report: Report) -> None:
    """Report everything that is wrong in one channel."""
    meaning = _RESERVED.get(channel.name)
    if meaning is not None:
        message = f"{report.name((*at, 'name'))} must not be '{channel.name}'"
        report.error((*at, "name"), message, f"it stands for {meaning}")
    if report.lacks(at, "kind"):
        return
    if channel.kind != "http":
        for key in _HTTP_KEYS:
            if key in channel.model_fields_set:
                where = (*at, key)
                report.error(
                    where, f"{report.name(where)} belongs to kind: http, not {channel.kind}"
                )
        return
    _check_requests(channel, at, report)
    _check_answer(channel, at, report)
    _check_sign(channel.sign, (*at, "sign"), report)


def _check_requests(channel: Channel, at: YamlPath, report: Report) -> None:
    if channel.submit is None:
        report.error_missing(at, "submit", f"{report.name(at)} is of kind http and needs submit")
    else:
        _check_request(channel.submit, (*at, "submit"), report)
        names = template_names(channel.submit)
        if channel.capability == "idempotent" and "attempt_ref" not in names:
            hint = "without it the supplier cannot recognise a repeat"
            message = f"{report.name((*at, 'submit'))} must send {{{{ attempt_ref }}}}"
            report.error((*at, "submit"), f"{message} for capability idempotent", hint)
    if channel.query is not None:
        _check_request(channel.query, (*at, "query"), report)
        if not {"attempt_ref", "order_id"} & set(template_names(channel.query)):
            message = (
                f"{report.name((*at, 'query'))} must name the attempt with {{{{ attempt_ref }}}}"
            )
            report.error((*at, "query"), message, "else every answer is about something else")
    elif channel.capability == "queryable" and not report.lacks(at, "query"):
        report.error(
            (*at, "capability"),
            f"{report.name((*at, 'capability'))} queryable needs query",
            "say how to ask, or write capability: opaque",
        )


def _check_request(request: Request, at: YamlPath, report: Report) -> None:
    if request.body_json is not None and request.form is not None:
        report.error((*at, "form"), f"{report.name(at)} has both json and form", "keep one of them")
    if request.method == "GET" and (request.body_json is not None or request.form is not None):
        report.error(at, f"{report.name(at)} is a GET and cannot have a body", "write method: POST")
    for where, text in _texts(request, at):
        for message, hint in template_problems(text):
            report.error(where, f"{report.name(where)} {message}", hint)


def _check_answer(channel: Channel, at: YamlPath, report: Report) -> None:
    rows = channel.answer or {}
    if not rows:
        message = f"{report.name(at)} is of kind http and needs answer"
        report.error_missing(at, "answer", message, "without it every outcome stays unknown")
        return
    for outcome, row in rows.items():
        _check_row(outcome, row, (*at, "answer", outcome), report)
    if report.lacks(at, "answer"):
        return
    if not {"delivered", "accepted"} & set(rows):
        where = (*at, "answer")
        report.error(where, f"{report.name(where)} has neither delivered nor accepted")
    if channel.errors and not (rows.get("rejected") and rows["rejected"].code):
        where = (*at, "errors")
        message = f"{report.name(where)} is never used: answer.rejected names no code"
        report.error(where, message, "add code: <path into the JSON answer>")
    elif "rejected" in rows and not channel.errors:
        where = (*at, "answer", "rejected")
        message = f"{report.name(where)}: without errors every rejection counts as unknown"
        report.warn(where, message, "list the supplier's codes under errors")


def _check_row(outcome: str, row: AnswerRow, at: YamlPath, report: Report) -> None:
    if outcome == "not_found" and set(row.when) == {"http"}:
        message = f"{report.name(at)} needs a value of the body besides http"
        report.error(at, message, "a bare 404 may be a proxy's page")
    if outcome == "delivered" and row.goods is None:
        message = f"{report.name(at)} needs goods"
        report.error_missing(at, "goods", message, "the path of the keys in the JSON answer")


def _check_sign(sign: Sign, at: YamlPath, report: Report) -> None:
    if sign.kind == "none":
        if sign.secret or sign.secret_file:
            report.error(at, f"{report.name(at)} has a secret but no kind")
        return
    if sign.secret is None and sign.secret_file is None and not report.lacks(at, "secret"):
        message = f"{report.name(at)} of kind {sign.kind} needs secret_file"
        report.error_missing(at, "secret_file", message)
    if sign.header is not None and sign.kind not in _SIGNS_WITH_HEADER:
        where = (*at, "header")
        report.error(where, f"{report.name(where)} has no meaning for kind {sign.kind}")
    if sign.field is not None and sign.kind != "md5_sorted":
        where = (*at, "field")
        report.error(where, f"{report.name(where)} has no meaning for kind {sign.kind}")


def template_names(request: Request) -> list[str]:
    """List the names a request template uses, known or not."""
    return [found.strip() for _, text in _texts(request, ()) for found in _TEMPLATE.findall(text)]


def is_cost_guarded(channel: Channel) -> bool:
    """Whether the submit hands `{{ max_cost_minor }}` to the supplier, who then keeps it."""
    return channel.submit is not None and "max_cost_minor" in template_names(channel.submit)


def template_problems(text: str) -> Iterator[tuple[str, str]]:
    """Yield (message, hint) for every `{{ … }}` that cannot be filled in."""
    for found in _TEMPLATE.findall(text):
        name = found.strip()
        if name not in TEMPLATE_NAMES:
            hint = did_you_mean(name, TEMPLATE_NAMES) or f"known are {', '.join(TEMPLATE_NAMES)}"
            yield f"has the unknown template name '{name[:64]}'", hint
    rest = _TEMPLATE.sub("", text)
    if "{{" in rest or "}}" in rest:
        yield "has '{{' and '}}' that do not belong together", ""


def _texts(request: Request, at: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    """Yield every text of a request that may hold templates, with its place."""
    yield (*at, "url"), request.url
    for name, text in request.headers.items():
        yield (*at, "headers", name), text
    for name, text in (request.form or {}).items():
        yield (*at, "form", name), text
    yield from _texts_of_json(request.body_json, (*at, "json"))


def _texts_of_json(value: object, at: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts_of_json(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts_of_json(item, (*at, index))
