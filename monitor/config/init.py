"""What `init` asks and the commented `monitor.yaml` it writes; pure text, the files are the CLI's.

Secrets never stand in the file: `key_files` names the files beside it and what each must hold.
"""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from monitor.config.schema import LANGUAGES
from monitor.config.values import Currency, Listen, Name, Span, Url
from monitor.model.errors import InputError
from monitor.model.secret import Secret

KEYS_FOLDER = "keys"


class Question(msgspec.Struct, frozen=True):
    """One question. `key` names the answer; an empty answer means `default`.

    `is_optional`: empty stays empty and leaves the feature out. `is_secret`: do not echo it.
    """

    key: str
    zh: str
    en: str
    default: str = ""
    is_optional: bool = False
    is_secret: bool = False

    def text(self, language: str) -> str:
        """The question in the language of the answers so far."""
        return self.en if language == "en" else self.zh


QUESTIONS: tuple[Question, ...] = (
    Question("language", "语言 / language (zh-CN, en)", "Language / 语言 (zh-CN, en)", "zh-CN"),
    Question("timezone", "店铺所在时区", "Time zone of the shop", "Asia/Shanghai"),
    Question("currency", "币种（三个字母）", "Currency (three letters)", "CNY"),
    Question(
        "source", "店铺名称（字母、数字、-）", "Name of the shop (letters, digits, -)", "main-shop"
    ),
    Question(
        "promise", "付款后多久必须发货", "Time within which a paid order must be delivered", "3m"
    ),
    Question("listen", "监听地址", "Address to listen on", "127.0.0.1:8080"),
    Question(
        "dingtalk_url",
        "钉钉机器人 Webhook 地址（可留空）",
        "Webhook URL of a DingTalk robot (may stay empty)",
        is_optional=True,
        is_secret=True,
    ),
    Question(
        "dingtalk_secret",
        "钉钉机器人加签密钥 SEC…（可留空）",
        "Signing secret SEC… of that robot (may stay empty)",
        is_optional=True,
        is_secret=True,
    ),
    Question(
        "webhook_url",
        "接收告警的 Webhook 地址（可留空）",
        "URL that receives alerts as a signed webhook (may stay empty)",
        is_optional=True,
    ),
    Question(
        "failover_url",
        "店铺切换发货渠道的地址（可留空；不写 enforce 就不会切换）",
        "URL at which the shop switches channels (may stay empty; nothing switches before enforce)",
        is_optional=True,
    ),
)


class KeyFile(msgspec.Struct, frozen=True):
    """A file to write with mode 0600, `path` relative to `monitor.yaml`.

    `kind`: api_key (make a random `dm_…`), webhook_secret (make a random `whsec_…`) or given
    (write `content`).
    """

    path: str
    kind: str
    content: Secret | None = None


def answer_problem(key: str, text: str) -> str:
    """Say what is wrong with one answer, or return an empty string."""
    question = next(question for question in QUESTIONS if question.key == key)
    answer = text.strip() or question.default
    if not answer and question.is_optional:
        return ""
    try:
        _CHECKS[key](answer)
    except ValidationError as error:
        return error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
    except ValueError as error:
        return str(error)
    return ""


def render_config(answers: Mapping[str, str], *, has_source: bool = True) -> str:
    """Write the commented `monitor.yaml`; missing answers take the defaults.

    Without `has_source` its list of sources is still to be filled, and no key of one is needed.

    Raises: InputError whose pointer is the key of the first bad answer.
    """
    given = _complete(answers)
    is_zh = given["language"] != "en"
    lines: list[str] = []
    for zh, en, text in _sections(given, has_source=has_source):
        lines += [f"# {zh if is_zh else en}", text, ""]
    return "\n".join(lines)


def key_files(answers: Mapping[str, str]) -> tuple[KeyFile, ...]:
    """List the files that the rendered configuration refers to.

    Raises: InputError as `render_config`.
    """
    given = _complete(answers)
    files = [KeyFile(f"{KEYS_FOLDER}/{given['source']}.key", "api_key")]
    for key in ("dingtalk_url", "dingtalk_secret"):
        if given["dingtalk_url"] and given[key]:
            path = f"{KEYS_FOLDER}/{key.replace('_', '.')}"
            files.append(KeyFile(path, "given", Secret(given[key])))
    if given["webhook_url"]:
        files.append(KeyFile(f"{KEYS_FOLDER}/webhook.secret", "webhook_secret"))
    if given["failover_url"]:
        files.append(KeyFile(f"{KEYS_FOLDER}/failover.secret", "webhook_secret"))
    return tuple(files)


