"""Chat robots answer HTTP 200 to everything; a number in the body says what happened."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from monitor.adapters.http_client import HttpAnswer
from monitor.adapters.json_answer import read_json
from monitor.model.errors import Permanent, Transient, UnknownOutcome


def check_code(
    answer: HttpAnswer,
    field: str,
    who: str,
    *,
    wait_ms: Mapping[int, int],
    hints: Mapping[int, str],
) -> None:
    """Return if `field` of the JSON answer is 0 and raise what any other number means.

    Codes in `wait_ms` pass with time, all others are refusals; `hints` say what to do about them.
    """
    code = _code(answer.body, field)
    if code is None:
        raise UnknownOutcome(f"{who}: the answer is not a robot's")
    if code in wait_ms:
        raise Transient(f"{who}: {field} {code}", retry_after_ms=wait_ms[code])
    if code != 0:
        hint = hints.get(code, f"look {field} {code} up in the robot's documentation")
        raise Permanent(f"{who}: {field} {code}", code=f"{field}_{code}", hint=hint)


def _code(body: bytes, field: str) -> int | None:
    """Read an integer from a JSON object; None for anything else."""
    fields = read_json(body, dict[str, msgspec.Raw]) or {}
    return read_json(bytes(fields.get(field, b"")), int)
