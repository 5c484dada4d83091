"""Posting one of our events, signed, and reading the status line as an outcome.

2xx                      done
429, 503, 408, 425       certainly not done; come back when the peer says (Retry-After)
other 5xx                not done or done: harmless to repeat where the receiver knows our id
3xx, other 4xx           refused for good; 410 means "never again"
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.signing import webhook_headers
from monitor.model.effects import CallWebhook, Notify, SwitchChannel
from monitor.model.endpoints import Endpoint
from monitor.model.errors import Permanent, Transient, UnknownOutcome
from monitor.model.secret import Secret
from monitor.model.times import HOUR_MS, SECOND_MS, format_rfc3339, from_datetime

POST_TIMEOUT_MS = 10_000
RETRY_AFTER_MS_MAX = HOUR_MS  # a peer may slow us down, not silence us

_BUSY = (408, 425, 429, 503)


def event_body(event_type: str, at_ms: int, payload: msgspec.Raw) -> bytes:
    """Write `{"type","timestamp","data"}`; the same event gives the same bytes on every repeat."""
    return msgspec.json.encode(
        {"type": event_type, "timestamp": format_rfc3339(at_ms), "data": payload}
    )


async def post_signed(
    client: HttpClient,
    url: str,
    secret: Secret | None,
    *,
    key: str,
    body: bytes,
    now_ms: int,
    headers: dict[str, str] | None = None,
) -> HttpAnswer:
    """POST JSON with Standard Webhooks headers (without a secret: unsigned); any status returns.

    Raises: Transient, Permanent, UnknownOutcome as the client does.
    """
    signed = webhook_headers(secret, key, now_ms, body) if secret is not None else {}
    return await client.request(
        "POST",
        url,
        headers={"Content-Type": "application/json", **signed, **(headers or {})},
        body=body,
        timeout_ms=POST_TIMEOUT_MS,
    )


async def post_event(
    client: HttpClient, endpoint: Endpoint, event: Notify | CallWebhook | SwitchChannel, now_ms: int
) -> HttpAnswer:
    """Post an event to a receiver that recognises repeats by `webhook-id`; returns for 2xx only.

    The id is the effect's key, the header's time that of this attempt.
    """
    event_type = "channel.switch" if isinstance(event, SwitchChannel) else event.event_type
    body = event_body(event_type, event.at_ms, event.payload)
    answer = await post_signed(
        client, endpoint.url.reveal(), endpoint.secret, key=event.key, body=body, now_ms=now_ms
    )
    check_status(answer, endpoint.name, now_ms, is_repeat_known=True)
    return answer


def check_status(answer: HttpAnswer, who: str, now_ms: int, *, is_repeat_known: bool) -> None:
    """Return for 2xx and raise what any other status means; `who` names the peer in messages.

    `is_repeat_known`: the receiver recognises a repeat, so a 5xx may simply be sent again.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    if status in _BUSY:
        raise Transient(
            f"{who} is busy (HTTP {status})",
            retry_after_ms=retry_after_ms(answer.headers.get("retry-after"), now_ms),
        )
    if status >= 500 and is_repeat_known:
        raise Transient(f"{who} failed (HTTP {status})")
    if status >= 500:
        raise UnknownOutcome(f"{who} failed (HTTP {status})")
    if status == 410:
        raise Permanent(
            f"{who} is gone (HTTP 410)", code="gone", hint="remove the URL from monitor.yaml"
        )
    if 300 <= status < 400:
        raise Permanent(
            f"{who} redirects (HTTP {status})",
            code="redirected",
            hint="write the final URL into monitor.yaml; redirects are never followed",
        )
    raise Permanent(
        f"{who} refused (HTTP {status})",
        code="refused",
        hint="check URL and secret in monitor.yaml and the receiver's log",
    )


def retry_after_ms(text: str | None, now_ms: int) -> int | None:
    """Read a Retry-After header, seconds or a date, as milliseconds from now, at most an hour."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text) * SECOND_MS, RETRY_AFTER_MS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    wait_ms = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now_ms
    return max(0, min(wait_ms, RETRY_AFTER_MS_MAX))
