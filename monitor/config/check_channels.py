"""What must hold inside one `channels:` entry beyond the shape of each key (contract §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.config.report import Report
from monitor.config.schema_channels import AnswerRow, Channel, Probe, Request, Sign
from monitor.config.yaml_lines import YamlPath
from monitor.model.spelling import did_you_mean

TEMPLATE_NAMES = (
    "attempt_ref",
    "attempt_no",
    "order_id",
    "sku",
    "quantity",
    "amount_minor",
    "amount",
    "max_cost_minor",
    "max_cost",
    "max_unit_cost",
    "currency",
    "region",
    "account",
    "secret",
    "timestamp",
)
OUR_REFS = ("attempt_ref", "attempt_no", "order_id")
SUPPLIER_REF = "supplier_ref"
_COST_GUARDS = ("max_cost_minor", "max_cost", "max_unit_cost")
_PROBE_NAMES = ("account", "secret", "timestamp")
_SIGNED_NAMES = (
    "method",
    "path",
    "query",
    "timestamp",
    "account",
    "body",
    "body_md5",
    "body_sha256",
)
_AROUND_NAMES = ("secret", "account")
_FILTER = "int"
_HTTP_KEYS = (
    "preset", "base_url", "submit", "query", "collect", "probe", "callback", "answer", "errors",
    "sign", "skus", "quantity_max",
)  # fmt: skip
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SIGNS_WITH_HEADER = ("hmac_sha256", "bearer")
# Keys of `sign` that only one kind reads.
_SIGN_KEYS = {
    "field": "md5_sorted", "join": "md5_sorted", "sep": "md5_sorted", "prefix": "md5_sorted",
    "suffix": "md5_sorted", "skip_empty": "md5_sorted", "text": "hmac_sha256",
    "encoding": "hmac_sha256",
}  # fmt: skip
_OWN_KEYS = {"key_policy": "stock", "retry_url": "shop_retry", "script": "sim", "delay": "sim"}
_RESERVED = {"other": "the channels beyond the first 200", "all": "all channels together"}


def check_channel(channel: Channel, at: YamlPath, report: Report) -> None:
    """Report everything that is wrong in one channel."""
    meaning = _RESERVED.get(channel.name)
    if meaning is not None:
        message = f"{report.name((*at, 'name'))} must not be '{channel.name}'"
        report.error((*at, "name"), message, f"it stands for {meaning}")
    if report.lacks(at, "kind"):
        return
    _check_own(channel, at, report)
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
    _check_account(channel, at, report)
    _check_collect(channel, at, report)
    _check_probe(channel, at, report)
    _check_callback(channel, at, report)


def _check_own(channel: Channel, at: YamlPath, report: Report) -> None:
    """Keys of the kinds that are no supplier."""
    for key, kind in _OWN_KEYS.items():
        if channel.kind != kind and key in channel.model_fields_set:
            where: YamlPath = (*at, key)
            report.error(where, f"{report.name(where)} belongs to kind: {kind}, not {channel.kind}")
    if channel.kind == "shop_retry" and channel.retry_url is None:
        message = f"{report.name(at)} is of kind shop_retry and needs retry_url"
        report.error_missing(at, "retry_url", message, "the address that tries the delivery again")
    if channel.kind == "sim" and not channel.script:
        where = (*at, "script")
        report.error(where, f"{report.name(where)} must have at least one line")


def _check_requests(channel: Channel, at: YamlPath, report: Report) -> None:
    if channel.submit is None:
        report.error_missing(at, "submit", f"{report.name(at)} is of kind http and needs submit")
    else:
        _check_request(channel.submit, (*at, "submit"), report, TEMPLATE_NAMES)
        names = template_names(channel.submit)
        if channel.capability == "idempotent" and not {"attempt_ref", "attempt_no"} & set(names):
            hint = "without it the supplier cannot recognise a repeat"
            message = f"{report.name((*at, 'submit'))} must send {{{{ attempt_ref }}}}"
            report.error((*at, "submit"), f"{message} for capability idempotent", hint)
    if channel.query is not None:
        _check_query(channel, (*at, "query"), report)
    elif channel.capability == "queryable" and not report.lacks(at, "query"):
        report.error(
            (*at, "capability"),
            f"{report.name((*at, 'capability'))} queryable needs query",
            "say how to ask, or write capability: opaque",
        )


def _check_query(channel: Channel, at: YamlPath, report: Report) -> None:
    assert channel.query is not None
    _check_request(channel.query, at, report, (*TEMPLATE_NAMES, SUPPLIER_REF))
    names = set(template_names(channel.query))
    if names & set(OUR_REFS):
        return
    if SUPPLIER_REF not in names:
        message = f"{report.name(at)} must name the attempt with {{{{ attempt_ref }}}}"
        report.error(at, message, "else every answer is about something else")
    elif channel.capability == "queryable":
        message = f"{report.name(at)} asks by the supplier's number, which is not queryable"
        hint = "a lost answer takes the number with it; write capability: detectable or opaque"
        report.error(at, message, hint)


def _check_request(
    request: Request | Probe, at: YamlPath, report: Report, names: tuple[str, ...]
) -> None:
    if request.body_json is not None and request.form is not None:
        report.error((*at, "form"), f"{report.name(at)} has both json and form", "keep one of them")
    if request.method == "GET" and (request.body_json is not None or request.form is not None):
        report.error(at, f"{report.name(at)} is a GET and cannot have a body", "write method: POST")
    for where, text in _texts(request, at):
        for message, hint in template_problems(text, names):
            report.error(where, f"{report.name(where)} {message}", hint)
    if "secret" in [name for text in (request.url,) for name in _names_in(text)]:
        where = (*at, "url")
        message = f"{report.name(where)} must not hold the secret"
        report.error(where, message, "addresses are written to logs on the way; use the body")
    if isinstance(request, Request):
        for outcome, row in (request.answer or {}).items():
            _check_row(outcome, row, (*at, "answer", outcome), report)


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
        where: YamlPath = (*at, "answer")
        report.error(where, f"{report.name(where)} has neither delivered nor accepted")
    coded = [
        name for name in ("rejected", "refused") for table in _tables(channel) if name in table
    ]
    has_code = any(
        row.code for table in _tables(channel) for name, row in table.items() if name in coded
    )
    if channel.errors and not has_code:
        where = (*at, "errors")
        message = f"{report.name(where)} is never used: answer.rejected names no code"
        report.error(where, message, "add code: <path into the JSON answer>")
    elif coded and not channel.errors:
        where = (*at, "answer", coded[0])
        message = f"{report.name(where)}: without errors every rejection counts as unknown"
        report.warn(where, message, "list the supplier's codes under errors")


def _tables(channel: Channel) -> list[dict[str, AnswerRow]]:
    """Every answer table of a channel."""
    requests = (channel.submit, channel.query, channel.collect, channel.callback)
    own = [one.answer for one in requests if one is not None and one.answer]
    return [channel.answer or {}, *own]


def _check_row(outcome: str, row: AnswerRow, at: YamlPath, report: Report) -> None:
    if outcome in ("duplicate", "not_found", "rejected", "refused") and set(row.when) == {"http"}:
        message = f"{report.name(at)} needs a value of the body besides http"
        report.error(at, message, "a bare 404 may be a proxy's page")
    if outcome == "delivered" and row.goods is None:
        message = f"{report.name(at)} needs goods"
        report.error_missing(at, "goods", message, "the path of the keys in the JSON answer")


def _check_sign(sign: Sign, at: YamlPath, report: Report, *, needs_secret: bool = True) -> None:
    if sign.kind == "none":
        if sign.secret or sign.secret_file:
            report.error(at, f"{report.name(at)} has a secret but no kind")
        return
    has_secret = sign.secret is not None or sign.secret_file is not None
    if needs_secret and not has_secret and not report.lacks(at, "secret"):
        message = f"{report.name(at)} of kind {sign.kind} needs secret_file"
        report.error_missing(at, "secret_file", message)
    if sign.header is not None and sign.kind not in _SIGNS_WITH_HEADER:
        where = (*at, "header")
        report.error(where, f"{report.name(where)} has no meaning for kind {sign.kind}")
    for key, kind in _SIGN_KEYS.items():
        if key in sign.model_fields_set and getattr(sign, key) is not None and sign.kind != kind:
            where = (*at, key)
            report.error(where, f"{report.name(where)} has no meaning for kind {sign.kind}")
    for key, text, names in (
        ("text", sign.text, _SIGNED_NAMES),
        ("prefix", sign.prefix, _AROUND_NAMES),
        ("suffix", sign.suffix, _AROUND_NAMES),
    ):
        for message, hint in template_problems(text, names):
            where = (*at, key)
            report.error(where, f"{report.name(where)} {message}", hint)
    _check_covers(sign, at, report)


def _check_covers(sign: Sign, at: YamlPath, report: Report) -> None:
    """A signature that leaves the body or the key out proves nothing."""
    if sign.kind == "md5_sorted" and "secret" not in _names_in(sign.prefix + sign.suffix):
        where = (*at, "suffix")
        message = f"{report.name(where)}: the secret is in neither prefix nor suffix"
        report.error(where, message, 'write suffix: "{{ secret }}"')
    if sign.kind == "hmac_sha256" and not {"body", "body_md5", "body_sha256"} & set(
        _names_in(sign.text)
    ):
        where = (*at, "text")
        report.error(where, f"{report.name(where)} must hold the body or a digest of it")
    if sign.timestamp_header is None and "timestamp" in _names_in(sign.text):
        where = (*at, "text")
        message = f"{report.name(where)} signs a time that is not sent"
        report.error(where, message, "name its header with timestamp_header")


def _check_account(channel: Channel, at: YamlPath, report: Report) -> None:
    requests = (channel.submit, channel.query, channel.collect, channel.probe)
    used = any(one is not None and "account" in template_names(one) for one in requests)
    needs = used or channel.sign.account_header is not None
    if needs and channel.sign.account is None and not report.lacks((*at, "sign"), "account"):
        where = (*at, "sign")
        message = f"{report.name(where)} needs account"
        report.error(where, message, "it is the id of your account at the supplier")


def _check_collect(channel: Channel, at: YamlPath, report: Report) -> None:
    is_ready = any("ready" in table for table in _tables(channel))
    if channel.collect is not None:
        where: YamlPath = (*at, "collect")
        _check_request(channel.collect, where, report, (*TEMPLATE_NAMES, SUPPLIER_REF))
        if not is_ready:
            message = f"{report.name(where)} is never used: no answer is ready"
            report.error(where, message, "add ready: {when: …} to the answer")
    elif is_ready and not report.lacks(at, "collect"):
        message = f"{report.name(at)} has an answer that is ready and no collect"
        report.error(at, message, "name the request that fetches the goods")


def _check_probe(channel: Channel, at: YamlPath, report: Report) -> None:
    probe, submit = channel.probe, channel.submit
    if probe is None:
        return
    where: YamlPath = (*at, "probe")
    _check_request(probe, where, report, _PROBE_NAMES)
    if submit is not None and (probe.method, probe.url) == (submit.method, submit.url):
        report.error(
            where, f"{report.name(where)} is the request that buys", "a probe must buy nothing"
        )


def _check_callback(channel: Channel, at: YamlPath, report: Report) -> None:
    callback = channel.callback
    if callback is None:
        return
    where: YamlPath = (*at, "callback")
    sign = callback.sign or channel.sign
    if sign.kind == "none":
        message = f"{report.name(where)} needs sign"
        report.error(where, message, "anybody could say that an order is delivered")
    elif callback.sign is not None:
        _check_sign(callback.sign, (*where, "sign"), report, needs_secret=False)
    for outcome, row in (callback.answer or {}).items():
        _check_row(outcome, row, (*where, "answer", outcome), report)


def template_names(request: Request | Probe) -> list[str]:
    """List the names a request template uses, known or not."""
    return [name for _, text in _texts(request, ()) for name in _names_in(text)]


def _names_in(text: str) -> list[str]:
    return [found.partition("|")[0].strip() for found in _TEMPLATE.findall(text)]


def is_cost_guarded(channel: Channel) -> bool:
    """Whether the submit hands `{{ max_cost_minor }}` to the supplier, who then keeps it."""
    return channel.submit is not None and bool(
        set(_COST_GUARDS) & set(template_names(channel.submit))
    )


def is_followed(channel: Channel) -> bool:
    """Whether an accepted order can be asked about by the supplier's own number."""
    return channel.query is not None and SUPPLIER_REF in template_names(channel.query)


def template_problems(
    text: str, known: tuple[str, ...] = TEMPLATE_NAMES
) -> Iterator[tuple[str, str]]:
    """Yield (message, hint) for every `{{ … }}` that cannot be filled in."""
    for found in _TEMPLATE.findall(text):
        name, bar, filter_name = (part.strip() for part in found.partition("|"))
        if name not in known:
            hint = did_you_mean(name, known) or f"known are {', '.join(known)}"
            yield f"has the unknown template name '{name[:64]}'", hint
        elif bar and filter_name != _FILTER:
            yield f"has the unknown filter '{filter_name[:64]}'", f"the only one is {_FILTER}"
    rest = _TEMPLATE.sub("", text)
    if "{{" in rest or "}}" in rest:
        yield "has '{{' and '}}' that do not belong together", ""


def _texts(request: Request | Probe, at: YamlPath) -> Iterator[tuple[YamlPath, str]]:
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
