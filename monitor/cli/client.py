"""Talking to a running service from the command line; standard library only, so it starts fast."""

from __future__ import annotations

import argparse
import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

from monitor.cli.files import read_text
from monitor.config.client import DEFAULT_URL, default_key, default_url
from monitor.model.errors import InputError, MonitorError, NotFoundError

TIMEOUT_S = 10.0
KEY_BYTES_MAX = 4_096
ANSWER_BYTES_MAX = 64 * 1024 * 1024


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is and who we are."""
    parser.add_argument("--url", help=f"address of the service (default: $DELIVERY_MONITOR_URL or "
                        f"{DEFAULT_URL})")  # fmt: skip
    parser.add_argument("--key", help="API key or admin token (default: $DELIVERY_MONITOR_KEY)")
    parser.add_argument("--key-file", metavar="F", help="file with the key, e.g. data/admin.token")


def call(
    options: argparse.Namespace, method: str, path: str, body: Any = None, *, has: str = ""
) -> Any:
    """Send one request and return the JSON object of the answer, which must have the field `has`.

    Raises: MonitorError with the service's own words, or how to start it if it does not answer.
    """
    url = options.url or default_url()
    connection, prefix = _connection(url)
    headers = {"Accept": "application/json"}
    if key := _key(options):
        headers["Authorization"] = f"Bearer {key}"
    payload = None
    if body is not None:
        payload = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, prefix + path, body=payload, headers=headers)
        answer = connection.getresponse()
        raw = answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise MonitorError(
            f"no answer from {url} ({error})",
            code="unreachable",
            hint="start it with `delivery-monitor serve`, or name it with --url",
        ) from error
    finally:
        connection.close()
    return _understood(url, answer.status, raw, has)


def segment(text: str) -> str:
    """Write a name as one segment of a path, whatever characters it holds."""
    return quote(text, safe="", errors="surrogateescape")


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """The connection of an address, and the path in front of every route."""
    is_plain = url.isascii() and url.isprintable() and " " not in url
    scheme, host, port, path = _split(url) if is_plain else ("", None, None, "")
    if not host or scheme not in ("http", "https"):
        raise InputError(f"{url!r} is not an address", hint="write http://127.0.0.1:8080")
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=TIMEOUT_S), path.rstrip("/")


def _split(url: str) -> tuple[str, str | None, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a bracket without its other half, a port that is no number
        return "", None, None, ""
    return parts.scheme, parts.hostname, port, parts.path


def _key(options: argparse.Namespace) -> str | None:
    text = options.key or default_key()
    if options.key_file:
        text = read_text(options.key_file, KEY_BYTES_MAX)
    key = (text or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError("the key is not one line of ASCII text", hint="check --key or --key-file")
    if options.key_file and not key:
        raise InputError(f"{options.key_file} is empty", hint="name the file that holds the key")
    return key


def _understood(url: str, status: int, raw: bytes, has: str) -> Any:
    try:
        value = json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        value = None
    if status < 300 and isinstance(value, dict) and (not has or has in value):
        return value
    problem = value if isinstance(value, dict) else {}
    if status < 400 or not problem:
        raise MonitorError(
            f"{url} answered {status}, but not as a delivery-monitor does",
            code="not_a_monitor",
            hint="check --url; a proxy or another program may listen there",
        )
    raise _refusal(status, problem)


def _refusal(status: int, problem: dict[str, Any]) -> MonitorError:
    """The service's problem+json as an error; its details in the same line."""
    message = str(problem.get("detail") or problem.get("title") or f"the service answered {status}")
    errors = problem.get("errors")
    details = [
        f"{one.get('pointer', '')} {one['message']}".strip()
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict) and one.get("message", "") not in message
    ]
    text = "; ".join([message, *details])
    code, hint = str(problem.get("code", "refused")), str(problem.get("hint") or "")
    kind = NotFoundError if status == 404 else MonitorError
    return kind(text, code=code, hint=hint)
