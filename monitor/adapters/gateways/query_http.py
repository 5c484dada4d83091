"""One question to a gateway over HTTP, with an answer in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.adapters.gateways.fields import read_json
from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.model.errors import EffectError, SourceError

TIMEOUT_MS = 8_000


async def asked(
    client: HttpClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> HttpAnswer:
    """The answer, whatever its status. Raises: SourceError that names host and port only."""
    try:
        return await client.request(method, url, headers=headers, body=body, timeout_ms=TIMEOUT_MS)
    except EffectError as error:
        raise SourceError(f"the gateway cannot be asked: {error}") from None


def object_of(answer: HttpAnswer) -> dict[str, Any]:
    """The JSON object of an answer, its numbers as texts. Raises: SourceError if it is none."""
    found = read_json(answer.body)
    if not isinstance(found, dict):
        raise SourceError(f"the gateway answers {answer.status} and no JSON object")
    return found


def text_of(found: Mapping[str, Any], name: str) -> str:
    """A text or number of an answer as text; empty if it is neither."""
    value = found.get(name)
    return value if isinstance(value, str) else ""
