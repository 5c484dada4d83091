"""Requests that several test files send to the decoder."""

import json
from collections.abc import Collection
from typing import Any

from monitor.api.decode import DecodeContext, Decoded, decode
from monitor.model.settings import SourceSettings

JSON = "application/json"
CLOUD = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"

RECEIVED_MS = 1_767_578_460_000  # 2026-01-05T02:01:00Z
TIME = "2026-01-05T02:00:00Z"
TIME_MS = 1_767_578_400_000

SHOP = SourceSettings(name="shop", timezone="Asia/Shanghai", created_means_paid=True)
SOURCES = {"shop": SHOP, "other": SourceSettings(name="other")}


def paid(order_id: str = "A1", /, **fields: Any) -> dict[str, Any]:
    """A flat `order.paid` with everything needed."""
    return {"type": "order.paid", "order_id": order_id, "id": "e1", "time": TIME} | fields


def cloud_event(**fields: Any) -> dict[str, Any]:
    """A CloudEvent `order.paid` whose `data` has an amount."""
    return {
        "specversion": "1.0",
        "type": "order.paid",
        "source": "/shops/main",
        "id": "e1",
        "subject": "A1",
        "time": TIME,
        "data": {"channel": "auto", "amount_minor": 990},
    } | fields


def send(
    body: object,
    content_type: str = JSON,
    headers: dict[str, str] | None = None,
    source: str = "default",
    channels: Collection[str] = (),
) -> Decoded:
    """Decode a body (bytes as they are, anything else as JSON) that arrived at RECEIVED_MS."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    context = DecodeContext(RECEIVED_MS, source, SOURCES, channels)
    return decode(raw, content_type, headers or {}, context)


def refusals(decoded: Decoded) -> list[tuple[int, str, str]]:
    """Index, code and pointer of everything that was rejected."""
    return [(one.index, one.code, one.pointer) for one in decoded.rejected]
