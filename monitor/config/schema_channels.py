"""`channels:` of `monitor.yaml`: who delivers, and how a supplier's API is spoken to.

One model serves all kinds, so that a key of the wrong kind is named as such by
`monitor/config/check_channels.py` instead of being unknown.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from monitor.config.values import (
    FEW,
    TEXT_MAX,
    ConfigModel,
    Money,
    Name,
    Span,
    TemplateUrl,
    Text,
    Url,
    Weight,
    keys_of,
    one_of,
)
from monitor.model.endpoints import REQUEST_MS_MAX
from monitor.model.times import MINUTE_MS, SECOND_MS, format_duration

OUTCOMES = (
    "delivered", "accepted", "ready", "duplicate", "not_found", "rejected", "refused",
)  # fmt: skip
KINDS = ("external", "http", "stock", "manual", "shop_retry", "sim")
SIM_LINES = ("delivered", "accepted", "rejected", "lost", "unknown")
_SCALARS = (str, int, float, bool)


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _path(value: str) -> str:
    if any(not part or part != part.strip() for part in value.split(".")):
        raise ValueError("must be a path into the JSON answer such as order.status")
    return value


def _conditions(value: dict[str, Any]) -> dict[str, Any]:
    if not value:
        raise ValueError("must name at least one value of the answer")
    for key, wanted in value.items():
        _path(key)
        accepted = wanted if isinstance(wanted, list) else [wanted]
        if not accepted or not all(isinstance(item, _SCALARS) for item in accepted):
            raise ValueError(f"must give a value or a list of values for '{key[:64]}'")
        if key == "http" and not all(_is_status(item) for item in accepted):
            raise ValueError("must give http a status between 100 and 599, or a list of them")
    return value


def _is_status(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and 100 <= item <= 599


def _timeout(value: int) -> int:
    if value > REQUEST_MS_MAX:
        raise ValueError(f"must be at most {format_duration(REQUEST_MS_MAX)}")
    return value


AnswerPath = Annotated[str, AfterValidator(_path)]


Method = Annotated[str, one_of("GET", "POST", "PUT", "PATCH"), BeforeValidator(_upper)]


def _lines(value: str) -> str:
    if len(value) > TEXT_MAX or not value.replace("\n", "").isprintable():
        raise ValueError(f"must be at most {TEXT_MAX} printable characters and line breaks")
    return value


def _decimals(value: int) -> int:
    if not 0 <= value <= 4:
        raise ValueError("must be between 0 and 4")
    return value


def _quantity(value: int) -> int:
    if not 1 <= value <= 1_000:
        raise ValueError("must be between 1 and 1000")
    return value


def _sku(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise ValueError("must be the supplier's name or number of the goods")
    return value


Lines = Annotated[str, AfterValidator(_lines)]
SimLine = Annotated[str, one_of(*SIM_LINES)]
KeyPolicy = Annotated[str, one_of("unique", "shared")]
Sku = Annotated[Any, AfterValidator(_sku)]


class AnswerRow(ConfigModel):
    """When an answer means this outcome, and where in it the interesting values are."""

    when: Annotated[dict[str, Any], AfterValidator(_conditions), FEW]
    goods: AnswerPath | None = None
    split: Annotated[str, one_of("none", "lines")] = "none"
    not_goods: Annotated[list[Text], FEW] = []
    supplier_ref: AnswerPath | None = None
    code: AnswerPath | None = None
    cost: AnswerPath | None = None
    cost_decimals: Annotated[int, AfterValidator(_decimals)] = 0


AnswerTable = Annotated[dict[str, AnswerRow], keys_of(*OUTCOMES)]


class Request(ConfigModel):
    """One request template; text may hold `{{ attempt_ref }}` and the other template names."""

    method: Method = "POST"
    url: TemplateUrl
    headers: Annotated[dict[str, Text], FEW] = {}
    body_json: Any = Field(default=None, alias="json")
    form: Annotated[dict[str, Text], FEW] | None = None
    timeout: Annotated[Span, AfterValidator(_timeout)] = 10 * SECOND_MS
    answer: AnswerTable | None = None


class Query(Request):
    """A request that asks and changes nothing."""

    method: Method = "GET"


class Probe(ConfigModel):
    """A request that asks for nothing that is sold; `balance` is the path of what is left."""

    method: Method = "GET"
    url: TemplateUrl
    headers: Annotated[dict[str, Text], FEW] = {}
    body_json: Any = Field(default=None, alias="json")
    form: Annotated[dict[str, Text], FEW] | None = None
    timeout: Annotated[Span, AfterValidator(_timeout)] = 10 * SECOND_MS
    when: Annotated[dict[str, Any], AfterValidator(_conditions), FEW]
    balance: AnswerPath | None = None


class ErrorRow(ConfigModel):
    """What one error code of the supplier means."""

    retry: Annotated[str, one_of("same", "other", "never")] = "other"
    blame: Annotated[str, one_of("channel", "order", "us")] = "channel"


class Sign(ConfigModel):
    """How requests prove who they are from."""

    kind: Annotated[
        str, one_of("none", "bearer", "md5_sorted", "hmac_sha256", "standard_webhooks")
    ] = "none"
    header: Name | None = None
    field: Name | None = None
    secret: Text | None = None
    secret_file: Text | None = None
    account: Text | None = None
    account_header: Name | None = None
    timestamp_header: Name | None = None
    join: Annotated[str, one_of("k=v", "kv", "v")] = "k=v"
    sep: Lines = "&"
    prefix: Lines = ""
    suffix: Lines = "{{ secret }}"
    skip_empty: bool = True
    text: Lines = "{{ body }}"
    encoding: Annotated[str, one_of("hex", "base64")] = "hex"


class Callback(ConfigModel):
    """What the supplier tells `POST /hooks/channels/<name>`: proof, whom it is about, meaning."""

    ref: AnswerPath
    sign: Sign | None = None
    answer: AnswerTable | None = None
    reply: Any = None


class Channel(ConfigModel):
    """One way to deliver; the keys from `submit` on belong to `kind: http`."""

    name: Name
    kind: Annotated[str, one_of(*KINDS)] = "external"
    weight: Weight | None = None
    capability: Annotated[str, one_of("idempotent", "queryable", "detectable", "opaque")] | None = (
        None
    )
    settle: Span = 10 * MINUTE_MS
    max_cost_minor: Money | None = None
    key_policy: Annotated[dict[Text, KeyPolicy], FEW] = {}
    retry_url: Url | None = None
    script: Annotated[list[SimLine], FEW] = ["delivered"]
    delay: Annotated[Span, AfterValidator(_timeout)] | None = None
    preset: Text | None = None
    base_url: Url | None = None
    submit: Request | None = None
    query: Query | None = None
    collect: Query | None = None
    probe: Probe | None = None
    callback: Callback | None = None
    answer: AnswerTable | None = None
    errors: Annotated[dict[Text, ErrorRow], FEW] = {}
    sign: Sign = Sign()
    skus: Annotated[dict[Text, Sku], FEW] = {}
    quantity_max: Annotated[int, AfterValidator(_quantity)] | None = None
