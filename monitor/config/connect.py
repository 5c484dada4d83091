"""What `connect` asks for a kind of shop, and what comes of the answers: an entry and key files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace
from pydantic import ValidationError

from monitor.config.init import KEYS_FOLDER, QUESTIONS, KeyFile, Question, answer_problem
from monitor.config.schema import Source
from monitor.model.endpoints import ApiAccess, DatabaseAccess, ShopSource
from monitor.model.secret import Secret
from monitor.model.shops import ShopKind

LANGUAGE = QUESTIONS[0]  # of a file that is begun

_NAME = Question("name", "店铺名称（字母、数字、-）", "Name of the shop (letters, digits, -)")
_DATABASE_URL = Question(
    "database_url",
    "数据库地址（只读用户）",
    "Address of its database, for a user that may only read",
)
_DATABASE_PASSWORD = Question(
    "database_password",
    "该数据库用户的密码（可留空）",
    "Password of that user (may stay empty)",
    is_optional=True,
    is_secret=True,
)
_TIMEZONE = Question("timezone", "店铺所在时区", "Time zone of the shop")
_PREFIX = Question("database_prefix", "数据表前缀", "Prefix of its tables", is_optional=True)
_API_URL = Question(
    "api_url",
    "店铺地址，用于接口补查（可留空）",
    "Address of the shop, for its API (may stay empty)",
    is_optional=True,
)
_API_KEY = Question(
    "api_key",
    "接口密钥（可留空：不补查丢失的通知）",
    "Key of its API (may stay empty: then lost webhooks are not made up for)",
    is_optional=True,
    is_secret=True,
)
_API_SECRET = Question(
    "api_secret",
    "接口密钥的 secret（可留空）",
    "Secret of that key (may stay empty)",
    is_optional=True,
    is_secret=True,
)
_SECRET = Question(
    "secret", "通知的签名密钥，见 {where}", "Secret of its webhooks, see {where}", is_secret=True
)


class Plan(msgspec.Struct, frozen=True):
    """The entry of `sources` in monitor.yaml, the files beside it that it names, and what they mean."""

    entry: dict[str, Any]
    files: tuple[KeyFile, ...]
    source: ShopSource


def questions_for(kind: ShopKind) -> tuple[Question, ...]:
    """What must be known to connect a shop of this kind, in the order in which it is asked."""
    asked = [replace(_NAME, default=kind.kind)]
    if kind.is_read:
        url = f"mysql://reader@127.0.0.1:3306/{kind.kind.replace('-', '_')}"
        asked += [replace(_DATABASE_URL, default=url), _DATABASE_PASSWORD]
        asked.append(replace(_TIMEZONE, default=kind.timezone))
        if kind.prefix is not None:
            asked.append(replace(_PREFIX, default=kind.prefix))
    if kind.is_asked:
        asked += [_API_URL, _API_KEY, _API_SECRET]
    if kind.secret_at is not None:
        where = kind.secret_at
        asked.append(
            replace(
                _SECRET,
                zh=_SECRET.zh.format(where=where),
                en=_SECRET.en.format(where=where),
                is_optional=kind.is_read or not kind.is_secret_needed,
            )
        )
    return tuple(asked)


def problem_of(question: Question, written: str) -> str:
    """Say what is wrong with one answer, or return an empty string."""
    if question is LANGUAGE:
        return answer_problem(question.key, written)
    answer = written.strip() or question.default
    if not answer:
        return "" if question.is_optional else "must not be empty"
    if not answer.isprintable():
        return "must be one line of printable text"
    parts: dict[str, dict[str, Any]] = {
        "name": {"name": answer},
        "timezone": {"timezone": answer},
        "database_url": {"database": {"url": answer}},
        "api_url": {"api": {"url": answer}},
    }
    try:
        Source.model_validate({"name": "shop"} | parts.get(question.key, {}))
    except ValidationError as error:
        return error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
    return ""


def plan_for(kind: ShopKind, answers: Mapping[str, str], currency: str) -> Plan:
    """Put the entry together from answers that are complete and good."""
    name = answers["name"]
    writer = _Writer(name)
    entry: dict[str, Any] = {"name": name, "kind": kind.kind}
    source = ShopSource(
        name, kind.kind, timezone=answers.get("timezone") or None, currency=currency
    )
    if url := answers.get("database_url"):
        password = answers.get("database_password", "")
        entry["database"] = {"url": url} | writer.file("password_file", "database", password)
        if prefix := answers.get("database_prefix"):
            entry["database"]["prefix"] = prefix
        entry["timezone"] = answers["timezone"]
        access = DatabaseAccess(url, Secret(password) if password else None, prefix=prefix or None)
        source = replace(source, database=access)
    if key := answers.get("api_key"):
        url, secret = answers.get("api_url", ""), answers.get("api_secret", "")
        entry["api"] = {"url": url} if url else {}
        entry["api"] |= writer.file("key_file", "api-key", key)
        entry["api"] |= writer.file("secret_file", "api-secret", secret)
        api = ApiAccess(url or None, Secret(key), Secret(secret) if secret else None)
        source = replace(source, api=api)
    entry |= writer.file("secret_file", "secret", answers.get("secret", ""))
    return Plan(entry, tuple(writer.files), source)


class _Writer:
    """Puts secrets into files named after the shop."""

    def __init__(self, name: str) -> None:
        self.files: list[KeyFile] = []
        self._name = name

    def file(self, key: str, suffix: str, content: str) -> dict[str, str]:
        """The key of the entry that names the file; nothing without a content."""
        if not content:
            return {}
        path = f"{KEYS_FOLDER}/{self._name}.{suffix}"
        self.files.append(KeyFile(path, "given", Secret(content)))
        return {key: path}
