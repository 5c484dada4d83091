"""Reading query parameters: each with its limits, and a 400 that names the wrong one."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_duration, from_datetime, parse_duration, parse_rfc3339

TEXT_MAX = 200
DIGITS_MAX = 9


def text(request: web.Request, name: str) -> str | None:
    """Return a parameter of at most 200 characters; None where it is absent or empty.

    Raises: InputError.
    """
    value = request.query.get(name) or None
    if value is not None and len(value) > TEXT_MAX:
        raise wrong(name, f"must have at most {TEXT_MAX} characters")
    return value


def choice(request: web.Request, name: str, choices: Iterable[str]) -> str | None:
    """Return a parameter that is one of the choices; None where it is absent.

    Raises: InputError with the choices, and the closest one.
    """
    value = text(request, name)
    known = list(choices)
    if value is None or value in known:
        return value
    hint = did_you_mean(value, known)
    raise wrong(name, f"must be one of {', '.join(known)}", hint=hint)


def whole_number(request: web.Request, name: str, *, default: int, low: int, high: int) -> int:
    """Return a whole number between `low` and `high`, both allowed.

    Raises: InputError.
    """
    value = text(request, name)
    if value is None:
        return default
    is_number = value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX
    if not is_number or not low <= int(value) <= high:
        raise wrong(name, f"must be a whole number from {low} to {high}")
    return int(value)


def duration(request: web.Request, name: str, *, default_ms: int, high_ms: int) -> int:
    """Return a duration such as `15m` in milliseconds, at least 1 s and at most `high_ms`.

    Raises: InputError.
    """
    value = text(request, name)
    if value is None:
        return min(default_ms, high_ms)
    try:
        found_ms = parse_duration(value)
    except (ValueError, OverflowError):
        raise wrong(name, "must be a duration such as 60s, 15m or 6h") from None
    if not 1_000 <= found_ms <= high_ms:
        longest = format_duration(high_ms)
        raise wrong(name, f"must be at least 1s and at most {longest}, which memory holds")
    return found_ms


def instant(request: web.Request, name: str) -> int | None:
    """Return an RFC 3339 time with its zone as UTC milliseconds; None where it is absent.

    A `+` that nobody encoded arrives as a space.

    Raises: InputError.
    """
    value = text(request, name)
    if value is None:
        return None
    head, _, zone = value.rpartition(" ")
    try:
        moment = parse_rfc3339(f"{head}+{zone}" if "T" in head else value)
        if moment.tzinfo is None:
            raise wrong(name, "must name its zone, for example 2026-01-05T02:00:00Z")
        return from_datetime(moment)
    except (ValueError, OverflowError):
        raise wrong(name, "must be a time such as 2026-01-05T02:00:00Z") from None


def wrong(name: str, detail: str, *, hint: str = "") -> InputError:
    """Build the error of one parameter; its value is not repeated."""
    return InputError(f"{name} {detail}", code="bad_query", hint=hint, pointer=f"/query/{name}")
