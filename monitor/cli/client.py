"""Talking to a running service from the command line; standard library only, so it starts fast."""

from __future__ import annotations

import argparse
import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitor.model.errors import InputError, MonitorError, NotFoundError

TIMEOUT_S = 10.0
DEFAULT_URL = "http://127.0.0.1:8080"


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is and who we are."""
    parser.add_argument("--url", default=os.environ.get("DELIVERY_MONITOR_URL", DEFAULT_URL),
                        help=f"address of the service (default {DEFAULT_URL})")  # fmt: skip
    parser.add_argument("--key", default=os.environ.get("DELIVERY_MONITOR_KEY"),
                        help="API key or admin token (default: $DELIVERY_MONITOR_KEY)")  # fmt: skip
    parser.add_argument("--key-file", type=Path, help="file with the key, e.g. data/admin.token")


def call(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """Send one request and return the JSON answer.

    Raises: MonitorError with the service's own words, or how to start it if it does not answer.
    """
    parts = urlsplit(options.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{options.url!r} is not an address", hint="write http://127.0.0.1:8080")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    headers = {"Accept": "application/json"}
    key = options.key_file.read_text().strip() if options.key_file else options.key
    if key:
        headers["Authorization"] = f"Bearer {key}"
    payload = None
    if body is not None:
        payload = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, parts.path.rstrip("/") + path, body=payload, headers=headers)
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise MonitorError(
            f"no answer from {options.url} ({error})",
            code="unreachable",
            hint="start it with `delivery-monitor serve`, or name it with --url",
        ) from error
    finally:
        connection.close()
    return _understood(answer.status, raw)


def _understood(status: int, raw: bytes) -> Any:
    try:
        value = json.loads(raw) if raw else None
    except ValueError:
        value = None
    if status < 400:
        return value
    problem = value if isinstance(value, dict) else {}
    message = str(problem.get("detail") or problem.get("title") or f"the service answered {status}")
    details = [
        f"{one.get('pointer', '')} {one.get('message', '')}".strip()
        for one in problem.get("errors", [])
    ]
    text = "; ".join([message, *details])
    code, hint = str(problem.get("code", "refused")), str(problem.get("hint", ""))
    if status == 404:
        raise NotFoundError(text, code=code, hint=hint)
    raise MonitorError(text, code=code, hint=hint)