def _complete(answers: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for question in QUESTIONS:
        text = answers.get(question.key, "").strip()
        if problem := answer_problem(question.key, text):
            raise InputError(f"{question.key} {problem}", pointer=f"/{question.key}")
        given[question.key] = text or question.default
    return given


def _sections(given: Mapping[str, str], *, has_source: bool) -> list[tuple[str, str, str]]:
    """Chinese comment, English comment, YAML."""
    sections = [
        (
            "Delivery Monitor 配置。默认只观察和通知，不切换、不花钱、不发货。",
            "Delivery Monitor. Out of the box it only watches and tells; nothing is switched or spent.",
            "preset: small-shop",
        ),
        ("消息和页面的语言", "Language of messages and pages", f"language: {given['language']}"),
        ("时区与币种", "Time zone and currency", _pairs(given, "timezone", "currency")),
        ("监听地址", "Where the service listens", f"listen: {_quoted(given['listen'])}"),
        (
            "数据目录（相对于启动目录）",
            "Data directory, relative to where the service is started",
            "data_dir: ./data",
        ),
        (
            "承诺的发货时间；超过即为延迟",
            "Time within which an order should be delivered; later is late",
            f"promise: {{default: {given['promise']}}}",
        ),
        (
            "店铺及其 API 密钥；密钥只放在文件里",
            "The shop and its API key; keys stand in files only",
            _sources(given["source"]) if has_source else "sources:",
        ),
        (
            "发货渠道；external 表示店铺自己发货",
            "Delivery channels; external means the shop delivers itself",
            "channels:\n  - {name: auto, kind: external}",
        ),
        (
            "渠道切换：observe 只记录，advise 只建议，enforce 才执行",
            "Switching of channels: observe records, advise tells, enforce does",
            _failover(given),
        ),
        (
            "兜底发货：改为 enforce 之前不会接管任何订单",
            "Rescue of stuck orders: nothing is taken over before enforce",
            "fallback: {mode: observe}",
        ),
    ]
    if receivers := _receivers(given):
        sections.append(("告警发给谁", "Who is told", receivers))
    return sections


def _pairs(given: Mapping[str, str], *keys: str) -> str:
    return "\n".join(f"{key}: {_quoted(given[key])}" for key in keys)


def _sources(name: str) -> str:
    key_file = _quoted(f"{KEYS_FOLDER}/{name}.key")
    return f"sources:\n  - name: {_quoted(name)}\n    api_key_file: {key_file}"


def _failover(given: Mapping[str, str]) -> str:
    if not given["failover_url"]:
        return "failover: {mode: observe}"
    return (
        "failover:\n  mode: observe\n  webhook:\n"
        f"    url: {_quoted(given['failover_url'])}\n"
        f"    secret_file: {KEYS_FOLDER}/failover.secret"
    )


def _receivers(given: Mapping[str, str]) -> str:
    integrations: list[str] = []
    if given["dingtalk_url"]:
        integrations += ["      dingtalk:", f"        - url_file: {KEYS_FOLDER}/dingtalk.url"]
        if given["dingtalk_secret"]:
            integrations.append(f"          secret_file: {KEYS_FOLDER}/dingtalk.secret")
    if given["webhook_url"]:
        integrations += ["      webhook:", f"        - url: {_quoted(given['webhook_url'])}"]
        integrations.append(f"          secret_file: {KEYS_FOLDER}/webhook.secret")
    if not integrations:
        return ""
    head = ["notify:", "  route: {receiver: ops}", "  receivers:", "    - name: ops"]
    return "\n".join([*head, *integrations])


def _quoted(text: str) -> str:
    """A JSON string is a YAML string whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def _check_language(text: str) -> None:
    if text not in LANGUAGES:
        raise ValueError(f"must be {' or '.join(LANGUAGES)}")


def _check_zone(text: str) -> None:
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as Asia/Shanghai or UTC") from None


def _check_line(text: str) -> None:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")


def _like(kind: Any) -> Callable[[str], object]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter.validate_python


_CHECKS: dict[str, Callable[[str], object]] = {
    "language": _check_language,
    "timezone": _check_zone,
    "currency": _like(Currency),
    "source": _like(Name),
    "promise": _like(Span),
    "listen": _like(Listen),
    "dingtalk_url": _like(Url),
    "dingtalk_secret": _check_line,
    "webhook_url": _like(Url),
    "failover_url": _like(Url),
}
