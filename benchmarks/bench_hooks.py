"""How soon webhooks are answered: a shop holds its own worker until then, and some wait five seconds."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.load_server import CONFIG, KEY, Server, service
from benchmarks.row import Row

GROUP = "webhooks"
REQUESTS = 2_000
SOURCES = CONFIG.replace(
    "{name: main-shop, api_key_file: key}",
    "{name: main-shop, api_key_file: key}, {name: woo, kind: woocommerce, secret_file: key}",
)


def rows(scale: float) -> Iterator[Row]:
    """A sender that waits for each answer; then the same bodies once more, and others forged."""
    count = max(100, int(REQUESTS * scale))
    with (
        tempfile.TemporaryDirectory(prefix="hooks-") as name,
        service(Path(name), config=SOURCES) as server,
    ):
        bodies = [_order(number) for number in range(count)]
        for what, key, status in (
            ("orders of WooCommerce", KEY, 200),
            ("the same again", KEY, 200),
            ("forged", "guessed", 401),
        ):
            seconds = _sent(server, bodies, key, status)
            kept = "nothing of them kept" if status == 401 else "each synced to disk"
            note = f"{count:,} of {len(bodies[0]):,} bytes, one after the other, {kept}"
            p50_ms, p99_ms = np.quantile(seconds, (0.5, 0.99)) * 1_000
            yield Row(GROUP, f"{what}, answered after: median", float(p50_ms), "ms", note=note)
            yield Row(GROUP, f"{what}, answered after: p99", float(p99_ms), "ms", 50, "lower", note)


def _order(number: int) -> bytes:
    """An order of twenty lines, with the meta data of plugins."""
    line = {"product_id": 52, "sku": "KEY-52", "quantity": 1, "total": "9.90",
            "meta_data": [{"id": one, "key": f"_plugin_{one}", "value": "x" * 40} for one in range(5)]}  # fmt: skip
    order = {
        "id": number, "status": "processing", "currency": "CNY", "total": "198.00",
        "date_created_gmt": "2026-01-05T02:00:00", "date_modified_gmt": "2026-01-05T02:00:04",
        "date_paid_gmt": "2026-01-05T02:00:04", "billing": {"email": f"b{number}@example.com"},
        "line_items": [line] * 20,
    }  # fmt: skip
    return json.dumps(order).encode()


def _sent(server: Server, bodies: list[bytes], key: str, status: int) -> list[float]:
    """Seconds until each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    seconds = []
    for body in bodies:
        mac = base64.b64encode(hmac.digest(key.encode(), body, "sha256")).decode()
        headers = {"X-WC-Webhook-Resource": "order", "X-WC-Webhook-Signature": mac}
        began_s = time.perf_counter()
        connection.request("POST", "/hooks/woo", body, headers)
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began_s)
        assert answer.status == status, answer.status
    connection.close()
    return seconds
