"""The kinds of values `monitor.yaml` is made of; each validator's message completes "<key> …".

No message repeats the value: it may be a secret that was pasted into the wrong line.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, model_validator

from monitor.config.fields import Duration, StrictModel
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS

DURATION_MAX_MS = 3650 * DAY_MS
MONEY_MAX_MINOR = 10**15
TEXT_MAX = 4_096
NAME_MAX = 64
PLACES_MAX = 20_000  # of connections: each may hold a megabyte while it is read
FILES_MAX = 10  # secrets in force at once; a rotation needs two
ITEMS_MAX = 200  # of any list or table in the file; contract §2 keeps at most 200 channels apart

_PREFIX = re.compile(r"[A-Za-z0-9_]{0,32}")
_NAME = re.compile(r"[^\s/\\{}\"',;:#?%*\[\]]+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
DEFAULT_PORTS = {"http": 80, "https": 443}


class ConfigModel(StrictModel):
    """A mapping of `monitor.yaml`; a known key without a value means its default."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: item
            for key, item in value.items()
            if item is not None or key not in cls.model_fields
        }


def one_of(*words: str) -> AfterValidator:
    """Accept one of a few words, else name them all and the closest."""

    def check(value: str) -> str:
        if value in words:
            return value
        hint = did_you_mean(value, words)
        raise ValueError(f"must be {_listed(words)}" + (f"; {hint}" if hint else ""))

    return AfterValidator(check)


def keys_of(*words: str) -> AfterValidator:
    """Accept a table whose keys are among a few words."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        for key in value:
            if key not in words:
                hint = did_you_mean(key, words) or f"known are {_listed(words)}"
                raise ValueError(f"has the unknown key '{key[:NAME_MAX]}'; {hint}")
        return value

    return AfterValidator(check)


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _few(value: Any) -> Any:
    if len(value) > ITEMS_MAX:
        raise ValueError(f"has more than {ITEMS_MAX} entries")
    return value


FEW = AfterValidator(_few)


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if len(value) > TEXT_MAX:
        raise ValueError(f"is longer than {TEXT_MAX} characters")
    if not value.isprintable():
        raise ValueError("must not contain characters that cannot be printed")
    return value


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or not value.isprintable() or len(value) > NAME_MAX:
        raise ValueError(
            f"must be 1 to {NAME_MAX} letters, digits, '-', '_' or '.', without spaces"
        )
    return value


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("must be at most 32 letters, digits or '_'; write for example acg_")
    return value


def _short(value: object) -> object:
    # Longer digits overflow a float; nobody's duration is that long.
    if isinstance(value, str) and len(value) > 24:
        raise ValueError("is not a duration; write for example 500ms, 60s, 3m, 6h, 30d")
    return value


def _span(value: int) -> int:
    if not 0 < value <= DURATION_MAX_MS:
        raise ValueError("must be longer than 0 and at most 3650d")
    return value


def _from_digits(value: object) -> object:
    """Read `${env:…}`, which is always text, as the number it holds."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _files(value: list[str]) -> list[str]:
    if not 1 <= len(value) <= FILES_MAX:
        raise ValueError(f"must name 1 to {FILES_MAX} files")
    return value


def _from_words(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _count(value: int) -> int:
    if not 0 <= value <= 1_000_000:
        raise ValueError("must be between 0 and 1000000")
    return value


def _places(value: int) -> int:
    if not 1 <= value <= PLACES_MAX:
        raise ValueError(f"must be between 1 and {PLACES_MAX}")
    return value


def _quota(value: int) -> int:
    if not 1 <= value <= 1_000_000:
        raise ValueError("must be between 1 and 1000000")
    return value


def _weight(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError("must be between 0 and 100")
    return value


def _money(value: int) -> int:
    if not 0 <= value <= MONEY_MAX_MINOR:
        raise ValueError(f"must be between 0 and {MONEY_MAX_MINOR} minor units")
    return value


def _currency(value: str) -> str:
    if not _CURRENCY.fullmatch(value):
        raise ValueError("must be a three-letter code such as CNY, EUR, USD")
    return value


def split_url(url: str) -> SplitResult:
    """Split an http(s) URL, templates kept; Raises: ValueError saying what is wrong with it."""
    masked = _TEMPLATE.sub("x", url)
    try:
        parts = urlsplit(masked)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL; write for example https://shop.example/hook") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if not parts.hostname or not _is_host(parts.hostname) or port == 0:
        raise ValueError("names no valid host")
    if re.search(r"\s", masked):
        raise ValueError("must not contain spaces")
    return parts


def host_port(url: str) -> str:
    """Name the `host:port` a valid URL leads to, the port of the scheme if it names none."""
    parts = split_url(url)
    host = parts.hostname or ""
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_host(host: str) -> bool:
    if ":" in host:
        return _is_ip(host)
    return len(host) <= 253 and (_HOST.fullmatch(host) is not None or not host.isascii())


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _url(value: str) -> str:
    if "{{" in value:
        raise ValueError("must not contain a template")
    split_url(value)
    return value


def _template_url(value: str) -> str:
    split_url(value)
    authority = re.split(r"[/?#]", value.partition("://")[2], maxsplit=1)[0]
    if "{{" in authority:
        raise ValueError("must not have a template in its host")
    return value


def split_listen(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:8080`, `[::1]:8080` or `:8080` (all addresses).

    Raises: ValueError naming the accepted form.
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    if not colon or not is_number or int(port) > 65_535:
        raise ValueError("must be host:port such as 127.0.0.1:8080")
    if ":" in bare and (bare == host or not _is_ip(bare)):
        raise ValueError("must write an IPv6 address in brackets, such as [::1]:8080")
    if bare and not _is_host(bare):
        raise ValueError("must be host:port such as 127.0.0.1:8080")
    return bare or "0.0.0.0", int(port)  # noqa: S104 - what `:8080` means everywhere


def _listen(value: str) -> str:
    split_listen(value)
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8") from None
    raise ValueError(f"is an address inside a network; did you mean '{wider}'?")


def _host_name(value: str) -> str:
    if not _is_host(value):
        raise ValueError("must be a host name without scheme, port or path")
    return value.lower()


Text = Annotated[str, AfterValidator(_text), BeforeValidator(_number_as_text)]
Files = Annotated[list[Text], AfterValidator(_files), BeforeValidator(_as_list)]
Name = Annotated[str, AfterValidator(_name), BeforeValidator(_number_as_text)]
Prefix = Annotated[str, AfterValidator(_prefix)]  # of tables; may be empty
Span = Annotated[Duration, BeforeValidator(_short), AfterValidator(_span)]
Spans = Annotated[dict[str, Span], FEW]
Count = Annotated[int, BeforeValidator(_from_digits), AfterValidator(_count)]
Money = Annotated[int, BeforeValidator(_from_digits), AfterValidator(_money)]
Places = Annotated[int, BeforeValidator(_from_digits), AfterValidator(_places)]
Quota = Annotated[int, BeforeValidator(_from_digits), AfterValidator(_quota)]
Weight = Annotated[int, BeforeValidator(_from_digits), AfterValidator(_weight)]
Flag = Annotated[bool, BeforeValidator(_from_words)]
Currency = Annotated[str, AfterValidator(_currency)]
Url = Annotated[str, AfterValidator(_text), AfterValidator(_url)]
TemplateUrl = Annotated[str, AfterValidator(_text), AfterValidator(_template_url)]
Listen = Annotated[str, AfterValidator(_listen)]
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]
Mode = Annotated[str, one_of("observe", "advise", "enforce")]
